package engine

import (
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// insightEvent is the line in the access log that insights become.
type insightEvent struct {
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

// serveInsights takes what an algorithm reports. It is not authenticated: who
// sends is known by the address, which has to be a replica's.
func (e *Engine) serveInsights(w http.ResponseWriter, r *http.Request) {
	if f := e.takeInsights(r); f != nil {
		_ = e.write(w, nil, protocol.ErrorReply(f))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (e *Engine) takeInsights(r *http.Request) *protocol.Failure {
	if r.Method != http.MethodPost {
		f := protocol.Refuse(http.StatusMethodNotAllowed, "insights are reported with POST")
		f.Allow = http.MethodPost
		return f
	}
	insights, n, f := protocol.ReadInsights(r.Body)
	if f != nil {
		return f
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	route, running := e.sender(host)
	if route == nil {
		return protocol.Refuse(http.StatusForbidden, "insights are taken from this satellite's algorithms only")
	}
	now := time.Now()
	event := insightEvent{
		Time: now.UTC(), Level: "INFO", Message: "insight", Insights: insights,
		Owner: route.Ref.Owner, Name: route.Ref.Name, Version: route.Ref.Hash,
	}
	if id := r.Header.Get("X-Request-Id"); id != "" {
		event.RequestID = protocol.RequestID(id)
	}
	if running != nil {
		event.RequestID = running.ID
		ms := now.Sub(running.Start).Milliseconds()
		event.Duration = &ms
	}
	event.SessionID = event.RequestID
	e.metrics.AddInsights(route.VanityURL, n)
	if line, err := json.Marshal(event); err == nil {
		e.access.WriteLine(line)
	}
	return nil
}

// sender returns the algorithm that has a replica at host, and the call that
// runs there when that is certain.
func (e *Engine) sender(host string) (*routing.Route, *call.Running) {
	var (
		found *routing.Route
		runs  *call.Running
		n     int
	)
	for _, route := range e.table.Load().Routes {
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
