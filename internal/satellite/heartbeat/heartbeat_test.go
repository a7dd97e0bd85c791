package heartbeat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// someEngine is an engine's state and nothing behind it.
type someEngine struct {
	mu     sync.Mutex
	report Report
	peers  []string
}

func (e *someEngine) Report() Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.report
	e.report.KeysUsed = nil
	return r
}

func (e *someEngine) Take(told Access) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if told.Version < e.report.Access.Version {
		return false
	}
	e.report.Access = told
	return true
}

func (e *someEngine) Peers() []string { return e.peers }

func (e *someEngine) keys() []apiv1.HeartbeatKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.report.Access.Keys
}

func engineNamed(id, mothership string) *someEngine {
	return &someEngine{report: Report{
		Satellite: config.Satellite{ID: "sat", Version: 3}, Launch: "lau", Mothership: config.Mothership{URL: mothership},
		Access:     Access{Version: 5, Keys: []apiv1.HeartbeatKey{{ID: "k1", SHA256: "aa"}, {ID: "k2", SHA256: "bb"}}},
		Algorithms: []apiv1.HeartbeatAlgorithm{{VanityURL: "foo/bar", Wanted: 2, Ready: 1, InFlight: 1}},
		Counts:     apiv1.HeartbeatEngine{ID: id, Counts: []apiv1.HeartbeatCounts{{VanityURL: "foo/bar", Calls: 7}}},
	}}
}

// mothership answers heartbeats and keeps them.
type mothership struct {
	mu     sync.Mutex
	beats  []apiv1.Heartbeat
	header http.Header
	answer func(w http.ResponseWriter, beat apiv1.Heartbeat)
}

func (m *mothership) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	var beat apiv1.Heartbeat
	if err := json.Unmarshal(data, &beat); err != nil || r.Method != "POST" || r.URL.Path != "/v1/satellites/sat/launches/lau/heartbeat" {
		http.Error(w, "no heartbeat", http.StatusNotFound)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beats, m.header = append(m.beats, beat), r.Header.Clone()
	m.answer(w, beat)
}

func says(answer apiv1.HeartbeatAnswer) func(http.ResponseWriter, apiv1.Heartbeat) {
	return func(w http.ResponseWriter, _ apiv1.Heartbeat) { _ = json.NewEncoder(w).Encode(answer) }
}

func TestBeat(t *testing.T) {
	t.Parallel()
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	m := &mothership{answer: says(apiv1.HeartbeatAnswer{NextSeconds: 45, SatelliteVersion: 3, ExpiresAt: expires})}
	server := httptest.NewServer(m)
	defer server.Close()
	e := engineNamed("one", server.URL)
	e.report.KeysUsed = []string{"k2"}
	s := New(Options{Engine: e, Token: "cst_token", Version: "v1", Registry: prometheus.NewRegistry()})
	if next := s.beat(t.Context()); next != 45*time.Second {
		t.Errorf("next = %v, want the 45 s it was told", next)
	}
	want := []apiv1.Heartbeat{{
		Engine: "one", Sequence: 1, SatelliteVersion: 3, SystemVersion: "v1", KeysDigest: apiv1.KeysDigest(e.keys()),
		KeysUsed: []string{"k2"}, Algorithms: e.report.Algorithms, Engines: []apiv1.HeartbeatEngine{e.report.Counts},
	}}
	if diff := cmp.Diff(want, m.beats); diff != "" {
		t.Errorf("heartbeats (-want +got):\n%s", diff)
	}
	if got := m.header.Get("Authorization"); got != "Bearer cst_token" {
		t.Errorf("Authorization = %q", got)
	}
	if got := e.report.Access.ExpiresAt; !got.Equal(expires) {
		t.Errorf("expiry taken = %v, want %v", got, expires)
	}
}

// TestWhatIsToldIsOrderedByItsVersion: the greater version counts, whatever
// clocks say. A mothership that counts none, since it is older than this engine,
// is taken at its word; one that was restored from a backup knows less.
func TestWhatIsToldIsOrderedByItsVersion(t *testing.T) {
	t.Parallel()
	left := []apiv1.HeartbeatKey{{ID: "k1", SHA256: "aa"}}
	for _, test := range []struct {
		name            string
		answered, after int64
		taken           bool
	}{{"newer", 9, 9, true}, {"without what expired", 5, 5, true}, {"of a backup", 4, 5, false}, {"not counted", 0, 6, true}} {
		t.Run(test.name, func(t *testing.T) {
			m := &mothership{answer: says(apiv1.HeartbeatAnswer{
				NextSeconds: 30, SatelliteVersion: 3, AccessVersion: test.answered,
				Keys: &apiv1.HeartbeatKeys{Digest: apiv1.KeysDigest(left), Keys: left},
			})}
			server := httptest.NewServer(m)
			defer server.Close()
			e := engineNamed("one", server.URL)
			var log bytes.Buffer
			s := New(Options{Engine: e, Token: "t", Log: slog.New(slog.NewTextHandler(&log, nil))})
			s.beat(t.Context())
			if got := e.report.Access; got.Version != test.after || (len(got.Keys) == 1) != test.taken {
				t.Errorf("in force is %+v, want version %d, taken %v", got, test.after, test.taken)
			}
			if said := strings.Contains(log.String(), "the mothership knows less"); said == test.taken {
				t.Errorf("log = %s, want it said %v", &log, !test.taken)
			}
		})
	}
	// Keys that stay get the version of an answer without any.
	m := &mothership{answer: says(apiv1.HeartbeatAnswer{NextSeconds: 30, SatelliteVersion: 3, AccessVersion: 7})}
	server := httptest.NewServer(m)
	defer server.Close()
	e := engineNamed("one", server.URL)
	New(Options{Engine: e, Token: "t"}).beat(t.Context())
	if got := e.report.Access; got.Version != 7 || len(got.Keys) != 2 {
		t.Errorf("in force is %+v, want the same keys as version 7", got)
	}
}

// TestUsedKeysAreToldUntilTaken: a heartbeat that is not taken must not lose
// which keys called.
func TestUsedKeysAreToldUntilTaken(t *testing.T) {
	t.Parallel()
	m := &mothership{answer: func(w http.ResponseWriter, _ apiv1.Heartbeat) { w.WriteHeader(http.StatusServiceUnavailable) }}
	server := httptest.NewServer(m)
	defer server.Close()
	e := engineNamed("one", server.URL)
	s := New(Options{Engine: e, Token: "t"})
	e.report.KeysUsed = []string{"k1"}
	s.beat(t.Context())
	m.answer = says(apiv1.HeartbeatAnswer{NextSeconds: 30, SatelliteVersion: 3})
	s.beat(t.Context())
	s.beat(t.Context())
	var used [][]string
	for _, beat := range m.beats {
		used = append(used, beat.KeysUsed)
	}
	if diff := cmp.Diff([][]string{{"k1"}, {"k1"}, nil}, used); diff != "" {
		t.Errorf("keys told (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter, _ apiv1.Heartbeat)
		next   time.Duration
		said   string
	}{
		{"busy", func(w http.ResponseWriter, _ apiv1.Heartbeat) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		}, 2 * time.Minute, "429"},
		{"fault", func(w http.ResponseWriter, _ apiv1.Heartbeat) { w.WriteHeader(http.StatusBadGateway) }, defaultEvery, "502"},
		{"removed", func(w http.ResponseWriter, _ apiv1.Heartbeat) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"message":"there is no launch lau"}}`)
		}, maxRoutineInterval, "there is no launch lau"},
		{"elsewhere", func(w http.ResponseWriter, _ apiv1.Heartbeat) {
			w.Header().Set("Location", "https://other.example.com/")
			w.WriteHeader(http.StatusMovedPermanently)
		}, maxRoutineInterval, "configure stage.fqdn"},
		{"a day", func(w http.ResponseWriter, _ apiv1.Heartbeat) {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, maxInterval, "503"},
		{"not a mothership", func(w http.ResponseWriter, _ apiv1.Heartbeat) { _, _ = io.WriteString(w, "<html>") }, defaultEvery, "no mothership"},
		{"slow from now on", says(apiv1.HeartbeatAnswer{NextSeconds: 99999, SatelliteVersion: 3}), maxInterval, ""},
		{"nonsense", says(apiv1.HeartbeatAnswer{NextSeconds: -5, SatelliteVersion: 3}), defaultEvery, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(&mothership{answer: test.answer})
			defer server.Close()
			var log bytes.Buffer
			e := engineNamed("one", server.URL)
			s := New(Options{Engine: e, Token: "cst_secret", Log: slog.New(slog.NewTextHandler(&log, nil))})
			for range 2 {
				if next := s.beat(t.Context()); next != test.next {
					t.Errorf("next = %v, want %v", next, test.next)
				}
			}
			if !strings.Contains(log.String(), test.said) || test.said != "" && strings.Count(log.String(), "level=WARN") != 1 {
				t.Errorf("log = %s, want %q once", &log, test.said)
			}
			if strings.Contains(log.String(), "cst_secret") {
				t.Errorf("the log has the token: %s", &log)
			}
			if len(e.keys()) != 2 {
				t.Errorf("keys = %v, want those before", e.keys())
			}
		})
	}
}

func TestNothingIsSentWhenOff(t *testing.T) {
	t.Parallel()
	m := &mothership{answer: says(apiv1.HeartbeatAnswer{})}
	server := httptest.NewServer(m)
	defer server.Close()
	e, peer := engineNamed("one", ""), engineNamed("two", "")
	peers := httptest.NewServer(PeerHandler(peer, "t"))
	defer peers.Close()
	e.peers = []string{strings.TrimPrefix(peers.URL, "http://")}
	s := New(Options{Engine: e, Token: "t", Transport: func(config.Mothership) (http.RoundTripper, error) {
		t.Error("a way to the mothership was made")
		return http.DefaultTransport, nil
	}})
	s.beat(t.Context())
	if len(m.beats) != 0 || s.sequence != 0 {
		t.Errorf("%d heartbeats were sent, want none", len(m.beats))
	}
}

// TestRunComesBack: the mothership is away at first, and reported to again
// without waiting longer than an interval.
func TestRunComesBack(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	answers := []int{500, 500, 200, 200}
	done := make(chan struct{})
	m := &mothership{answer: func(w http.ResponseWriter, _ apiv1.Heartbeat) {
		mu.Lock()
		defer mu.Unlock()
		if len(answers) == 0 {
			return
		}
		w.WriteHeader(answers[0])
		fmt.Fprint(w, `{"next_seconds":0,"satellite_version":3}`)
		if answers = answers[1:]; len(answers) == 0 {
			close(done)
		}
	}}
	server := httptest.NewServer(m)
	defer server.Close()
	s := New(Options{Engine: engineNamed("one", server.URL), Token: "t", Every: 10 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Error("the mothership was not reported to again")
	}
	stop()
	waittest.Receive(t, "the end of the reports", ended)
}
