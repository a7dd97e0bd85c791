package constellation

import "encoding/json"

// RouteRoom is what the routes of a satellite version take in its cluster, where
// one ConfigMap has all of them with their schedules.
type RouteRoom struct {
	Routes    int // how many there are
	Names     int // bytes of their names, versions and paths
	Schedules int // how many there are
	Calls     int // bytes of what those call, and when, as JSON
}

// MaxRouteRoom is what Bytes may be: a ConfigMap takes a mebibyte, and holds the
// mothership's certificates too.
const MaxRouteRoom = 1_000_000

const (
	routeBytes    = 600 // of a route without its names: its objects, bounds, and what JSON puts around them
	scheduleBytes = 128 // that JSON puts around a schedule

	httpSettingsBytes = 128 // of HTTPSettings as JSON
)

// AddRoute counts an algorithm of the version.
func (r *RouteRoom) AddRoute(vanityURL string, a *AlgorithmVersion) {
	r.Routes++
	r.Names += len(vanityURL) + len(a.Ref().String()) + len(a.SemanticVersion) + len(a.Runtime.Path) + len(a.Runtime.HealthPath)
	if a.Runtime.HTTPSettings != (HTTPSettings{}) {
		r.Names += httpSettingsBytes
	}
}

// AddSchedule counts a schedule of the version.
func (r *RouteRoom) AddSchedule(s Schedule) {
	r.Schedules++
	if data, err := json.Marshal(s); err == nil {
		r.Calls += len(data)
	}
}

// Bytes is the most that the engines' routes.json takes with these.
func (r *RouteRoom) Bytes() int {
	return r.Routes*routeBytes + r.Names + r.Schedules*scheduleBytes + r.Calls
}

// Check adds to v that a cluster has no room for them.
func (r *RouteRoom) Check(v *Validation) {
	if r.Bytes() > MaxRouteRoom {
		v.Add("schedules", "the %d algorithms and their %d schedules would take %d KB in the satellite's cluster, and there is room for %d; shorten the inputs of schedules, or divide the algorithms among two satellites",
			r.Routes, r.Schedules, r.Bytes()/1000, MaxRouteRoom/1000)
	}
}
