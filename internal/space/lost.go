package space

import (
	"context"
	"errors"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// Lost returns what a repository is to have under a digest that its storage was found
// to lack; nil for what is not noted, and what is there by now.
func (l *Ledger) Lost(ctx context.Context, repository, digest string) (*constellation.LostContent, error) {
	if l.Store == nil {
		return nil, nil
	}
	return l.lost(ctx, constellation.LostContent{Repository: repository, Digest: digest}, func(ctx context.Context) (bool, error) {
		_, err := l.Store.StoredBlob(ctx, repository, digest)
		if constellation.KindOf(err) == constellation.KindNotFound {
			return true, nil
		}
		return false, err
	})
}

// LostTag is Lost for a tag; missing looks for it in the storage.
func (l *Ledger) LostTag(ctx context.Context, repository, tag string, missing func(context.Context) (bool, error)) (*constellation.LostContent, error) {
	digest, err := l.DB.ExpectedTag(ctx, repository, tag)
	if err != nil || digest == "" {
		return nil, err
	}
	if lost, err := l.Lost(ctx, repository, digest); err != nil || lost != nil {
		return lost, err
	}
	return l.lost(ctx, constellation.LostContent{Repository: repository, Digest: digest, Tag: tag}, func(ctx context.Context) (bool, error) {
		if noted, err := l.DB.ExpectedTag(ctx, repository, tag); err != nil || noted != digest {
			return false, err
		}
		return missing(ctx)
	})
}

// lost holds what is noted against what is stored while nobody removes it.
func (l *Ledger) lost(ctx context.Context, content constellation.LostContent, missing func(context.Context) (bool, error)) (found *constellation.LostContent, err error) {
	noted, err := l.DB.ExpectedContent(ctx, content.Repository, content.Digest)
	if err != nil || !noted.Linked && len(noted.Versions) == 0 { // as most that a push asks for
		return nil, err
	}
	err = l.transact(ctx, func(l *Ledger) error {
		found = nil
		if err := l.DB.HoldBlobs(ctx, []string{content.Digest}); err != nil { // waits for one who removes it
			return err
		}
		noted, err := l.DB.ExpectedContent(ctx, content.Repository, content.Digest)
		if err != nil || !noted.Linked && len(noted.Versions) == 0 {
			return err
		}
		gone, err := missing(ctx)
		if err != nil || !gone {
			return err
		}
		content.Versions = noted.Versions
		found = &content
		return nil
	})
	return found, err
}

// lostPage is how many links are looked at between two questions to the database.
const lostPage = 1000

// EachLost calls f with what repositories are to have and the storage lacks, of those
// blobs that stored says were not found.
func (l *Ledger) EachLost(ctx context.Context, stored func(digest string) bool, f func(constellation.LostContent)) error {
	if l.Store == nil {
		return errors.New("the registry's storage is not at hand")
	}
	for after := (postgres.Link{}); ; {
		page, err := l.DB.LinksAfter(ctx, after, lostPage)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1]
		for _, link := range page {
			if stored(link.Digest) {
				continue
			}
			lost, err := l.Lost(ctx, link.Repository, link.Digest)
			if err != nil {
				return err
			}
			if lost != nil {
				f(*lost)
			}
		}
	}
}
