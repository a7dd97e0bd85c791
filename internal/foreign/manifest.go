package foreign

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/retry"
)

// MaxManifest is the most bytes of a manifest that is read.
const MaxManifest = 4 << 20

// Media types of manifests beside OCI's.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

var accepted = strings.Join([]string{v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, dockerList, dockerManifest}, ", ")

// Manifest is a manifest or index as a registry has it.
type Manifest struct {
	Digest    string
	MediaType string
	Body      []byte
}

// Document is what is read of a manifest or index.
type Document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *v1.Descriptor    `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Manifests     []v1.Descriptor   `json:"manifests"`
	FSLayers      []json.RawMessage `json:"fsLayers"` // of the first schema
	Subject       *v1.Descriptor    `json:"subject"`
}

// IsIndex reports whether a manifest names other manifests.
func (m *Manifest) IsIndex() bool {
	return m.MediaType == v1.MediaTypeImageIndex || m.MediaType == dockerList
}

// Document reads the manifest; the error is for the user.
func (m *Manifest) Document() (*Document, error) {
	var d Document
	if err := json.Unmarshal(m.Body, &d); err != nil {
		return nil, retry.Permanent(constellation.Wrap(err, constellation.KindInvalid, "manifest %s is no JSON object of an image manifest or index", m.Digest))
	}
	switch {
	case d.SchemaVersion == 1 || len(d.FSLayers) > 0 || strings.Contains(m.MediaType, "docker.distribution.manifest.v1+"):
		return nil, retry.Permanent(constellation.Errorf(constellation.KindInvalid, "%s is a manifest of schema 1, which no cluster runs any more: push the image again with a current client, or copy it with skopeo copy --format v2s2", m.Digest))
	case d.SchemaVersion != 2:
		return nil, retry.Permanent(constellation.Errorf(constellation.KindInvalid, "the schemaVersion of manifest %s is %d, not 2", m.Digest, d.SchemaVersion))
	case !m.IsIndex() && m.MediaType != v1.MediaTypeImageManifest && m.MediaType != dockerManifest:
		return nil, retry.Permanent(constellation.Errorf(constellation.KindInvalid, "%s is of type %q, and no image manifest or index", m.Digest, clip(m.MediaType)))
	}
	return &d, nil
}

// Manifest returns a manifest by tag or digest. It has the digest that it was asked
// for by.
func (r *Registry) Manifest(ctx context.Context, repository, reference string) (*Manifest, error) {
	what := "manifest " + clip(repository+separator(reference)+reference)
	response, err := r.get(ctx, repository, "/manifests/"+reference, what, http.Header{"Accept": {accepted}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // only read
	if response.StatusCode != http.StatusOK {
		return nil, r.refused(response, what)
	}
	body, err := r.readAll(response.Body, MaxManifest, what)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Digest: digestOf(body), Body: body}
	if m.MediaType, _, err = mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil {
		m.MediaType = ""
	}
	var said struct {
		MediaType string `json:"mediaType"`
	}
	if json.Unmarshal(body, &said) == nil && said.MediaType != "" {
		m.MediaType = said.MediaType
	}
	for _, want := range []string{reference, response.Header.Get("Docker-Content-Digest")} {
		if strings.HasPrefix(want, "sha256:") && want != m.Digest {
			return nil, constellation.Errorf(constellation.KindInvalid, "%s answered with other content than %s: it has the digest %s", r.access.Host, clip(want), m.Digest)
		}
	}
	return m, nil
}

// Resolve returns the digest that a tag has now.
func (r *Registry) Resolve(ctx context.Context, repository, tag string) (string, error) {
	what := "tag " + clip(repository+":"+tag)
	c, err := r.client(ctx, repository)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, r.base+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Accept", accepted)
	response, err := c.Do(request)
	if err != nil {
		return "", r.failed(err, "ask for "+what, what)
	}
	_ = response.Body.Close() // it has none
	if response.StatusCode != http.StatusOK {
		return "", r.refused(response, what)
	}
	if digest := response.Header.Get("Docker-Content-Digest"); isDigest(digest) {
		return digest, nil
	}
	m, err := r.Manifest(ctx, repository, tag) // an old registry
	if err != nil {
		return "", err
	}
	return m.Digest, nil
}

// get asks for something; the caller looks at the status and closes the body.
func (r *Registry) get(ctx context.Context, repository, path, what string, header http.Header) (*http.Response, error) {
	c, err := r.client(ctx, repository)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/v2/"+repository+path, nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("make request: %w", err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := c.Do(request)
	if err != nil {
		cancel(nil)
		return nil, r.failed(err, "ask for "+what, what)
	}
	response.Body = watch(ctx, response.Body, r.stall, cancel)
	return response, nil
}

// readAll reads an answer of at most so many bytes.
func (r *Registry) readAll(body io.Reader, most int64, what string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, r.failed(err, "read "+what, what)
	}
	if int64(len(data)) > most {
		return nil, retry.Permanent(constellation.Errorf(constellation.KindTooLarge, "%s of %s has more than %d MiB, which is more than any image needs", what, r.access.Host, most>>20))
	}
	return data, nil
}

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func isDigest(text string) bool {
	digits, ok := strings.CutPrefix(text, "sha256:")
	return ok && len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == ""
}

func separator(reference string) string {
	if strings.Contains(reference, ":") {
		return "@"
	}
	return ":"
}

// clip keeps what a registry said from filling a message.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
