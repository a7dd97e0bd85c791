package control

import (
	"context"
	"errors"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// RetryImport asks for a version again whose import failed, as it was asked for.
func (s *Service) RetryImport(ctx context.Context, p Principal, ref constellation.AlgorithmRef) (v *constellation.AlgorithmVersion, err error) {
	if err := p.mayRepository(constellation.RoleAdmin, ref.Repository(), "importing an algorithm version"); err != nil {
		return nil, err
	}
	err = s.transact(ctx, func(s *Service) error {
		found, err := s.db.AlgorithmVersionsByRef(ctx, []constellation.AlgorithmRef{ref})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return constellation.Errorf(constellation.KindNotFound, "there is no version %s", clean(ref.String(), 200))
		}
		if found[0].State != constellation.VersionFailed {
			return constellation.Errorf(constellation.KindConflict, "%s has not failed: it is %s", found[0].Ref(), found[0].State)
		}
		i, err := s.db.Import(ctx, found[0].ID)
		if err != nil {
			return err
		}
		v, _, err = s.ImportVersion(ctx, p, ImportRequest{Ref: found[0].Ref(), SemanticVersion: found[0].SemanticVersion, Image: i.Image.String(), Runtime: i.Runtime, Mirror: i.Mirror})
		return err
	})
	return v, err
}

// TestForeignRegistry asks a registry elsewhere whether it lets us in, and returns why
// not in words, "" when it does.
func (s *Service) TestForeignRegistry(ctx context.Context, p Principal, id string) (r *constellation.ForeignRegistry, why string, err error) {
	if r, err = s.GetForeignRegistry(ctx, p, id); err != nil {
		return nil, "", err
	}
	if s.options.CheckRegistry == nil {
		return nil, "", constellation.Errorf(constellation.KindUnavailable, "registries are not asked from here")
	}
	var refused *constellation.Error
	if err := s.options.CheckRegistry(ctx, r.Host); errors.As(err, &refused) {
		why = refused.Message
	} else if err != nil {
		return nil, "", err
	}
	return r, why, s.transact(ctx, func(s *Service) error {
		return s.audit(ctx, p, "registry.test", foreignTarget(r), nil, nil)
	})
}
