package registry

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// maxManifest is the most bytes of a manifest: distribution's own limit.
const maxManifest = 4 << 20

// document is what we read of a manifest or index.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *v1.Descriptor    `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Manifests     []v1.Descriptor   `json:"manifests"`
	Subject       *v1.Descriptor    `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// readManifest reads a manifest that a client puts, and holds it to its form:
// distribution's errors do not tell what it does not understand from a failure.
func readManifest(w http.ResponseWriter, r *http.Request) ([]byte, *document, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, nil, ociErrorf(http.StatusRequestEntityTooLarge, codeSizeInvalid, "a manifest has at most %d MiB", maxManifest>>20)
	}
	var full *constellation.Error
	if errors.As(err, &full) {
		return nil, nil, full
	}
	if err != nil {
		return nil, nil, ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the manifest did not arrive whole")
	}
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, nil, ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the manifest is not a JSON object of an image manifest or index")
	}
	if err := doc.check(); err != nil {
		return nil, nil, err
	}
	return body, &doc, nil
}

// check refuses a manifest of another schema, and one with a descriptor that
// names no content.
func (d *document) check() error {
	if d.SchemaVersion != 2 {
		return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the manifest's schemaVersion is %d; this registry stores 2", d.SchemaVersion)
	}
	descriptors := slices.Concat(d.Layers, d.Manifests)
	for _, one := range []*v1.Descriptor{d.Config, d.Subject} {
		if one != nil {
			descriptors = append(descriptors, *one)
		}
	}
	for _, descriptor := range descriptors {
		if err := checkDigest(descriptor.Digest.String()); err != nil {
			return err
		}
		if descriptor.Size < 0 {
			return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the manifest says that %s has %d bytes", descriptor.Digest, descriptor.Size)
		}
		for _, text := range descriptor.URLs {
			if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
				return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the manifest says that %s is at %q, which is no address by http or https", descriptor.Digest, shorten(text))
			}
		}
	}
	return nil
}

// contentType is the media type that the client sends, in its header or else
// in the document.
func contentType(r *http.Request, doc *document) string {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil {
		return media
	}
	return doc.MediaType
}
