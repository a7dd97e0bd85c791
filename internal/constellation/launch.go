package constellation

import (
	"fmt"
	"slices"
	"time"
)

// LaunchStatus is how a launch does, as far as the mothership knows.
type LaunchStatus string

// The statuses of a launch. A launch that cannot reach its mothership stays
// LaunchNeverSeen, and serves.
const (
	LaunchNeverSeen LaunchStatus = "never_seen"
	LaunchUp        LaunchStatus = "up"
	LaunchDegraded  LaunchStatus = "degraded" // reports, and lacks replicas
	LaunchStale     LaunchStatus = "stale"    // reported once, and no longer does
)

// LaunchStatuses are all that a launch may have.
var LaunchStatuses = []LaunchStatus{LaunchUp, LaunchDegraded, LaunchStale, LaunchNeverSeen}

// Valid reports whether s is one of the statuses.
func (s LaunchStatus) Valid() bool { return slices.Contains(LaunchStatuses, s) }

// StaleAfter is how long after its last heartbeat a launch is stale, when it
// was told to report every interval: three in a row may get lost.
func StaleAfter(interval time.Duration) time.Duration { return 3*interval + interval/2 }

// Launch is one installation of one satellite version.
type Launch struct {
	ID               string // UUID
	SatelliteID      string
	SatelliteVersion int // the version wanted
	Name             string
	Description      string
	CreatedAt        time.Time
	CreatedBy        string
	UpdatedAt        time.Time
	UpdatedBy        string
	Revision         int64 // grows with every change; the ETag
	Labels           Labels

	// What it reports, by the mothership's clock; zero before the first time.
	FirstSeenAt    *time.Time
	LastSeenAt     *time.Time
	RunningVersion *int
	SystemVersion  string
	Status         LaunchStatus
	StatusReason   string     // why, in words; a sentence without its full stop
	StatusSince    *time.Time // nil when never seen
	Ready, Wanted  int        // replicas, of all algorithms
	ReportSeconds  int        // how often it was told to report
}

// Relaunch reports whether the launch runs another version than it should.
func (l *Launch) Relaunch() bool {
	return l.RunningVersion != nil && *l.RunningVersion != l.SatelliteVersion
}

// ListedLaunch is a launch in the list of all satellites' launches.
type ListedLaunch struct {
	Launch
	SatelliteName string
	LatestVersion int        // of its satellite
	ExpiresAt     time.Time  // of its satellite
	BehindSince   *time.Time // since when it has run another version than is wanted; nil: it does not
	Health        int16      // its status in the order of the list, the worst first
	SilentSince   *time.Time // when one that is stale was last heard of
	Calls, Errors int64      // of the last 24 hours, where they were asked for
}

// LaunchReport is what a launch reports of its algorithms.
type LaunchReport struct {
	Engine     string            // which engine reports
	Algorithms []LaunchAlgorithm // in the order of the report
	Engines    []LaunchEngine    // that it counts the calls of
	Work       WorkState
	Commands   []QueueCommand // that were asked for, newest first
}

// LaunchEngine is one engine of a launch.
type LaunchEngine struct {
	ID        string
	StartedAt time.Time // by its own clock
}

// LaunchAlgorithm is one algorithm of a launch: how it is now, and what was
// called in the last 24 hours and since the launch was first seen.
type LaunchAlgorithm struct {
	AlgorithmState
	Day, Ever CallCounts
}

// CallCounts are how many calls ended, how, and how long they took.
type CallCounts struct {
	Calls         int64
	Errors        int64            // of Calls
	ErrorsByType  map[string]int64 // nil for none
	P50, P95, P99 time.Duration    // 0 without calls; exact to the bucket
}

// LaunchHistory is how a launch did over time, for charts: points of one
// length each, oldest first; where it did not report there is none.
type LaunchHistory struct {
	Resolution time.Duration
	From, To   time.Time // what is kept, whether or not it has points
	Points     []LaunchPoint
}

// LaunchPoint is one stretch of a history.
type LaunchPoint struct {
	At         time.Time // its start
	Heartbeats int
	Ready      int // replicas: the fewest there were
	Wanted     int // replicas: the last that were wanted
	CallCounts
}

// HistoryResolutions are the lengths of a history's points, and how far back
// each is kept.
var HistoryResolutions = []HistoryResolution{
	{"5m", 5 * time.Minute, 24 * time.Hour},
	{"1h", time.Hour, 30 * 24 * time.Hour},
	{"1d", 24 * time.Hour, 366 * 24 * time.Hour},
}

// HistoryResolution is how fine a history is and how far back it goes.
type HistoryResolution struct {
	Name   string
	Length time.Duration
	Kept   time.Duration
}

// UpdateStatus computes Status and StatusReason as of now. The mothership
// has listened since watching: silence before that says nothing of the launch.
func (l *Launch) UpdateStatus(now, watching time.Time) {
	if l.FirstSeenAt == nil || l.LastSeenAt == nil {
		l.Status = LaunchNeverSeen
		l.StatusReason = "it has not reported yet; one that cannot reach this mothership stays so, and serves"
		return
	}
	heard := *l.LastSeenAt
	if heard.Before(watching) {
		heard = watching
	}
	limit := StaleAfter(time.Duration(l.ReportSeconds) * time.Second)
	if l.Status != LaunchStale {
		if now.Sub(heard) <= limit {
			return
		}
		l.Status = LaunchStale
		since := heard.Add(limit)
		l.StatusSince = &since
	}
	l.StatusReason = fmt.Sprintf("no heartbeat for %s; the last one came on %s", roughly(now.Sub(*l.LastSeenAt)), l.LastSeenAt.UTC().Format("2006-01-02 at 15:04:05 UTC"))
}

// roughly writes a duration as one speaks of it.
func roughly(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := int(d / unit.length); n > 1 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "a moment"
}

// Health is what one heartbeat says of a launch: "" when it lacks nothing,
// else what it lacks.
func Health(algorithms []AlgorithmState, queue *QueueState) string {
	health := lacking(algorithms)
	if !queue.Troubled() {
		return health
	}
	trouble := "its queue is " + queue.State
	if queue.State == QueueUnreachable {
		trouble = "its queue takes no calls"
	}
	if queue.Reason != "" {
		trouble += ": " + queue.Reason
	}
	if health != "" {
		return health + "; and " + trouble
	}
	return trouble
}

func lacking(algorithms []AlgorithmState) string {
	short, first := 0, ""
	for _, a := range algorithms {
		if a.Ready >= a.Wanted {
			continue
		}
		if short++; short == 1 {
			first = fmt.Sprintf("%s has %d of %d replicas ready", a.VanityURL, a.Ready, a.Wanted)
			if a.Reason != "" {
				first += ": " + a.Reason
			}
		}
	}
	if short > 1 {
		return fmt.Sprintf("%d algorithms lack replicas; %s", short, first)
	}
	return first
}
