package install_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/call"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

func TestCall(t *testing.T) {
	t.Parallel()
	satellite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/algo/foo/bar" || r.Header.Get("Authorization") != "Bearer key" {
			t.Errorf("the satellite is asked for %s with %q", r.URL, r.Header.Get("Authorization"))
		}
		_, _ = io.WriteString(w, `{"result":7}`)
	}))
	t.Cleanup(satellite.Close)
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	run := func(ctx context.Context) (string, error) {
		var out bytes.Buffer
		err := install.Call(ctx, f, call.Options{VanityURL: "foo/bar", URL: satellite.URL + "/", Key: "key", Input: strings.NewReader("7"), Out: &out, Report: progress.New(io.Discard)})
		return out.String(), err
	}
	_, err := run(t.Context())
	wantCode(t, err, fault.CodeFailed, "there is no launch in")
	mustGet(t, f, m.options())
	if out, err := run(t.Context()); err != nil || out != "{\"result\":7}\n" {
		t.Errorf("a call writes %q, %v", out, err)
	}
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	_, err = run(interrupted)
	wantCode(t, err, fault.CodeFailed, "call was interrupted; run the same command again")
}
