package install_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// What the registry, or a proxy before it, says of a push reaches the operator
// as it was said, whichever of the blobs it was about and whatever befell the
// others.
func TestPushRepeatsWhatTheRegistrySaid(t *testing.T) {
	t.Parallel()
	const quota = `{"errors":[{"code":"DENIED","message":"quota exceeded","detail":"adding 3.0 MiB of storage resource, which exceeds the limit of 10 GiB"}]}`
	upload := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/")
	}
	for _, test := range []struct {
		name   string
		size   int64
		befall func(w http.ResponseWriter, r *http.Request, next http.Handler, digest string) bool
		code   fault.Code
		says   []string
	}{
		{"too large for the registry, always", 600_000, func(w http.ResponseWriter, r *http.Request, next http.Handler, _ string) bool {
			if !upload(r) && r.Method != http.MethodPatch {
				return false
			}
			status(http.StatusRequestEntityTooLarge, `{"errors":[{"code":"SIZE_INVALID","message":"blobs have at most 100 kB here"}]}`)(w, r, next)
			return true
		}, fault.CodeFailed, []string{"413", "blobs have at most 100 kB here"}},
		{"too large for a proxy, always", 20 << 20, func(w http.ResponseWriter, r *http.Request, next http.Handler, _ string) bool {
			if r.ContentLength < 100_000 {
				return false
			}
			status(http.StatusRequestEntityTooLarge, "<html><head><title>413 Request Entity Too Large</title></head>nginx</html>", "Content-Type", "text/html")(w, r, next)
			return true
		}, fault.CodeFailed, []string{"413 Request Entity Too Large"}},
		{"a quota, while another blob's connection breaks", 30_000, func(w http.ResponseWriter, r *http.Request, next http.Handler, digest string) bool {
			switch {
			case !upload(r):
				return false
			case strings.Contains(r.URL.RawQuery, strings.TrimPrefix(digest, "sha256:")):
				status(http.StatusPreconditionFailed, quota)(w, r, next)
			default:
				reset(w)
			}
			return true
		}, fault.CodeFailed, []string{"quota exceeded: adding 3.0 MiB of storage resource"}},
		{"a quota, said before the bytes are read", 6 << 20, func(w http.ResponseWriter, r *http.Request, _ http.Handler, _ string) bool {
			if !upload(r) && r.Method != http.MethodPatch {
				return false
			}
			connection, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprintf(connection, "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(quota), quota)
			_ = connection.Close() // with bytes that nobody read: a reset
			return true
		}, fault.CodeAuth, []string{"quota exceeded"}},
		{"several errors of a manifest", 3000, func(w http.ResponseWriter, r *http.Request, next http.Handler, _ string) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "/launch-") {
				return false
			}
			status(http.StatusBadRequest, `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":"foreign layers are not allowed"},{"code":"UNSUPPORTED","message":"the scan is not done"}]}`)(w, r, next)
			return true
		}, fault.CodeFailed, []string{"manifest invalid: foreign layers are not allowed; the scan is not done"}},
		{"a line of text", 3000, func(w http.ResponseWriter, r *http.Request, next http.Handler, _ string) bool {
			if !upload(r) {
				return false
			}
			status(http.StatusInsufficientStorage, "no space\nleft", "Content-Type", "text/plain")(w, r, next)
			return true
		}, fault.CodeFailed, []string{"507", "no space left"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPrivate(t)
			m, f := gotten(t, p, test.size)
			p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if strings.HasSuffix(r.URL.Path, "/execution-engine/blobs/uploads/") || !test.befall(w, r, next, m.layers[0]) {
					next.ServeHTTP(w, r)
				}
			})
			_, err := install.Push(t.Context(), f, pushOptions())
			wantCode(t, err, test.code, test.says...)
		})
	}
}

// A tag that does not move costs nothing, and is told in the registry's words.
func TestPushTellsOfAnImmutableTag(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	_, f := gotten(t, p, 3000)
	var refused atomic.Int64
	p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/neo-") {
			refused.Add(1)
			status(http.StatusPreconditionFailed, `{"errors":[{"code":"PRECONDITION","message":"configured as immutable by Trinity"}]}`)(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
	var said waittest.Buffer
	o := pushOptions()
	o.Progress = progress.New(io.MultiWriter(&said))
	wantPulled(t, mustPush(t, f, o))
	if !strings.Contains(said.String(), "configured as immutable by Trinity") || refused.Load() != 1 {
		t.Errorf("said %q after %d refusals, want the registry's words", said.String(), refused.Load())
	}
}
