package control

import (
	"context"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/space"
)

// ErrImportEnded is returned to who works at an import that was cancelled, removed or
// asked for anew.
var ErrImportEnded = constellation.Errorf(constellation.KindNotFound, "this import has ended")

// WorkImport returns an import that is under way; KindNotFound when it has ended, or
// was asked for anew.
func (s *Service) WorkImport(ctx context.Context, versionID string, generation int) (*constellation.Import, []constellation.ImportPart, error) {
	i, err := s.db.Import(ctx, versionID)
	if err != nil {
		return nil, nil, err
	}
	if i.State != constellation.VersionImporting || i.Generation != generation {
		return nil, nil, ErrImportEnded
	}
	parts, err := s.db.ImportParts(ctx, versionID)
	return i, parts, err
}

// NoteImport writes how far an import is, and tells who looks at it.
func (s *Service) NoteImport(ctx context.Context, i *constellation.Import) error {
	going, err := s.db.UpdateImport(ctx, i)
	if err == nil && !going {
		return ErrImportEnded
	}
	if err != nil {
		return err
	}
	if err := s.db.KeepFetches(ctx, i.VersionID); err != nil {
		return err
	}
	return s.notify(ctx, notification{Kind: "algorithm_version", ID: i.VersionID})
}

// PlanImport notes what an import needs, its digest and size set, unless that does not
// fit.
func (s *Service) PlanImport(ctx context.Context, i *constellation.Import, parts []constellation.ImportPart) error {
	var refused error
	err := s.transact(ctx, func(s *Service) error {
		going, err := s.db.UpdateImport(ctx, i)
		if err != nil {
			return err
		}
		if !going {
			return ErrImportEnded
		}
		if err := s.db.ReplaceImportParts(ctx, i.VersionID, i.Repository, parts); err != nil {
			return err
		}
		refused, err = s.roomForImport(ctx, i)
		return err
	})
	if err != nil {
		return err
	}
	return refused
}

// diskReserve is what an import leaves free on the disk.
const diskReserve = 256 << 20

// roomForImport returns why an import does not fit, nil when it does.
func (s *Service) roomForImport(ctx context.Context, i *constellation.Import) (refused, err error) {
	owner, _, _ := strings.Cut(i.Repository, "/")
	need, err := s.db.ImportNeed(ctx, i.VersionID, owner)
	if err != nil {
		return nil, err
	}
	room, err := s.db.OwnerRoom(ctx, owner)
	if err != nil {
		return nil, err
	}
	if room != nil && room.Bytes+need.Owner+need.OwnerPending > room.Quota {
		others := ""
		if need.OwnerPending > 0 {
			others = ", and other imports are to bring " + space.ByteSize(need.OwnerPending)
		}
		return constellation.Wrap(errNoRoom, constellation.KindForbidden, "the image needs %s more, which would take %s beyond its quota of %s (%s are used%s): remove versions that nothing uses, or ask an admin for more",
			space.ByteSize(need.Owner), owner, space.ByteSize(room.Quota), space.ByteSize(room.Bytes), others), nil
	}
	if s.options.FreeSpace == nil {
		return nil, nil
	}
	free, known := s.options.FreeSpace(ctx)
	if known && need.Disk+need.Pending+diskReserve > free {
		others := ""
		if need.Pending > 0 {
			others = ", other imports " + space.ByteSize(need.Pending)
		}
		return constellation.Wrap(errNoRoom, constellation.KindForbidden, "the image needs %s more on the mothership's disk, which has %s free%s: nothing was copied; free some space there and import again",
			space.ByteSize(need.Disk), space.ByteSize(free), others), nil
	}
	return nil, nil
}

// NoteImportPart notes where a blob of an import is written to, and whether it is here.
func (s *Service) NoteImportPart(ctx context.Context, i *constellation.Import, p *constellation.ImportPart) error {
	return s.db.UpdateImportPart(ctx, i.VersionID, p)
}

// fetchPatience is how long an import that says nothing is taken to fetch a blob.
const fetchPatience = 15 * time.Second

// ClaimFetch reports whether an import is to fetch a blob; else another one does.
func (s *Service) ClaimFetch(ctx context.Context, i *constellation.Import, digest string) (bool, error) {
	return s.db.ClaimFetch(ctx, i.VersionID, digest, fetchPatience)
}

// DropFetches ends the fetch of a blob, or with "" of all that the import fetches.
func (s *Service) DropFetches(ctx context.Context, i *constellation.Import, digest string) error {
	return s.db.DropFetches(ctx, i.VersionID, digest)
}

// FailImport ends an import that cannot be done; the audit log says why.
func (s *Service) FailImport(ctx context.Context, i *constellation.Import, why error) error {
	return s.transact(ctx, func(s *Service) error {
		v, err := s.importingVersion(ctx, i)
		if err != nil {
			return err
		}
		if err := s.endImport(ctx, Principal{Username: constellation.ActorSystem}, v, "algorithm_version.import_failed", messageOf(why), failureOf(why)); err != nil {
			return err
		}
		return notify.Record(ctx, s.db, notify.Event{
			Kind: constellation.NoticeImportFailed, At: s.now(), Subject: "algorithm_version", ID: v.ID, Name: v.Ref().String(), Text: "the import of " + i.Image.String() + " failed: " + messageOf(why),
		})
	})
}

// importingVersion returns the version of an import that is under way, under the lock
// of its tag.
func (s *Service) importingVersion(ctx context.Context, i *constellation.Import) (*constellation.AlgorithmVersion, error) {
	v, err := s.db.AlgorithmVersionByID(ctx, i.VersionID)
	if err != nil {
		return nil, err
	}
	if err := s.db.Lock(ctx, space.TagLock(i.Repository, v.GitHash)); err != nil {
		return nil, err
	}
	now, err := s.db.HoldImport(ctx, i.VersionID)
	if err != nil {
		return nil, err
	}
	if now.State != constellation.VersionImporting || now.Generation != i.Generation {
		return nil, ErrImportEnded
	}
	return v, nil
}

// ImportRef returns the version that an import makes.
func (s *Service) ImportRef(ctx context.Context, i *constellation.Import) (constellation.AlgorithmRef, error) {
	v, err := s.db.AlgorithmVersionByID(ctx, i.VersionID)
	if err != nil {
		return constellation.AlgorithmRef{}, err
	}
	return v.Ref(), nil
}

// FinishImport makes an image whose parts are here, all but its manifest, the version
// that was asked for. store writes the manifest, as in PushAlgorithm.
func (s *Service) FinishImport(ctx context.Context, i *constellation.Import, push Push, store func(context.Context) error) error {
	if push.Weights == nil {
		push.Runtime = i.Runtime.Apply(push.Runtime).WithDefaults()
	} else if i.Runtime != (constellation.RuntimeChange{}) {
		return constellation.Errorf(constellation.KindInvalid, "the image holds weights, which do not run: import it without runtime settings")
	}
	return s.transact(ctx, func(s *Service) error {
		v, err := s.importingVersion(ctx, i)
		if err != nil {
			return err
		}
		push.Ref = v.Ref()
		if v.SemanticVersion != "" {
			push.SemanticVersion = v.SemanticVersion
		}
		if err := checkPush(push); err != nil {
			return err
		}
		push.Manifest.Repository, push.Manifest.Digest, push.Manifest.Tag = i.Repository, push.Image.Digest, push.Ref.Hash
		if err := s.ledger().StoreHeld(ctx, push.Manifest, store); err != nil {
			return err
		}
		now := s.now()
		i.Phase, i.BytesDone, i.Rate, i.Error, i.NextAt, i.EndedAt = constellation.ImportEnded, i.Bytes, 0, "", nil, &now
		if _, err := s.db.UpdateImport(ctx, i); err != nil {
			return err
		}
		if err := s.fillVersion(ctx, v, push); err != nil {
			return err
		}
		if err := s.db.DropFetches(ctx, v.ID, ""); err != nil {
			return err
		}
		if err := s.db.DeleteImportParts(ctx, v.ID); err != nil {
			return err
		}
		return s.audit(ctx, Principal{Username: i.RequestedBy}, "algorithm_version.create", versionTarget(v), nil, viewVersion(v))
	})
}

// fillVersion gives a version without an image the one of a push.
func (s *Service) fillVersion(ctx context.Context, v *constellation.AlgorithmVersion, push Push) error {
	v.State, v.Image, v.Runtime, v.Weights, v.SemanticVersion = constellation.VersionReady, push.Image, push.Runtime, push.Weights, push.SemanticVersion
	v.Image.Repository = v.Ref().Repository()
	return s.db.FillVersion(ctx, v)
}

// ImportCount is how many versions are in a state of an import.
type ImportCount = postgres.ImportCount

// ImportCounts returns how many imports there are, by state, for metrics.
func (s *Service) ImportCounts(ctx context.Context) ([]ImportCount, error) {
	return s.db.ImportCounts(ctx)
}
