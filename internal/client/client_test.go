package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// answering is a mothership that answers every request alike.
func answering(t *testing.T, status int, body string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Request-Id", "from-header")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return New(server.URL+"/", "cst_key", server.Client())
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   Error
	}{
		{
			"the API's", 422,
			`{"error":{"id":"r1","code":6001,"reason":"validation","message":"name is missing","fields":[{"field":"name","message":"name is missing"}]}}`,
			Error{Status: 422, Code: 6001, Reason: apiv1.ReasonValidation, Message: "name is missing", Fields: []apiv1.FieldError{{Field: "name", Message: "name is missing"}}, RequestID: "r1"},
		},
		{
			"a proxy's page", 502, "<html>Bad gateway</html>",
			Error{Status: 502, Message: "Bad Gateway; the answer is not a mothership's, so check the address", RequestID: "from-header"},
		},
		{
			"another API's", 404, `{"error":"nope"}`,
			Error{Status: 404, Message: "Not Found; the answer is not a mothership's, so check the address", RequestID: "from-header"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := answering(t, test.status, test.body).Account(t.Context())
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("Account() error = %v, want an *Error", err)
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusPredicates(t *testing.T) {
	t.Parallel()
	for status, is := range map[int]func(error) bool{
		401: IsAuthentication, 403: IsAuthentication, 404: IsNotFound, 409: IsConflict, 412: IsPreconditionFailed,
	} {
		_, err := answering(t, status, `{"error":{"message":"no"}}`).Account(t.Context())
		if !is(err) {
			t.Errorf("the predicate of %d does not know %v", status, err)
		}
		if is(errors.New("other")) || is(nil) {
			t.Errorf("the predicate of %d knows any error", status)
		}
	}
}

func TestAnswerThatIsNoMothership(t *testing.T) {
	t.Parallel()
	_, err := answering(t, 200, "<html>Welcome</html>").Account(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is the address right?") {
		t.Errorf("Account() error = %v, want a hint at the address", err)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	c := answering(t, 200, `{"username":"neo"}`)
	c.limit = 18
	if _, err := c.Account(t.Context()); err != nil {
		t.Fatalf("Account() of 18 bytes: %v", err)
	}
	c.limit = 17
	_, err := c.Account(t.Context())
	if err == nil || !strings.Contains(err.Error(), "larger than 17 bytes") {
		t.Errorf("Account() error = %v, want that the answer is too large", err)
	}
}

func TestContextEndsCall(t *testing.T) {
	t.Parallel()
	started := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		waittest.Hold(t, r.Context().Done())
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		waittest.Hold(t, started)
		cancel()
	}()
	_, err := New(server.URL, "cst_key", server.Client()).Account(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Account() error = %v, want context.Canceled", err)
	}
}

func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("If-Match"), r.Header.Get("Content-Type"), string(body))
		w.Header().Set("ETag", `"4"`)
		_, _ = io.WriteString(w, `{"name":"b"}`)
	}))
	t.Cleanup(server.Close)
	name := "b"
	satellite, etag, err := New(server.URL, "cst_key", server.Client()).UpdateSatellite(t.Context(), "../a b", `"3"`, apiv1.SatelliteUpdate{Name: &name})
	if err != nil || satellite.Name != "b" || etag != `"4"` {
		t.Fatalf("UpdateSatellite() = %v, %q, %v", satellite, etag, err)
	}
	want := []string{"PATCH /v1/satellites/..%2Fa%20b", "Bearer cst_key", `"3"`, "application/json", `{"name":"b"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestPlanNotModified(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"sha256:1"`)
		if r.Header.Get("If-None-Match") == `"sha256:1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, `{"launch":"{}","plan":"{}"}`)
	}))
	t.Cleanup(server.Close)
	c := New(server.URL, "cst_key", server.Client())
	plan, etag, notModified, err := c.Plan(t.Context(), "s", "l", "")
	if err != nil || notModified || plan.Plan != "{}" || etag != `"sha256:1"` {
		t.Fatalf("Plan() = %v, %q, %v, %v", plan, etag, notModified, err)
	}
	plan, _, notModified, err = c.Plan(t.Context(), "s", "l", etag)
	if err != nil || !notModified || plan != nil {
		t.Errorf("Plan(%q) = %v, %v, %v; want not modified", etag, plan, notModified, err)
	}
}

// A key goes to the address that the client was made for, and nowhere that an
// answer names: not to another host or port, and not from TLS to plain HTTP.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was sent on, with Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL+r.URL.Path)
			w.WriteHeader(status)
		}))
		t.Cleanup(server.Close)
		c := New(server.URL, "cst_key", server.Client())
		_, read := c.Account(t.Context())
		_, write := c.CreateSatellite(t.Context(), apiv1.SatelliteCreate{Name: "edge"})
		for _, err := range []error{read, write} {
			var got *Error
			if !errors.As(err, &got) || got.Status != status || !strings.Contains(got.Message, elsewhere.URL) {
				t.Errorf("%d: error %v, want one with the status that names %s", status, err, elsewhere.URL)
			}
		}
	}
}

// TestWhatALimitRefusesIsSentAgain after the time that it asks for, and not when that
// is long, or again and again.
func TestWhatALimitRefusesIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		refusals int // before it is granted
		after    string
		requests int
		status   int // in the end
		waits    time.Duration
	}{
		{"a second", 1, "1", 2, 200, time.Second},
		{"at once", 3, "0", 1, 429, 0}, // it does not say how long
		{"too long", 1, "61", 1, 429, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var bodies []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				bodies = append(bodies, string(body))
				if len(bodies) <= test.refusals {
					w.Header().Set("Retry-After", test.after)
					w.WriteHeader(http.StatusTooManyRequests)
					_, _ = io.WriteString(w, `{"error":{"message":"too many"}}`)
					return
				}
				_, _ = io.WriteString(w, `{}`)
			}))
			defer server.Close()
			begun := time.Now()
			_, err := New(server.URL, "cst_key", server.Client()).CreateSatellite(t.Context(), apiv1.SatelliteCreate{Name: "s"})
			status := 200
			var e *Error
			if errors.As(err, &e) {
				status = e.Status
			}
			if status != test.status || len(bodies) != test.requests || time.Since(begun) < test.waits {
				t.Errorf("%d requests in %s end with %v, want %d and %d", len(bodies), time.Since(begun), err, test.requests, test.status)
			}
			for _, body := range bodies {
				if body != bodies[0] || body == "" {
					t.Errorf("the bodies are %q", bodies)
				}
			}
		})
	}
	t.Run("its context ends", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
			cancel()
		}))
		defer server.Close()
		if _, err := New(server.URL, "cst_key", server.Client()).Account(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	})
}
