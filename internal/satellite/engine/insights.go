package engine

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Limits of POST /v1/insights (reference section 1).
const (
	maxInsights     = 25
	maxInsightsBody = 25 << 10
)

// insight is one metric that an algorithm reports of its call.
type insight struct {
	Key   *string         `json:"insight_key"`
	Value json.RawMessage `json:"insight_value"`
}

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
	var none *call
	if f := e.takeInsights(r); f != nil {
		_ = e.write(w, none, none.failed(f))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (e *Engine) takeInsights(r *http.Request) *failure {
	if r.Method != http.MethodPost {
		f := refuse(http.StatusMethodNotAllowed, "insights are reported with POST")
		f.allow = http.MethodPost
		return f
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxInsightsBody+1))
	if err != nil {
		return refuse(http.StatusBadRequest, "the body was cut off or is not what its headers say")
	}
	if len(body) > maxInsightsBody {
		return refuse(http.StatusRequestEntityTooLarge, "insights are larger than 25 KB")
	}
	var list []insight
	if json.Unmarshal(body, &list) != nil {
		return refuse(http.StatusBadRequest, `insights are a JSON array of {"insight_key","insight_value"}`)
	}
	if len(list) > maxInsights {
		return refuse(http.StatusBadRequest, "there are more than 25 insights in one report")
	}
	insights := make(map[string]string, len(list))
	for _, i := range list {
		if i.Key == nil || *i.Key == "" || i.Value == nil {
			return refuse(http.StatusBadRequest, "each insight has an insight_key and an insight_value")
		}
		insights[*i.Key] = string(unquote(i.Value))
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	route, running := e.sender(host)
	if route == nil {
		return refuse(http.StatusForbidden, "insights are taken from this satellite's algorithms only")
	}
	now := time.Now()
	event := insightEvent{
		Time: now.UTC(), Level: "INFO", Message: "insight", Insights: insights,
		Owner: route.ref.Owner, Name: route.ref.Name, Version: route.ref.Hash,
	}
	if id := r.Header.Get("X-Request-Id"); id != "" {
		event.RequestID = requestID(id)
	}
	if running != nil {
		event.RequestID = running.id
		ms := now.Sub(running.start).Milliseconds()
		event.Duration = &ms
	}
	event.SessionID = event.RequestID
	e.metrics.insights.WithLabelValues(route.VanityURL).Add(float64(len(list)))
	if line, err := json.Marshal(event); err == nil {
		e.access.line(line)
	}
	return nil
}

// running is the call of a replica that has one call at a time.
type running struct {
	id    string
	start time.Time
}

// sender gives the algorithm that has a replica at host, and the call that
// runs there when that is certain.
func (e *Engine) sender(host string) (*route, *running) {
	var (
		found *route
		call  *running
		n     int
	)
	for _, route := range e.table.Load().routes {
		for _, c := range route.pool.runningAt(host) {
			found, call = route, c
			n++
		}
	}
	if n > 1 || call != nil && call.id == "" {
		call = nil
	}
	return found, call
}

// runningAt gives an entry for each replica at host: the call that runs there
// when it can be only one, else an empty one.
func (p *pool) runningAt(host string) []*running {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*running
	for _, r := range p.replicas {
		if !strings.HasPrefix(r.addr, host+":") && !strings.HasPrefix(r.addr, "["+host+"]:") {
			continue
		}
		at := &running{}
		if c := r.current.Load(); c != nil && r.mine == 1 && p.concurrency == 1 {
			*at = *c
		}
		out = append(out, at)
	}
	return out
}
