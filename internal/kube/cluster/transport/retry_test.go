package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/kube/cluster/transport"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
)

const document = `{"kind":"ConfigMap","apiVersion":"v1"}`

// server answers with a document, and befalls the first faults requests.
func server(t *testing.T, fault kubetest.Fault, faults int64) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	good := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, document)
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || r.Method == http.MethodPatch && string(body) != "patch" {
			t.Errorf("the server got %q, %v", body, err)
		}
		if asked.Add(1) <= faults {
			fault(w, r, good)
			return
		}
		good.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func send(t *testing.T, p transport.RetryPolicy, base http.RoundTripper, method, url string) (string, error) {
	t.Helper()
	var body io.Reader
	if method == http.MethodPatch {
		body = bytes.NewReader([]byte("patch"))
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if base == nil {
		base = p.Wrap(http.DefaultTransport)
	}
	response, err := base.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, data), err
}

func TestTransport(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault kubetest.Fault
		again bool
		says  string // of the one try that is not repeated
	}{
		"refused":     {kubetest.Refused, true, "EOF"},
		"lost":        {kubetest.Lost, true, "EOF"},
		"cut":         {kubetest.Cut, true, "broke off after"},
		"cut quietly": {kubetest.CutQuietly, true, "broke off after 19 bytes"},
		"a page":      {kubetest.Page, true, "web page"},
		"429":         {kubetest.Status(429, 0, "slow down"), true, "429 Too Many Requests: slow down"},
		"500":         {kubetest.Status(500, 0, "etcdserver: leader changed"), true, "leader changed"},
		"503":         {kubetest.Status(503, 0, "shutting down"), true, "shutting down"},
		"403":         {kubetest.Status(403, 0, "no"), false, ""},
		"404":         {kubetest.Status(404, 0, "no"), false, ""},
		"409":         {kubetest.Status(409, 0, "no"), false, ""},
		"422":         {kubetest.Status(422, 0, "no"), false, ""},
		"501":         {kubetest.Status(501, 0, "no"), false, ""},
	}
	for name, test := range tests {
		for _, method := range []string{http.MethodGet, http.MethodPatch} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				url, asked := server(t, test.fault, 2)
				got, err := send(t, transport.RetryPolicy{Budget: time.Minute}, nil, method, url)
				switch {
				case test.again && (err != nil || got != "200 "+document || asked.Load() != 3):
					t.Errorf("%q, %v after %d requests; want the document after 3", got, err, asked.Load())
				case !test.again && (err != nil || got[:3] != name || asked.Load() != 1):
					t.Errorf("%q, %v after %d requests; want the server's answer at once", got, err, asked.Load())
				}
				if !test.again {
					return
				}
				url, asked = server(t, test.fault, 9)
				_, err = send(t, transport.RetryPolicy{}, nil, method, url)
				if !errors.Is(err, transport.ErrUnreachable) || !strings.Contains(err.Error(), test.says) || method == http.MethodPatch && asked.Load() != 1 {
					t.Errorf("without a budget: %v after %d requests; want an ErrUnreachable that says %q", err, asked.Load(), test.says)
				}
			})
		}
	}
}

// A server's Retry-After is heeded.
func TestTransportWaitsAsAsked(t *testing.T) {
	t.Parallel()
	url, asked := server(t, kubetest.Status(429, 1, "slow down"), 1)
	begun := time.Now()
	got, err := send(t, transport.RetryPolicy{Budget: time.Minute}, nil, http.MethodGet, url)
	if err != nil || asked.Load() != 2 || time.Since(begun) < time.Second {
		t.Errorf("%q, %v after %d requests in %s; want the second after a second", got, err, asked.Load(), time.Since(begun))
	}
}

// The budget is of an outage: when one request was given up for an outage,
// the next one is not tried for as long again.
func TestBudgetIsOfTheOutage(t *testing.T) {
	t.Parallel()
	url, asked := server(t, kubetest.Refused, 1<<40)
	var told atomic.Int64
	p := transport.RetryPolicy{Budget: 6 * time.Second, Report: func(string, ...any) { told.Add(1) }}
	way := p.Wrap(http.DefaultTransport)
	if _, err := send(t, p, way, http.MethodGet, url); !errors.Is(err, transport.ErrUnreachable) || asked.Load() < 3 {
		t.Fatalf("%v after %d requests; want an ErrUnreachable after several", err, asked.Load())
	}
	asked.Store(0)
	if _, err := send(t, p, way, http.MethodPatch, url); !errors.Is(err, transport.ErrUnreachable) || asked.Load() != 1 {
		t.Errorf("the next one: %v after %d requests, want one", err, asked.Load())
	}
	if told.Load() != 1 {
		t.Errorf("one outage was told %d times", told.Load())
	}
}
