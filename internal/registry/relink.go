package registry

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Relink writes which blobs, manifests and tags a repository has, where the blobs
// themselves are: it may be written again. What is not there stays out.
func (s *Storage) Relink(ctx context.Context, r constellation.StoredRepository) error {
	for _, dgst := range r.Blobs {
		if err := s.driver.PutContent(ctx, layerDir(r.Name, dgst)+"/link", []byte(dgst)); err != nil {
			return fmt.Errorf("link %s@%s: %w", r.Name, dgst, err)
		}
	}
	there := map[string]bool{}
	for _, dgst := range r.Manifests {
		body, err := s.driver.GetContent(ctx, blobPath(digest.Digest(dgst)))
		if isPathNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read manifest %s@%s: %w", r.Name, dgst, err)
		}
		if err := s.driver.PutContent(ctx, revisionDir(r.Name, dgst)+"/link", []byte(dgst)); err != nil {
			return fmt.Errorf("link %s@%s: %w", r.Name, dgst, err)
		}
		there[dgst] = true
		var doc document
		if err := json.Unmarshal(body, &doc); err != nil {
			return fmt.Errorf("parse manifest %s@%s: %w", r.Name, dgst, err)
		}
		if doc.Subject == nil {
			continue
		}
		mediaType := doc.MediaType
		switch {
		case mediaType != "":
		case doc.Manifests != nil:
			mediaType = v1.MediaTypeImageIndex
		default:
			mediaType = v1.MediaTypeImageManifest
		}
		if err := s.addReferrer(ctx, r.Name, body, mediaType, &doc); err != nil {
			return err
		}
	}
	for _, tag := range r.Tags {
		if !there[tag.Digest] {
			continue
		}
		for _, file := range []string{"/index/sha256/" + digest.Digest(tag.Digest).Encoded() + "/link", "/current/link"} {
			if err := s.driver.PutContent(ctx, tagDir(r.Name, tag.Tag)+file, []byte(tag.Digest)); err != nil {
				return fmt.Errorf("tag %s:%s: %w", r.Name, tag.Tag, err)
			}
		}
	}
	return nil
}
