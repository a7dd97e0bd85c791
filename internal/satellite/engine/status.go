package engine

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

// status is what GET /v1/status answers a caller with a key: the satellite as
// all its engines see it.
type status struct {
	Satellite  config.Satellite  `json:"satellite"`
	Launch     config.Launch     `json:"launch"`
	Engines    int               `json:"engines"`
	Draining   bool              `json:"draining,omitempty"`
	Warning    string            `json:"warning,omitempty"`
	Algorithms []algorithmStatus `json:"algorithms"`
}

type algorithmStatus struct {
	VanityURL string            `json:"vanity_url"`
	Algorithm string            `json:"algorithm"`
	Ready     int               `json:"ready"`
	Desired   int               `json:"desired"`
	InFlight  int               `json:"in_flight"`
	Queued    int               `json:"queued"`
	Calls     uint64            `json:"calls"`
	Errors    map[string]uint64 `json:"errors"`
	Seconds   latencies         `json:"seconds"`
}

// latencies are of the calls that replicas answered, in seconds.
type latencies struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// Totals is Snapshot with what the satellite's other engines told of theirs.
func (e *Engine) Totals() stats.Snapshot {
	s := e.Snapshot()
	for _, other := range e.peers.snapshots() {
		s = s.Add(other)
	}
	return s
}

func (e *Engine) serveStatus(w http.ResponseWriter, r *http.Request) {
	var none *call
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		f := refuse(http.StatusMethodNotAllowed, "the status is read with GET")
		f.allow = "GET, HEAD"
		_ = e.write(w, none, none.failed(f))
		return
	}
	if _, f := (*e.keys.Load()).find([]byte(r.Header.Get("Authorization")), e.now()); f != nil {
		_ = e.write(w, none, none.failed(f))
		return
	}
	t, total := e.table.Load(), e.Totals()
	s := status{
		Satellite: t.satellite, Launch: config.Launch{ID: t.launch}, Engines: total.Engines,
		Draining: e.draining.Load(), Algorithms: make([]algorithmStatus, 0, len(total.Algorithms)),
	}
	s.Warning = t.warning.text(e.now())
	for _, a := range total.Algorithms {
		s.Algorithms = append(s.Algorithms, algorithmStatus{
			VanityURL: a.VanityURL, Algorithm: a.Algorithm, Ready: a.Ready, Desired: a.Desired,
			InFlight: a.InFlight, Queued: a.Queued, Calls: a.Calls, Errors: a.Errors,
			Seconds: latencies{seconds(a.Latency.Quantile(.5)), seconds(a.Latency.Quantile(.9)), seconds(a.Latency.Quantile(.99))},
		})
	}
	body, err := json.Marshal(s)
	if err != nil {
		_ = e.write(w, none, none.failed(&failure{status: http.StatusInternalServerError, message: "the status cannot be written"}))
		return
	}
	w.Header()["Cache-Control"] = []string{"no-store"}
	_ = e.write(w, none, reply{status: http.StatusOK, contentType: mediaJSON, nosniff: true, parts: [3][]byte{body}})
}

// seconds is d to the microsecond.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }
