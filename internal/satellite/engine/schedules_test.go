package engine

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestScheduleCallsThroughTheQueue(t *testing.T) {
	s := newStrict(t, nil)
	route := lsRoute("foo/bar", s.addr)
	route.Schedules = []constellation.Schedule{{Name: "often", Cron: "* * * * *", TimeZone: "Europe/Berlin", VanityURL: "foo/bar", Input: `"Neo"`, ContentType: "application/json", Missed: "skip"}}
	var ahead atomic.Int64
	e := startDurable(t, Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}, route)
	eventually(t, "the schedule is known", func() bool {
		states := e.Work().State(t.Context()).Schedules
		return len(states) == 1 && states[0].NextAt != nil && e.durable.Session().Times.State(t.Context())[0].LastAt.IsZero()
	})
	var id string
	eventually(t, "its call has been made", func() bool {
		ahead.Add(int64(time.Second)) // a test's minute
		states := e.Work().State(t.Context()).Schedules
		if len(states) != 1 || states[0].LastState != "succeeded" {
			return false
		}
		id = states[0].LastRequestID
		return len(states[0].Runs) > 0 && states[0].Runs[0].RequestID == id && states[0].Runs[0].State == "succeeded"
	})
	if got := e.do(request{method: http.MethodGet, path: "/v1/async/" + id + "/result"}); got.status != 200 || got.json(t)["result"] != "Neo" {
		t.Errorf("the result of the schedule's call is %d %s", got.status, got.body)
	}
}
