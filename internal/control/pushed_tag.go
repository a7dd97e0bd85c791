package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const (
	// pushedTagsKept is how many tags of a repository are remembered that are
	// no version.
	pushedTagsKept = 20
	// unregisteredShown is how many repositories without a version are told.
	unregisteredShown = 20
)

// NotePushedTag remembers that the principal pushed a tag that is no version,
// so that it can be told where versions are looked for.
func (s *Service) NotePushedTag(ctx context.Context, p Principal, repository, tag, digest string) error {
	if err := s.CanPush(p, repository); err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		return s.db.UpsertPushedTag(ctx, constellation.PushedTag{
			Repository: repository, Tag: tag, Digest: digest, PushedAt: s.now(), PushedBy: p.Username,
		}, pushedTagsKept)
	})
}

// PushedTags returns the newest tags of an algorithm that are no version.
func (s *Service) PushedTags(ctx context.Context, p Principal, owner, name string) ([]constellation.PushedTag, error) {
	if err := p.mayEverywhere(constellation.RoleViewer, "reading an algorithm"); err != nil {
		return nil, err
	}
	return s.db.PushedTags(ctx, constellation.AlgorithmRef{Owner: owner, Name: name}.Repository())
}

// UnregisteredTags returns the newest tag of each repository in which nothing
// is registered, of the newest such repositories.
func (s *Service) UnregisteredTags(ctx context.Context, p Principal) ([]constellation.PushedTag, error) {
	if err := p.mayEverywhere(constellation.RoleViewer, "listing algorithms"); err != nil {
		return nil, err
	}
	return s.db.UnregisteredTags(ctx, unregisteredShown)
}
