package control

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/space"
)

// Push is an image that has been uploaded and asks to become a version.
type Push struct {
	Ref             constellation.AlgorithmRef
	SemanticVersion string
	Image           constellation.Image
	Manifest        constellation.StoredManifest // the image's own
	Runtime         constellation.Runtime
	Weights         *constellation.Weights // nil: it is code
}

var algorithmListing = listing[constellation.Algorithm]{
	name: "algorithms", fallback: "name",
	sorts: map[string]sortKey[constellation.Algorithm]{
		"name": byText(func(a *constellation.Algorithm) string {
			return constellation.AlgorithmRef{Owner: a.Owner, Name: a.Name}.Repository()
		}),
		"created_at": byTime(func(a *constellation.Algorithm) time.Time { return a.CreatedAt }),
	},
	id: byUUID(func(a *constellation.Algorithm) string { return a.ID }),
}

var algorithmVersionListing = listing[constellation.AlgorithmVersion]{
	name: "algorithm_versions", fallback: "-created_at",
	sorts: map[string]sortKey[constellation.AlgorithmVersion]{
		"created_at": byTime(func(v *constellation.AlgorithmVersion) time.Time { return v.CreatedAt }),
		"git_hash":   byText(func(v *constellation.AlgorithmVersion) string { return v.GitHash }),
	},
	id: byUUID(func(v *constellation.AlgorithmVersion) string { return v.ID }),
}

// ListAlgorithms returns a page of algorithms, by name (OWNER/NAME) or
// created_at, each with its newest ready version.
func (s *Service) ListAlgorithms(ctx context.Context, p Principal, q ListQuery) (Page[constellation.Algorithm], error) {
	if err := p.mayEverywhere(constellation.RoleViewer, "listing algorithms"); err != nil {
		return Page[constellation.Algorithm]{}, err
	}
	list, err := algorithmListing.parse(q)
	if err != nil {
		return Page[constellation.Algorithm]{}, err
	}
	rows, err := s.db.Algorithms(ctx, list)
	return algorithmListing.page(list, rows), err
}

// GetAlgorithm returns an algorithm, ignoring case.
func (s *Service) GetAlgorithm(ctx context.Context, p Principal, owner, name string) (*constellation.Algorithm, error) {
	if err := p.mayEverywhere(constellation.RoleViewer, "reading an algorithm"); err != nil {
		return nil, err
	}
	return s.algorithm(ctx, owner, name)
}

// algorithm finds an algorithm by a name from outside.
func (s *Service) algorithm(ctx context.Context, owner, name string) (*constellation.Algorithm, error) {
	if checkRepository(owner, name) != nil {
		return nil, constellation.Errorf(constellation.KindNotFound, "there is no algorithm %q", clean(owner+"/"+name, 128))
	}
	return s.db.Algorithm(ctx, owner, name)
}

// ListAlgorithmVersions returns a page of an algorithm's versions, newest first
// or by created_at or git_hash.
func (s *Service) ListAlgorithmVersions(ctx context.Context, p Principal, owner, name string, q ListQuery) (Page[constellation.AlgorithmVersion], error) {
	if err := p.mayEverywhere(constellation.RoleViewer, "listing algorithm versions"); err != nil {
		return Page[constellation.AlgorithmVersion]{}, err
	}
	list, err := algorithmVersionListing.parse(q, owner, name)
	if err != nil {
		return Page[constellation.AlgorithmVersion]{}, err
	}
	algorithm, err := s.algorithm(ctx, owner, name)
	if err != nil {
		return Page[constellation.AlgorithmVersion]{}, err
	}
	rows, err := s.db.AlgorithmVersions(ctx, algorithm.ID, list)
	if err != nil {
		return Page[constellation.AlgorithmVersion]{}, err
	}
	page := algorithmVersionListing.page(list, rows)
	listed := make([]*constellation.AlgorithmVersion, len(page.Items))
	for i := range page.Items {
		listed[i] = &page.Items[i]
	}
	return page, s.withImports(ctx, listed)
}

// GetAlgorithmVersion returns one version; when it does not exist, the error
// says which do.
func (s *Service) GetAlgorithmVersion(ctx context.Context, p Principal, ref constellation.AlgorithmRef) (*constellation.AlgorithmVersion, error) {
	if err := p.mayEverywhere(constellation.RoleViewer, "reading an algorithm version"); err != nil {
		return nil, err
	}
	algorithm, err := s.algorithm(ctx, ref.Owner, ref.Name)
	if err != nil {
		return nil, err
	}
	if constellation.IsGitHash(ref.Hash) {
		found, err := s.db.AlgorithmVersionsByRef(ctx, []constellation.AlgorithmRef{ref})
		if err != nil {
			return nil, err
		}
		if len(found) == 1 {
			return &found[0], s.withImports(ctx, []*constellation.AlgorithmVersion{&found[0]})
		}
	}
	message, err := s.noVersion(ctx, p, algorithm, ref.Hash)
	if err != nil {
		return nil, err
	}
	return nil, constellation.Errorf(constellation.KindNotFound, "%s", message)
}

// noVersion returns a message on which versions an algorithm has, when it has not this one. A
// key that may not list them hears of none.
func (s *Service) noVersion(ctx context.Context, p Principal, a *constellation.Algorithm, hash string) (string, error) {
	const shown = 3
	message := a.Owner + "/" + a.Name + " has no version " + clean(hash, 64)
	if p.SatelliteID != "" {
		return message, nil
	}
	newest, err := s.db.AlgorithmVersions(ctx, a.ID, postgres.List{Sort: "created_at", Desc: true, Limit: shown})
	if err != nil {
		return "", err
	}
	hashes := make([]string, len(newest))
	for i, v := range newest {
		hashes[i] = v.GitHash
	}
	switch {
	case len(hashes) == 0:
		return message + "; it has none yet", nil
	case a.VersionCount > shown:
		return message + "; its newest versions are " + strings.Join(hashes, ", "), nil
	case len(hashes) == 1:
		return message + "; its only version is " + hashes[0], nil
	}
	return message + "; its versions are " + strings.Join(hashes, ", "), nil
}

// PushAlgorithm makes an uploaded image an algorithm version, with its owner
// and algorithm when they are new. store writes the manifest into the
// registry, and may be called again; it is called before the commit, so that
// a version without its manifest never shows. The same digest again is a
// success with created false; another digest is a conflict.
func (s *Service) PushAlgorithm(ctx context.Context, p Principal, push Push, store func(context.Context) error) (v *constellation.AlgorithmVersion, created bool, err error) {
	if err := p.mayRepository(constellation.RoleAdmin, push.Ref.Repository(), "pushing an algorithm"); err != nil {
		return nil, false, err
	}
	if push.Weights == nil {
		push.Runtime = push.Runtime.WithDefaults()
	}
	if err := checkPush(push); err != nil {
		return nil, false, err
	}
	push.Manifest.Repository, push.Manifest.Digest, push.Manifest.Tag = push.Ref.Repository(), push.Image.Digest, push.Ref.Hash
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, space.TagLock(push.Ref.Repository(), push.Ref.Hash)); err != nil {
			return err
		}
		found, err := s.db.AlgorithmVersionsByRef(ctx, []constellation.AlgorithmRef{push.Ref})
		if err != nil {
			return err
		}
		if created = len(found) == 0; !created {
			v = &found[0]
			switch {
			case v.State == constellation.VersionImporting:
				return constellation.Errorf(constellation.KindConflict, "commit %s of %s is being imported from another registry: cancel that first, or push under another hash", push.Ref.Hash, push.Ref.Repository())
			case v.State == constellation.VersionFailed:
				created = true
				return s.pushOverFailed(ctx, p, v, push, store)
			case v.Image.Digest != push.Image.Digest:
				return constellation.Errorf(constellation.KindConflict, "commit %s of %s is registered already, as %s, and never changes: skip the push, or commit what changed and push under the new hash",
					push.Ref.Hash, push.Ref.Repository(), v.Image.Digest)
			}
			return s.ledger().StoreHeld(ctx, push.Manifest, store) // heals a registry that lost the manifest
		}
		if err := s.ledger().StoreHeld(ctx, push.Manifest, store); err != nil {
			return err
		}
		v, err = s.addVersion(ctx, p, push)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return v, created, nil
}

// pushOverFailed makes an image that was pushed the version whose import failed.
func (s *Service) pushOverFailed(ctx context.Context, p Principal, v *constellation.AlgorithmVersion, push Push, store func(context.Context) error) error {
	if err := s.ledger().StoreHeld(ctx, push.Manifest, store); err != nil {
		return err
	}
	if err := s.db.DeleteImport(ctx, v.ID); err != nil {
		return err
	}
	if err := s.fillVersion(ctx, v, push); err != nil {
		return err
	}
	return s.audit(ctx, p, "algorithm_version.create", versionTarget(v), nil, viewVersion(v))
}

func checkPush(push Push) error {
	var v constellation.Validation
	version := constellation.AlgorithmVersion{
		Owner: push.Ref.Owner, Name: push.Ref.Name, GitHash: push.Ref.Hash, SemanticVersion: push.SemanticVersion, Runtime: push.Runtime, Weights: push.Weights,
	}
	version.Check(&v)
	return v.Err()
}

func (s *Service) addVersion(ctx context.Context, p Principal, push Push) (*constellation.AlgorithmVersion, error) {
	now := s.now()
	algorithm, err := s.db.EnsureAlgorithm(ctx, push.Ref.Owner, push.Ref.Name, p.Username, now)
	if err != nil {
		return nil, err
	}
	v := &constellation.AlgorithmVersion{
		ID: uuid.NewString(), Owner: algorithm.Owner, Name: algorithm.Name, GitHash: push.Ref.Hash,
		SemanticVersion: push.SemanticVersion, State: constellation.VersionReady, Image: push.Image,
		Runtime: push.Runtime, RuntimeRevision: 1, Weights: push.Weights, CreatedAt: now, CreatedBy: p.Username,
	}
	v.Image.Repository = push.Ref.Repository()
	if err := s.db.InsertAlgorithmVersion(ctx, algorithm.ID, v); err != nil {
		return nil, err
	}
	return v, s.audit(ctx, p, "algorithm_version.create", target{"algorithm_version", v.ID, v.Ref().String()}, nil, viewVersion(v))
}
