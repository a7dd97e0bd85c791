package insight

import (
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
)

// event is the line in the access log that insights become.
type event struct {
	Time      time.Time         `json:"time"`
	Level     string            `json:"level"`
	Message   string            `json:"msg"`
	RequestID string            `json:"request_id,omitempty"`
	SessionID string            `json:"session_id,omitempty"`
	Duration  *int64            `json:"duration_milliseconds,omitempty"`
	Owner     string            `json:"algorithm_owner"`
	Name      string            `json:"algorithm_name"`
	Version   string            `json:"algorithm_version"`
	Insights  map[string]string `json:"insights"`
}

// Taker takes insights.
type Taker struct {
	Table   func() *routing.Table
	Metrics *telemetry.Metrics
	Access  *telemetry.AccessLog
}

// Take takes what an algorithm reports. It is not authenticated: who sends is
// known by the address, which has to be a replica's.
func (t *Taker) Take(r *http.Request) *protocol.Failure {
	if r.Method != http.MethodPost {
		f := protocol.Refuse(http.StatusMethodNotAllowed, "insights are reported with POST")
		f.Allow = http.MethodPost
		return f
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	route, running := t.sender(host)
	if route == nil {
		return protocol.Refuse(http.StatusForbidden, "insights are taken from this satellite's algorithms only")
	}
	insights, n, f := protocol.ReadInsights(r.Body)
	if f != nil {
		return f
	}
	now := time.Now()
	line := event{
		Time: now.UTC(), Level: "INFO", Message: "insight", Insights: insights,
		Owner: route.Ref.Owner, Name: route.Ref.Name, Version: route.Ref.Hash,
	}
	if id := r.Header.Get("X-Request-Id"); id != "" {
		line.RequestID = protocol.RequestID(id)
	}
	if running != nil {
		line.RequestID = running.ID
		ms := now.Sub(running.Start).Milliseconds()
		line.Duration = &ms
	}
	line.SessionID = line.RequestID
	t.Metrics.AddInsights(route.VanityURL, n)
	if data, err := json.Marshal(line); err == nil {
		t.Access.WriteLine(data)
	}
	return nil
}

// sender returns the algorithm that has a replica at host, and the call that
// runs there when that is certain.
func (t *Taker) sender(host string) (*routing.Route, *call.Running) {
	var (
		found *routing.Route
		runs  *call.Running
		n     int
	)
	for _, route := range t.Table().Routes {
		for _, at := range route.Pool.At(host) {
			found, runs = route, nil
			if at.Sole {
				runs = call.ReplicaOf(at.Replica).Running()
			}
			n++
		}
	}
	if n > 1 {
		runs = nil
	}
	return found, runs
}
