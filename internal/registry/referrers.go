package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"

	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// serveReferrers lists the manifests whose subject is a digest. Distribution
// has no such endpoint; we keep the list beside its storage.
func (g *Registry) serveReferrers(w http.ResponseWriter, q request) error {
	descriptors, err := g.storage.referrers(q.Context(), q.route.repository, digest.Digest(q.route.reference))
	if err != nil {
		return err
	}
	if want := q.URL.Query().Get("artifactType"); want != "" {
		descriptors = slices.DeleteFunc(descriptors, func(d v1.Descriptor) bool { return d.ArtifactType != want })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	return writeReferrers(w, descriptors)
}

func writeReferrers(w http.ResponseWriter, descriptors []v1.Descriptor) error {
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: descriptors}
	if index.Manifests == nil {
		index.Manifests = []v1.Descriptor{}
	}
	body, err := json.Marshal(index)
	if err != nil {
		return fmt.Errorf("encode referrers: %w", err)
	}
	w.Header().Set("Content-Type", v1.MediaTypeImageIndex)
	_, _ = w.Write(body) // the client's connection is not ours to mend
	return nil
}

// referrersDir is where the referrers of a subject are; no part of a
// repository's name starts with '_'.
func referrersDir(repository string, subject digest.Digest) string {
	return path.Join(ownRoot, "referrers", repository, "_subjects", subject.Algorithm().String(), subject.Encoded())
}

// addReferrer notes that a manifest, stored already, names a subject.
func (s *Storage) addReferrer(ctx context.Context, repository string, body []byte, mediaType string, doc *document) error {
	subject := doc.Subject.Digest
	if err := subject.Validate(); err != nil {
		return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the manifest's subject has no valid digest")
	}
	descriptor := v1.Descriptor{
		MediaType: mediaType, ArtifactType: doc.ArtifactType,
		Digest: digest.FromBytes(body), Size: int64(len(body)), Annotations: doc.Annotations,
	}
	if descriptor.ArtifactType == "" && doc.Config != nil && mediaType != schema2.MediaTypeManifest {
		descriptor.ArtifactType = doc.Config.MediaType
	}
	data, err := json.Marshal(descriptor)
	if err != nil {
		return fmt.Errorf("encode referrer of %s@%s: %w", repository, subject, err)
	}
	file := path.Join(referrersDir(repository, subject), descriptor.Digest.Encoded())
	if err := s.driver.PutContent(ctx, file, data); err != nil {
		return fmt.Errorf("note referrer of %s@%s: %w", repository, subject, err)
	}
	return nil
}

func (s *Storage) referrers(ctx context.Context, repository string, subject digest.Digest) ([]v1.Descriptor, error) {
	files, err := s.driver.List(ctx, referrersDir(repository, subject))
	if isPathNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list referrers of %s@%s: %w", repository, subject, err)
	}
	slices.Sort(files)
	var descriptors []v1.Descriptor
	for _, file := range files {
		if path.Ext(file) != "" {
			continue // a file that is being written
		}
		data, err := s.driver.GetContent(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("read referrer of %s@%s: %w", repository, subject, err)
		}
		var descriptor v1.Descriptor
		if err := json.Unmarshal(data, &descriptor); err != nil {
			return nil, fmt.Errorf("read referrer of %s@%s: %w", repository, subject, err)
		}
		descriptors = append(descriptors, descriptor)
	}
	return descriptors, nil
}
