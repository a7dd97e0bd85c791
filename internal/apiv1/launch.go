package apiv1

import "time"

// Launch is one installation of one satellite version.
type Launch struct {
	ID               string            `json:"id" format:"uuid"`
	SatelliteID      string            `json:"satellite_id" format:"uuid"`
	SatelliteVersion int               `json:"satellite_version" doc:"The version it is to run."`
	Name             string            `json:"name" example:"berlin-1"`
	Description      string            `json:"description" example:"The cluster in the basement"`
	Labels           map[string]string `json:"labels" nullable:"false" doc:"What it is chosen by, as Kubernetes labels are; they are of no version." example:"{\"region\":\"eu\"}"`
	CreatedAt        time.Time         `json:"created_at"`
	CreatedBy        string            `json:"created_by" example:"neo"`
	UpdatedAt        time.Time         `json:"updated_at"`
	FirstSeenAt      *time.Time        `json:"first_seen_at" doc:"When it first reported; null: never."`
	LastSeenAt       *time.Time        `json:"last_seen_at" doc:"When it last reported; null: never."`
	RunningVersion   *int              `json:"running_version" doc:"The version it last said it runs; null: not known."`
	SystemVersion    string            `json:"system_version" doc:"The version of its engines' program; empty: not known." example:"v1.4.0"`
	Status           string            `json:"status" enum:"never_seen,up,degraded,stale" doc:"By the mothership's clock. never_seen: it did not report yet, or cannot reach the mothership, and may serve."`
	StatusReason     string            `json:"status_reason" doc:"Why, in words." example:"foo/bar has 1 of 2 replicas ready"`
	StatusSince      *time.Time        `json:"status_since" doc:"Since when the status is this; null: never seen."`
	Ready            int               `json:"ready" doc:"Replicas of all algorithms that can be called."`
	Wanted           int               `json:"wanted" doc:"Replicas of all algorithms that there should be."`
}

// ListedLaunch is a launch in the list of all satellites' launches.
type ListedLaunch struct {
	Launch
	SatelliteName      string       `json:"satellite_name" example:"Edge Berlin"`
	SatelliteExpiresAt time.Time    `json:"satellite_expires_at"`
	LatestVersion      int          `json:"latest_version" doc:"The latest version of its satellite."`
	BehindSince        *time.Time   `json:"behind_since" doc:"Since when it has run another version than satellite_version, as far as it reports; null: it does not."`
	Calls              *LaunchCalls `json:"calls,omitempty" doc:"With expand=calls."`
}

// LaunchCalls are the calls of the last 24 hours.
type LaunchCalls struct {
	Calls  int64 `json:"calls"`
	Errors int64 `json:"errors" doc:"Of the calls, those that failed."`
}

// LaunchDetail answers GET …/launches/{launch_id}: the launch and what it last
// reported.
type LaunchDetail struct {
	Launch
	Report *LaunchReport `json:"report" doc:"null: it never reported."`
	// Reached answers wait_for.
	Reached *bool `json:"reached,omitempty" doc:"Only with wait_for: whether it is as wanted; false: the timeout passed."`
}

// LaunchReport is what a launch last reported.
type LaunchReport struct {
	Engine          string            `json:"engine" doc:"The engine that reports." example:"execution-engine-6d9f-x2x7q/8f3a51"`
	IntervalSeconds int               `json:"interval_seconds" doc:"How often it was told to report."`
	Engines         []LaunchEngine    `json:"engines" nullable:"false"`
	Algorithms      []LaunchAlgorithm `json:"algorithms" nullable:"false"`

	Queue       *HeartbeatQueue       `json:"queue" doc:"null: it reports no queue."`
	Schedules   []HeartbeatSchedule   `json:"schedules" nullable:"false"`
	DeadLetters []HeartbeatDeadLetter `json:"dead_letters" doc:"The newest; queue.dead says how many there are." nullable:"false"`
	Commands    []QueueCommand        `json:"commands" doc:"What was asked to be done with dead letters, newest first." nullable:"false"`
}

// DeadLettersDecision is the body of POST …/launches/{launch_id}/dead-letters.
type DeadLettersDecision struct {
	Action     string   `json:"action" enum:"retry,drop" doc:"retry puts the calls back into the queue, to run once more; drop forgets them."`
	RequestIDs []string `json:"request_ids" minItems:"1" maxItems:"100" nullable:"false" doc:"The calls, as dead_letters names them." example:"req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52"`
}

// QueueCommand is what somebody asked to be done with dead letters. The launch
// is told with the answer to its next heartbeat, and says in the one after what
// became of it.
type QueueCommand struct {
	ID         string     `json:"id" format:"uuid"`
	Action     string     `json:"action" enum:"retry,drop"`
	RequestIDs []string   `json:"request_ids" nullable:"false"`
	CreatedAt  time.Time  `json:"created_at"`
	CreatedBy  string     `json:"created_by" example:"neo"`
	DoneAt     *time.Time `json:"done_at" doc:"null: it waits for the launch; for a day at most."`
	Done       int        `json:"done" doc:"To how many of the calls it was done."`
	Error      string     `json:"error" doc:"Why it was not done to the others; empty: it was done to all."`
}

// LaunchEngine is one engine of a launch.
type LaunchEngine struct {
	ID        string    `json:"id" example:"execution-engine-6d9f-x2x7q/8f3a51"`
	StartedAt time.Time `json:"started_at" doc:"By the engine's clock."`
}

// LaunchAlgorithm is one algorithm of a launch as last reported.
type LaunchAlgorithm struct {
	VanityURL string     `json:"vanity_url" example:"foo/bar"`
	Wanted    int        `json:"wanted" doc:"Replicas that there should be."`
	Ready     int        `json:"ready" doc:"Replicas that can be called."`
	Queued    int        `json:"queued" doc:"Calls that waited for a replica."`
	InFlight  int        `json:"in_flight" doc:"Calls that ran."`
	Reason    string     `json:"reason" doc:"Why fewer are ready than wanted, in words."`
	Desired   *int       `json:"desired,omitempty" doc:"Replicas that the load asks for; left out where they do not follow it."`
	Day       CallCounts `json:"last_24_hours"`
	Ever      CallCounts `json:"since_first_seen"`

	MinReplicas *int `json:"min_replicas,omitempty" doc:"The fewest replicas, where they follow the load."`
	MaxReplicas int  `json:"max_replicas,omitempty" doc:"The most replicas, where they follow the load."`
}

// CallCounts are how many calls ended, how, and how long they took.
type CallCounts struct {
	Calls        int64            `json:"calls"`
	Errors       int64            `json:"errors" doc:"How many of the calls ended badly."`
	ErrorsByType map[string]int64 `json:"errors_by_type" nullable:"false"`
	P50          float64          `json:"p50_seconds" doc:"Half of the calls took at most this, as exactly as the histogram of heartbeats has it; 0 without calls."`
	P95          float64          `json:"p95_seconds"`
	P99          float64          `json:"p99_seconds"`
}

// LaunchHistory answers GET …/launches/{launch_id}/history, for charts.
type LaunchHistory struct {
	ResolutionSeconds int           `json:"resolution_seconds" doc:"How long a point lasts." example:"300"`
	From              time.Time     `json:"from" doc:"The start of what is kept in this resolution."`
	To                time.Time     `json:"to"`
	Points            []LaunchPoint `json:"points" doc:"Oldest first; there is none where the launch did not report." nullable:"false"`
}

// LaunchPoint is one stretch of a history.
type LaunchPoint struct {
	At         time.Time `json:"at" doc:"Its start."`
	Heartbeats int       `json:"heartbeats"`
	Ready      int       `json:"ready" doc:"The fewest replicas that were ready."`
	Wanted     int       `json:"wanted" doc:"The replicas that were wanted last."`
	CallCounts
}

// LaunchCreate is the body of POST /v1/satellites/{satellite_id}/launches.
type LaunchCreate struct {
	SatelliteVersion int               `json:"satellite_version,omitempty" minimum:"1" doc:"Which version to install; left out, the latest." example:"1"`
	Name             string            `json:"name" doc:"At most 200 characters; unique in the satellite." example:"berlin-1"`
	Description      string            `json:"description,omitempty" example:"The cluster in the basement"`
	Labels           map[string]string `json:"labels,omitempty" doc:"At most 32, key=value by Kubernetes' rules; left out, none." example:"{\"region\":\"eu\"}"`
}

// LaunchUpdate is the body of PATCH …/launches/{launch_id}: what is left out
// stays.
type LaunchUpdate struct {
	SatelliteVersion *int              `json:"satellite_version,omitempty" doc:"The version that the next get and deploy install." example:"2"`
	Name             *string           `json:"name,omitempty" doc:"At most 200 characters; unique in the satellite." example:"berlin-1"`
	Description      *string           `json:"description,omitempty" example:"The cluster in the basement"`
	Labels           map[string]string `json:"labels,omitzero" doc:"All labels, at most 32; {} has none." example:"{\"region\":\"eu\"}"`
}
