package engine

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

// status is what GET /v1/status answers a caller with a key: the satellite as
// all its engines see it, with the algorithms that the key may call.
type status struct {
	Satellite  config.Satellite  `json:"satellite"`
	Launch     config.Launch     `json:"launch"`
	Engines    int               `json:"engines"`
	Draining   bool              `json:"draining,omitempty"`
	Warning    string            `json:"warning,omitempty"`
	Algorithms []algorithmStatus `json:"algorithms"`
	Refused    []refusedRoute    `json:"refused,omitempty"`
}

// refusedRoute is an algorithm that cannot be called, and why.
type refusedRoute struct {
	VanityURL string `json:"vanity_url"`
	Reason    string `json:"reason"`
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
	Scale     *stats.Scale      `json:"scale,omitempty"` // of replicas that follow the load
}

// latencies are of the calls that replicas answered, in seconds.
type latencies struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// Totals is Snapshot with what the satellite's other engines reported of theirs.
func (e *Engine) Totals() stats.Snapshot {
	s := e.Snapshot()
	for _, other := range e.snapshots() {
		s = s.Add(other)
	}
	return s
}

func (e *Engine) serveStatus(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		f := protocol.Refuse(http.StatusMethodNotAllowed, "the status is read with GET")
		f.Allow = "GET, HEAD"
		_ = e.write(w, nil, protocol.ErrorReply(f))
		return
	}
	key, f := e.authenticate(r)
	if f != nil {
		_ = e.write(w, nil, protocol.ErrorReply(f))
		return
	}
	t, total := e.table.Load(), e.Totals()
	s := status{
		Satellite: t.Satellite, Launch: config.Launch{ID: t.Launch}, Engines: total.Engines,
		Draining: e.draining.Load(), Algorithms: []algorithmStatus{},
	}
	s.Warning = t.Warning.Text(e.now())
	for _, part := range t.Refused {
		if key.May(part.Name) {
			s.Refused = append(s.Refused, refusedRoute{part.Name, part.Reason})
		}
	}
	for _, a := range total.Algorithms {
		if !key.May(a.VanityURL) {
			continue
		}
		s.Algorithms = append(s.Algorithms, algorithmStatus{
			VanityURL: a.VanityURL, Algorithm: a.Algorithm, Ready: a.Ready, Desired: a.Desired,
			InFlight: a.InFlight, Queued: a.Queued, Calls: a.Calls, Errors: a.Errors,
			Scale:   a.Scale,
			Seconds: latencies{seconds(a.Latency.Quantile(.5)), seconds(a.Latency.Quantile(.9)), seconds(a.Latency.Quantile(.99))},
		})
	}
	body, err := json.Marshal(s)
	if err != nil {
		_ = e.write(w, nil, protocol.ErrorReply(&protocol.Failure{Status: http.StatusInternalServerError, Message: "the status cannot be written"}))
		return
	}
	w.Header()["Cache-Control"] = []string{"no-store"}
	_ = e.write(w, nil, protocol.Reply{Status: http.StatusOK, ContentType: protocol.MediaJSON, Nosniff: true, Parts: [3][]byte{body}})
}

// seconds is d to the microsecond.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }

// prove answers a challenge with the proof of which launch this engine is of and
// whether it reaches its queue, with a key or without: an installer that asks by
// the way that callers take has none.
func (e *Engine) prove(w http.ResponseWriter, r *http.Request) {
	launch, challenge := e.table.Load().Launch, r.Header.Get(config.ChallengeHeader)
	if challenge != "" && len(challenge) <= config.ChallengeLimit && launch != "" {
		w.Header().Set(config.ProofHeader, config.Proof(launch, challenge))
		if state := e.durable.Reached(); state != "" {
			w.Header().Set(config.QueueHeader, config.QueueProof(launch, challenge, state))
		}
	}
}
