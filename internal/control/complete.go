package control

import (
	"context"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Completion is how an algorithm that is being typed can go on: with an owner,
// an algorithm, or a version of one.
type Completion struct {
	Owners     []string
	Algorithms []constellation.Algorithm
	Versions   []constellation.AlgorithmVersion // ready ones, newest first
}

// completions is how many of a kind are offered.
const completions = 8

// CompleteAlgorithm returns how text can become OWNER/NAME/HASH: an owner, then a
// name, then a version by its hash or semantic version. A text without a slash
// also finds algorithms that have it anywhere in their name.
func (s *Service) CompleteAlgorithm(ctx context.Context, p Principal, text string) (Completion, error) {
	var c Completion
	if err := p.mayEverywhere(constellation.RoleViewer, "listing algorithms"); err != nil {
		return c, err
	}
	text = clean(text, MaxQuery)
	owner, rest, named := strings.Cut(text, "/")
	name, version, versioned := strings.Cut(rest, "/")
	var err error
	switch {
	case versioned:
		found, err := s.ListAlgorithmVersions(ctx, p, owner, name, ListQuery{Q: version, Limit: completions})
		if constellation.KindOf(err) == constellation.KindNotFound {
			return c, nil
		}
		for _, v := range found.Items {
			if v.State == constellation.VersionReady {
				c.Versions = append(c.Versions, v)
			}
		}
		return c, err
	case named:
		c.Algorithms, err = s.db.AlgorithmsOf(ctx, strings.ToLower(text), completions)
		return c, err
	}
	if c.Owners, err = s.db.Owners(ctx, constellation.Fold(owner), completions); err != nil || owner == "" {
		return c, err
	}
	found, err := s.ListAlgorithms(ctx, p, ListQuery{Q: owner, Limit: completions})
	c.Algorithms = found.Items
	return c, err
}

// CheckAlgorithm checks the reference of an algorithm, OWNER/NAME/HASH, as
// saving it as the first of a satellite's algorithms does: it can be read and
// names a version of the catalogue.
func (s *Service) CheckAlgorithm(ctx context.Context, p Principal, reference string) error {
	if err := p.mayEverywhere(constellation.RoleViewer, "reading an algorithm version"); err != nil {
		return err
	}
	var v constellation.Validation
	refs := []constellation.AlgorithmRef{checkRef(&v, "algorithms[0].algorithm", reference)}
	if _, err := s.reachable(ctx, p, &v, refs, algorithmField, constellation.CodeVersion); err != nil {
		return err
	}
	return v.Err()
}
