package registry

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/distribution/distribution/v3/manifest/manifestlist"
	"github.com/distribution/distribution/v3/manifest/schema2"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// manifestTypes are the media types that the registry stores. We send them
// all as Accept: the bytes of a manifest never depend on who asks.
var manifestTypes = []string{
	v1.MediaTypeImageManifest, v1.MediaTypeImageIndex, schema2.MediaTypeManifest, manifestlist.MediaTypeManifestList,
}

// forward passes the request on to distribution's handlers.
func (g *Registry) forward(w http.ResponseWriter, q request, body io.ReadCloser) error {
	if err := checkUpload(q); err != nil {
		return err
	}
	w.Header().Del(apiVersionHeader) // distribution adds its own
	out := &faultRecorder{ResponseWriter: w}
	sent := &sentBody{ReadCloser: body}
	g.storage.app.ServeHTTP(out, g.outgoing(q.Context(), q, sent))
	switch {
	case !out.failed:
		return nil
	case sent.err != nil: // distribution takes it for a failure of its own
		return ociErrorf(http.StatusBadRequest, codeUploadInvalid, "the upload stopped before its end; go on from where it is, or begin anew")
	}
	return g.fault(q.Context())
}

// outgoing makes the request that distribution sees, from the parsed route
// and the few parameters that belong to it, so that it cannot read anything
// that the gate did not.
func (g *Registry) outgoing(ctx context.Context, q request, body io.ReadCloser) *http.Request {
	out := q.Clone(ctx)
	out.Body = body
	out.RemoteAddr = clientAddress(q.Request) // for its log, which would believe any caller's X-Forwarded-For
	out.URL = &url.URL{Path: q.route.path(), RawQuery: g.query(q).Encode()}
	out.RequestURI = out.URL.RequestURI()
	for _, name := range []string{"Authorization", "Cookie", "Forwarded", "X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"} {
		out.Header.Del(name)
	}
	switch q.route.kind {
	case routeManifest:
		out.Header.Set("Accept", strings.Join(manifestTypes, ", "))
	case routeUploads, routeUpload:
		// Distribution reads mount, from and digest from a form body too.
		out.Header.Set("Content-Type", "application/octet-stream")
	}
	return out
}

// query keeps the parameters that the route knows. A mount from a repository
// that the caller may not pull is dropped: the client then uploads instead.
func (g *Registry) query(q request) url.Values {
	known := map[routeKind][]string{
		routeCatalog: {"n", "last"},
		routeTags:    {"n", "last"},
		routeUploads: {"digest", "mount", "from"},
		routeUpload:  {"digest", "_state"},
	}[q.route.kind]
	in, out := q.URL.Query(), url.Values{}
	for _, name := range known {
		if value := in.Get(name); value != "" {
			out.Set(name, value)
		}
	}
	if q.route.kind == routeUploads && !g.mayMount(q, out) {
		out.Del("mount")
		out.Del("from")
	}
	return out
}

// contentRange is the range of a chunk as the distribution specification has
// it: first and last byte, both counted from 0.
var contentRange = regexp.MustCompile(`^([0-9]{1,18})-([0-9]{1,18})$`)

// checkUpload refuses what distribution would take for a failure of its own,
// and a digest that content could be stored under and never be pulled or
// bundled by.
func checkUpload(q request) error {
	if q.route.kind != routeUpload && q.route.kind != routeUploads {
		return nil
	}
	if text := q.Header.Get("Content-Range"); text != "" {
		m := contentRange.FindStringSubmatch(text)
		if m == nil || number(m[1]) > number(m[2]) {
			return ociErrorf(http.StatusRequestedRangeNotSatisfiable, codeRangeInvalid, "the Content-Range %q is not FIRST-LAST, the numbers of the chunk's first and last byte", shorten(text))
		}
	}
	if !q.URL.Query().Has("digest") {
		return nil
	}
	return checkDigest(q.URL.Query().Get("digest"))
}

// number reads digits that fit.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// sentBody notes that a client's body broke off.
type sentBody struct {
	io.ReadCloser
	err error
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func (g *Registry) mayMount(q request, parameters url.Values) bool {
	from := parameters.Get("from")
	return repositoryPattern.MatchString(from) &&
		!strings.HasPrefix(from+"/", satellitesPrefix) &&
		checkDigest(parameters.Get("mount")) == nil &&
		g.control.CanPull(q.principal, from) == nil
}

// bufferedResponse is a response held back until the change that it reports is stored.
type bufferedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// forwardBuffered passes a manifest on to distribution and holds the answer back.
func (g *Registry) forwardBuffered(ctx context.Context, q request, body []byte) *bufferedResponse {
	a := &bufferedResponse{header: http.Header{}}
	out := g.outgoing(ctx, q, io.NopCloser(bytes.NewReader(body)))
	out.ContentLength = int64(len(body))
	out.TransferEncoding = nil
	g.storage.app.ServeHTTP(a, out)
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a
}

// Header implements http.ResponseWriter.
func (a *bufferedResponse) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *bufferedResponse) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *bufferedResponse) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *bufferedResponse) ok() bool { return a.status >= 200 && a.status < 300 }

// Error says that distribution refused; the answer itself has its reason.
func (a *bufferedResponse) Error() string { return "distribution refused: " + a.body.String() }

// writeTo sends the answer.
func (a *bufferedResponse) writeTo(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the client's connection is not ours to mend
}
