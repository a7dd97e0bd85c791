package control

import (
	"context"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/space"
)

// ImportRequest asks for an image of a registry elsewhere to become a version.
type ImportRequest struct {
	Ref             constellation.AlgorithmRef
	SemanticVersion string // "" is what the image's labels say
	Image           string // as people write it for docker pull
	Runtime         constellation.RuntimeChange
	Mirror          string // the name of the mirror that asks, "" for none
}

// ImportVersion has an image of a registry elsewhere copied here and made a version,
// in the background. Until that is done the version is there, as importing, and no
// satellite can have it. The same request again returns the version, with asked false;
// one whose import failed is imported again.
func (s *Service) ImportVersion(ctx context.Context, p Principal, r ImportRequest) (v *constellation.AlgorithmVersion, asked bool, err error) {
	if err := p.mayRepository(constellation.RoleAdmin, r.Ref.Repository(), "importing an algorithm version"); err != nil {
		return nil, false, err
	}
	image, err := checkImport(r)
	if err != nil {
		return nil, false, err
	}
	if s.options.StartImport == nil {
		return nil, false, constellation.Errorf(constellation.KindUnavailable, "nothing is done in the background here")
	}
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, space.TagLock(r.Ref.Repository(), r.Ref.Hash)); err != nil {
			return err
		}
		found, err := s.db.AlgorithmVersionsByRef(ctx, []constellation.AlgorithmRef{r.Ref})
		if err != nil {
			return err
		}
		if asked = true; len(found) == 0 {
			v, err = s.addImporting(ctx, p, r)
		} else {
			v = &found[0]
			asked, err = s.importAgain(ctx, v, r, image)
		}
		if err != nil || !asked {
			return err
		}
		return s.startImport(ctx, p, v, r, image)
	})
	if err != nil {
		return nil, false, err
	}
	return v, asked, s.withImports(ctx, []*constellation.AlgorithmVersion{v})
}

func checkImport(r ImportRequest) (constellation.ImageName, error) {
	var v constellation.Validation
	constellation.CheckOwnerName(&v, "owner", r.Ref.Owner, "name", r.Ref.Name)
	if !constellation.IsGitHash(r.Ref.Hash) {
		v.Add("git_hash", "a version's hash has %s", constellation.HashRule)
	}
	constellation.CheckSemanticVersion(&v, "semantic_version", r.SemanticVersion)
	image, err := constellation.ParseImageName(r.Image)
	if err != nil {
		v.Add("image", "%s", messageOf(err))
	}
	r.Runtime.Apply(runtimeGuess(r.Runtime)).WithDefaults().Check(&v, "runtime")
	return image, v.Err()
}

// runtimeGuess is what an image's labels may say, so that what is asked for alone is
// checked before they are known.
func runtimeGuess(c constellation.RuntimeChange) constellation.Runtime {
	if c.Protocol == nil && (c.Response != nil || c.HTTP2 != nil || c.MaxBody != nil || c.IdleTimeout != nil) {
		return constellation.Runtime{Protocol: constellation.ProtocolHTTP}
	}
	return constellation.Runtime{}
}

// addImporting makes the row of a version that is to be imported.
func (s *Service) addImporting(ctx context.Context, p Principal, r ImportRequest) (*constellation.AlgorithmVersion, error) {
	now := s.now()
	algorithm, err := s.db.EnsureAlgorithm(ctx, r.Ref.Owner, r.Ref.Name, p.Username, now)
	if err != nil {
		return nil, err
	}
	v := &constellation.AlgorithmVersion{
		ID: uuid.NewString(), Owner: algorithm.Owner, Name: algorithm.Name, GitHash: r.Ref.Hash, SemanticVersion: r.SemanticVersion,
		State: constellation.VersionImporting, Image: constellation.Image{Repository: r.Ref.Repository()},
		Runtime: r.Runtime.Apply(constellation.Runtime{}).WithDefaults(), RuntimeRevision: 1, CreatedAt: now, CreatedBy: p.Username,
	}
	return v, s.db.InsertAlgorithmVersion(ctx, algorithm.ID, v)
}

// importAgain reports whether a version that is there is to be imported.
func (s *Service) importAgain(ctx context.Context, v *constellation.AlgorithmVersion, r ImportRequest, image constellation.ImageName) (bool, error) {
	imports, err := s.db.ImportsOf(ctx, []string{v.ID})
	if err != nil {
		return false, err
	}
	i := imports[v.ID]
	switch {
	case v.State == constellation.VersionFailed:
		v.State, v.SemanticVersion, v.Runtime = constellation.VersionImporting, r.SemanticVersion, r.Runtime.Apply(constellation.Runtime{}).WithDefaults()
		return true, s.db.SetVersionState(ctx, v)
	case i != nil && i.Image == image, v.State == constellation.VersionReady && v.Image.Digest == image.Digest:
		return false, nil
	case v.State == constellation.VersionImporting && i != nil:
		return false, constellation.Errorf(constellation.KindConflict, "%s is being imported, from %s: cancel that first, or take another hash", v.Ref(), i.Image)
	}
	return false, constellation.Errorf(constellation.KindConflict, "%s is registered already, as %s, and never changes: import under another hash", v.Ref(), v.Image.Digest)
}

func (s *Service) startImport(ctx context.Context, p Principal, v *constellation.AlgorithmVersion, r ImportRequest, image constellation.ImageName) error {
	i := &constellation.Import{
		VersionID: v.ID, Repository: v.Ref().Repository(), Image: image, Runtime: r.Runtime, State: v.State, Phase: constellation.ImportWaits,
		RequestedBy: p.Username, RequestedAt: s.now(), Mirror: r.Mirror,
	}
	if err := s.db.UpsertImport(ctx, i); err != nil {
		return err
	}
	i, err := s.db.Import(ctx, v.ID)
	if err != nil {
		return err
	}
	if err := s.options.StartImport(ctx, s.db, v.ID, i.Generation); err != nil {
		return err
	}
	return s.audit(ctx, p, "algorithm_version.import", versionTarget(v), nil, viewImport(i, v))
}

func versionTarget(v *constellation.AlgorithmVersion) target {
	return target{"algorithm_version", v.ID, v.Ref().String()}
}

// importView is what the audit log has of an import.
type importView struct {
	Algorithm string                     `json:"algorithm"`
	Image     string                     `json:"image"`
	Digest    string                     `json:"digest,omitempty"`
	State     constellation.VersionState `json:"state"`
	Bytes     int64                      `json:"bytes,omitempty"`
	Mirror    string                     `json:"mirror,omitempty"`
	Error     string                     `json:"error,omitempty"`
}

func viewImport(i *constellation.Import, v *constellation.AlgorithmVersion) importView {
	return importView{v.Ref().String(), i.Image.String(), i.Digest, v.State, i.Bytes, i.Mirror, i.Error}
}

// withImports adds to versions how they come, or came, from registries elsewhere.
func (s *Service) withImports(ctx context.Context, versions []*constellation.AlgorithmVersion) error {
	ids := make([]string, len(versions))
	for n, v := range versions {
		ids[n] = v.ID
	}
	imports, err := s.db.ImportsOf(ctx, ids)
	for _, v := range versions {
		v.Import = imports[v.ID]
	}
	return err
}

// CancelImport ends an import that is under way. The version stays, as failed, until
// it is imported again or removed.
func (s *Service) CancelImport(ctx context.Context, p Principal, ref constellation.AlgorithmRef) error {
	if err := p.mayRepository(constellation.RoleAdmin, ref.Repository(), "cancelling an import"); err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, space.TagLock(ref.Repository(), ref.Hash)); err != nil {
			return err
		}
		found, err := s.db.AlgorithmVersionsByRef(ctx, []constellation.AlgorithmRef{ref})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return constellation.Errorf(constellation.KindNotFound, "there is no version %s", clean(ref.String(), 200))
		}
		v := &found[0]
		if v.State != constellation.VersionImporting {
			return constellation.Errorf(constellation.KindConflict, "%s is not being imported: it is %s", v.Ref(), v.State)
		}
		return s.endImport(ctx, p, v, "algorithm_version.import_cancel", "it was cancelled by "+p.Username, constellation.FailedCancelled)
	})
}

// endImport makes an import that is under way one that failed, under the lock of the
// version's tag.
func (s *Service) endImport(ctx context.Context, p Principal, v *constellation.AlgorithmVersion, action, why string, sort constellation.ImportFailure) error {
	i, err := s.db.HoldImport(ctx, v.ID)
	if err != nil {
		return err
	}
	now := s.now()
	i.Phase, i.Error, i.EndedAt, i.NextAt, i.Rate, i.Failure = constellation.ImportEnded, clean(why, 1000), &now, nil, 0, sort
	if _, err := s.db.UpdateImport(ctx, i); err != nil {
		return err
	}
	before := viewImport(i, v)
	before.Error = ""
	v.State = constellation.VersionFailed
	if err := s.db.SetVersionState(ctx, v); err != nil {
		return err
	}
	if err := s.db.DropFetches(ctx, v.ID, ""); err != nil {
		return err
	}
	return s.audit(ctx, p, action, versionTarget(v), before, viewImport(i, v))
}
