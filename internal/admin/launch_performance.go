package admin

import (
	"fmt"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// ranges are how far back the charts go, by the resolution of the history.
var ranges = []struct{ resolution, name string }{{"5m", "24 hours"}, {"1h", "30 days"}, {"1d", "A year"}}

// performance returns what a launch reported, nil when it never did.
func (s *server) performance(r *request) (templ.Component, error) {
	_, report, err := s.control.GetLaunchReport(r.Context(), r.p, r.satellite.ID, r.launch.ID)
	if err != nil || report == nil {
		return nil, err
	}
	m := page.Performance{Launch: r.launch, Report: report}
	chosen := ranges[0].resolution
	for _, back := range ranges {
		if back.resolution == r.URL.Query().Get("range") {
			chosen = back.resolution
		}
	}
	for _, back := range ranges {
		m.Ranges = append(m.Ranges, component.Tab{URL: r.launchURL() + "?range=" + back.resolution + "#performance", Name: back.name, Current: back.resolution == chosen})
	}
	history, err := s.control.GetLaunchHistory(r.Context(), r.p, r.satellite.ID, r.launch.ID, chosen, "")
	if err != nil {
		return nil, err
	}
	m.Charts, m.Nothing = charts(history)
	m.Work = s.workOf(r, report)
	return page.LaunchPerformance(m), nil
}

// charts draw a history: calls with their errors, latency, and replicas.
func charts(h *constellation.LaunchHistory) (list []component.Chart, nothing bool) {
	calls := component.Chart{Name: "Calls and errors", From: h.From, To: h.To, Step: h.Resolution}
	latency := component.Chart{Name: "Latency, p95", From: h.From, To: h.To, Step: h.Resolution, Line: true}
	replicas := component.Chart{Name: "Replicas ready", From: h.From, To: h.To, Step: h.Resolution}
	var all, bad, most int64
	slowest := constellation.LaunchPoint{}
	last := constellation.LaunchPoint{}
	for _, p := range h.Points {
		all, bad, most, last = all+p.Calls, bad+p.Errors, max(most, p.Calls), p
		calls.Points = append(calls.Points, component.ChartPoint{At: p.At, Value: float64(p.Calls), Bad: float64(p.Errors)})
		replicas.Points = append(replicas.Points, component.ChartPoint{At: p.At, Value: float64(p.Wanted), Bad: float64(max(p.Wanted-p.Ready, 0))})
		if p.Calls > 0 {
			latency.Points = append(latency.Points, component.ChartPoint{At: p.At, Value: p.P95.Seconds()})
		}
		if p.P95 > slowest.P95 {
			slowest = p
		}
	}
	calls.Now = component.Count(all, "call") + ", " + component.Count(bad, "error")
	calls.Top = "most " + component.Number(most)
	calls.Summary = fmt.Sprintf("%s in all; %s at most in one point of %s", calls.Now, component.Number(most), h.Resolution)
	latency.Now = component.Seconds(last.P95)
	latency.Top = "slowest " + component.Seconds(slowest.P95)
	latency.Summary = fmt.Sprintf("95 of 100 calls took at most %s lately, %s at the slowest", latency.Now, component.Seconds(slowest.P95))
	replicas.Now = fmt.Sprintf("%d of %d", last.Ready, last.Wanted)
	replicas.Summary = "Replicas ready lately: " + replicas.Now + "; what lacked is red"
	return []component.Chart{calls, latency, replicas}, all == 0
}
