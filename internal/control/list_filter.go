package control

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// running finds what a query's Algorithm, Status and Selector name; parse has read the last. What they name must
// be there: a filter that is mistyped would say that nothing runs it.
func (s *Service) running(ctx context.Context, p Principal, q ListQuery) (postgres.RunFilter, error) {
	f := postgres.RunFilter{Status: constellation.LaunchStatus(q.Status)}
	f.Selector, _ = constellation.ParseLabelSelector(q.Selector)
	var v constellation.Validation
	if q.Status != "" && !f.Status.Valid() {
		v.Add("status", "status is one of up, degraded, stale, never_seen; not %q", clean(q.Status, 40))
	}
	var err error
	if q.Algorithm != "" {
		err = s.findRunning(ctx, p, &v, q.Algorithm, &f)
	}
	return f, errors.Join(err, v.Err())
}

// findRunning puts the algorithm, or the one version of it, that text names into f.
func (s *Service) findRunning(ctx context.Context, p Principal, v *constellation.Validation, text string, f *postgres.RunFilter) error {
	const field = "algorithm"
	owner, name, _ := strings.Cut(text, "/")
	name, hash, whole := strings.Cut(name, "/")
	if checkRepository(owner, name) != nil || whole && !constellation.IsGitHash(hash) {
		v.Add(field, "algorithm is OWNER/NAME, or OWNER/NAME/HASH for one version of it; not %q", clean(text, 128))
		return nil
	}
	algorithm, err := s.algorithm(ctx, owner, name)
	if err == nil {
		f.AlgorithmID = algorithm.ID
	}
	if err == nil && whole {
		err = s.findRunningVersion(ctx, p, algorithm, hash, f)
	}
	var e *constellation.Error
	if !errors.As(err, &e) || e.Kind != constellation.KindNotFound {
		return err
	}
	if f.AlgorithmID = uuid.Nil.String(); p.SatelliteID == "" { // a key of one satellite does not hear what there is elsewhere
		v.Add(field, "%s", e.Message)
	}
	return nil
}

func (s *Service) findRunningVersion(ctx context.Context, p Principal, a *constellation.Algorithm, hash string, f *postgres.RunFilter) error {
	found, err := s.db.AlgorithmVersionsByRef(ctx, []constellation.AlgorithmRef{{Owner: a.Owner, Name: a.Name, Hash: hash}})
	if err != nil {
		return err
	}
	if len(found) == 1 {
		f.VersionID = found[0].ID
		return nil
	}
	message, err := s.noVersion(ctx, p, a, hash)
	if err != nil {
		return err
	}
	return constellation.Errorf(constellation.KindNotFound, "%s", message)
}
