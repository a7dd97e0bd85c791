package importer

import (
	"context"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/foreign"
)

// referrerDepth is how deep what belongs to what belongs to an image is followed: an
// SBOM, and its signature.
const referrerDepth = 2

// tagSuffixes are of the tags that tools make of a digest, for what belongs to it where
// registries have no lists of that.
var tagSuffixes = []string{".sig", ".att", ".sbom"}

// referrers adds what belongs to the image: signatures, SBOMs, attestations.
func (p *planner) referrers(ctx context.Context) error {
	subjects := p.subjects
	for range referrerDepth {
		p.subjects = nil
		for _, subject := range subjects {
			if err := p.belonging(ctx, subject); err != nil {
				return err
			}
		}
		subjects = p.subjects
	}
	return nil
}

func (p *planner) belonging(ctx context.Context, subject string) error {
	found, err := p.registry.Referrers(ctx, p.repository, subject)
	if err != nil {
		return err
	}
	for _, descriptor := range found {
		if err := p.child(ctx, descriptor, 0, true, ""); err != nil {
			return err
		}
	}
	for _, suffix := range tagSuffixes {
		tag := strings.Replace(subject, ":", "-", 1) + suffix
		dgst, err := p.registry.Resolve(ctx, p.repository, tag)
		if foreign.IsUnknown(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := p.child(ctx, v1.Descriptor{Digest: digest.Digest(dgst)}, 0, true, tag); err != nil {
			return err
		}
	}
	return nil
}
