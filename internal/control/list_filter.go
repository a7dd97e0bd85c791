package control

import (
	"context"
	"errors"
	"strings"
	"time"

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
	s.narrow(&v, q.Narrowing, &f)
	var err error
	if q.Algorithm != "" {
		err = s.findRunning(ctx, p, &v, q.Algorithm, &f)
	}
	return f, errors.Join(err, v.Err())
}

// narrow puts what a list is narrowed to beside that into f.
func (s *Service) narrow(v *constellation.Validation, n Narrowing, f *postgres.RunFilter) {
	f.CreatedBy = n.CreatedBy
	f.ExpiresBefore, f.ExpiresAfter = s.moment(v, "expires_before", n.ExpiresBefore), s.moment(v, "expires_after", n.ExpiresAfter)
	switch n.Behind {
	case "":
	case "true", "false":
		f.Behind = new(n.Behind == "true")
	default:
		v.Add("behind", "behind is true or false; not %q", clean(n.Behind, 40))
	}
	if n.BehindFor == "" {
		return
	}
	d, ok := constellation.ParseAge(n.BehindFor)
	switch {
	case !ok:
		v.Add("behind_for", "behind_for is how long, such as 30m, 12h, 7d or 2w; not %q", clean(n.BehindFor, 40))
	case n.Behind == "false":
		v.Add("behind_for", "behind_for is of launches that are behind; leave behind=false out")
	default:
		f.BehindBy = new(s.now().Add(-d))
	}
}

// moment reads a date, which begins at midnight UTC, a time, or how long from now.
func (s *Service) moment(v *constellation.Validation, field, text string) *time.Time {
	if text == "" {
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil && validTime(at.Format(time.RFC3339Nano)) {
			return &at
		}
	}
	if d, ok := constellation.ParseAge(text); ok {
		return new(s.now().Add(d))
	}
	v.Add(field, "%s is a date such as 2027-01-31, a time in RFC 3339 form, or how long from now, such as 30d; not %q", field, clean(text, 40))
	return nil
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
