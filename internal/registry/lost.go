package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/distribution/distribution/v3"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// lostDetail tells programs what is lost from what nobody ever pushed.
type lostDetail struct {
	Lost       bool     `json:"lost"`
	Digest     string   `json:"digest"`
	Repository string   `json:"repository"`
	Versions   []string `json:"versions,omitempty"`
}

// unknown is the answer for content that the storage does not have: err, unless the
// books say that it is there. Lost content is answered with the same code, 404, so that
// a client does not ask again and again, and one that pushes sends it anew; the words
// differ.
func (g *Registry) unknown(q request, repository, digest, code string, err error) error {
	if toOCI(err).status != http.StatusNotFound {
		return err
	}
	lost, lookErr := g.control.Lost(q.Context(), repository, digest)
	if lookErr != nil {
		return lookErr
	}
	return g.answerLost(q, lost, code, recode(err, code))
}

// unknownTag is unknown for the tag that a client asks for.
func (g *Registry) unknownTag(q request, repo distribution.Repository, err error) error {
	tag := q.route.reference
	lost, lookErr := g.control.LostTag(q.Context(), q.route.repository, tag, func(ctx context.Context) (bool, error) {
		_, err := repo.Tags(ctx).Get(ctx, tag)
		var unknown distribution.ErrTagUnknown
		if errors.As(err, &unknown) {
			return true, nil
		}
		return false, err
	})
	if lookErr != nil {
		return lookErr
	}
	return g.answerLost(q, lost, codeManifestUnknown, err)
}

func (g *Registry) answerLost(q request, lost *constellation.LostContent, code string, otherwise error) error {
	if lost == nil {
		return otherwise
	}
	if q.Method != http.MethodHead { // by which a push asks before it sends it again
		g.control.NoteLost(q.Context(), *lost)
	}
	e := toOCI(lost.Err())
	e.code = code
	return e.with(lostDetail{Lost: true, Digest: lost.Digest, Repository: lost.Repository, Versions: lost.Versions})
}
