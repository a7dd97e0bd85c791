package apiv1

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Heartbeat is the body of POST …/launches/{launch_id}/heartbeat, sent by one
// engine of the launch with the launch's token. Every count grows from the
// start of its engine and is sent whole each time, so that a heartbeat which
// gets lost, or is sent twice, changes no total.
type Heartbeat struct {
	Engine           string               `json:"engine" doc:"The engine that reports, with something that differs each time it starts, such as its pod's name and a random text. At most 200 characters." example:"execution-engine-6d9f-x2x7q/8f3a51"`
	Sequence         int64                `json:"sequence" minimum:"1" doc:"Grows with each heartbeat of this engine. One that is not above the last one's proves life and nothing else." example:"12"`
	SatelliteVersion int                  `json:"satellite_version" minimum:"1" doc:"The satellite version that runs." example:"3"`
	SystemVersion    string               `json:"system_version" doc:"The version of the engine's own program. At most 100 characters." example:"v1.4.0"`
	KeysDigest       string               `json:"keys_digest,omitempty" doc:"KeysDigest of the keys in force; left out, the answer has all keys." example:"5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"`
	KeysUsed         []string             `json:"keys_used,omitempty" doc:"Ids of the keys that called since the last heartbeat that was answered." nullable:"false"`
	Algorithms       []HeartbeatAlgorithm `json:"algorithms" doc:"Every algorithm of the version that runs, as it is now." nullable:"false"`
	Engines          []HeartbeatEngine    `json:"engines" doc:"What each engine of this launch has counted: at least the one that reports." nullable:"false"`

	Queue        *HeartbeatQueue       `json:"queue,omitempty" doc:"The queue of durable calls, as it is now; left out by engines without one, which do not say that it is off."`
	Schedules    []HeartbeatSchedule   `json:"schedules,omitempty" doc:"Every schedule of the version that runs." nullable:"false"`
	DeadLetters  []HeartbeatDeadLetter `json:"dead_letters,omitempty" doc:"The newest calls that were given up, at most 100; queue.dead says how many there are." nullable:"false"`
	CommandsDone []HeartbeatCommandEnd `json:"commands_done,omitempty" doc:"What became of queue_commands of earlier answers; each is told until a heartbeat that has it was answered." nullable:"false"`
}

// HeartbeatAlgorithm is the state of one algorithm at the moment.
type HeartbeatAlgorithm struct {
	VanityURL string `json:"vanity_url" example:"foo/bar"`
	Wanted    int    `json:"wanted" minimum:"0" doc:"Replicas that there should be." example:"2"`
	Ready     int    `json:"ready" minimum:"0" doc:"Replicas that can be called." example:"2"`
	Queued    int    `json:"queued,omitempty" minimum:"0" doc:"Calls that wait for a replica." example:"0"`
	InFlight  int    `json:"in_flight,omitempty" minimum:"0" doc:"Calls that run." example:"1"`
	Reason    string `json:"reason,omitempty" doc:"Why fewer are ready than wanted, in words. At most 500 characters." example:"foo-bar-6f7c was ended for using more than 512Mi of memory"`

	Desired     *int `json:"desired,omitempty" minimum:"0" doc:"Replicas that the load asks for at the moment, where they follow it; left out where they do not." example:"4"`
	MinReplicas *int `json:"min_replicas,omitempty" minimum:"0" doc:"The fewest that there may be, where they follow the load." example:"1"`
	MaxReplicas int  `json:"max_replicas,omitempty" minimum:"0" doc:"The most that there may be, where they follow the load." example:"10"`
}

// HeartbeatQueue is the state of a satellite's queue of durable calls.
type HeartbeatQueue struct {
	State         string                    `json:"state" enum:"ok,degraded,unreachable,off" doc:"ok; degraded: it takes calls, and a node is away or its disk nearly full; unreachable: it takes none now; off." example:"ok"`
	Reason        string                    `json:"reason,omitempty" doc:"Why it is not ok, in words. At most 500 characters." example:"queue-2 is away since 10:04"`
	Storage       string                    `json:"storage,omitempty" enum:"persistent,ephemeral" doc:"Whether what it holds outlives its pods." example:"persistent"`
	Used          int64                     `json:"used,omitempty" minimum:"0" doc:"Bytes that it holds." example:"1048576"`
	Limit         int64                     `json:"limit,omitempty" minimum:"0" doc:"Bytes from which on it takes no more." example:"8589934592"`
	Nodes         []HeartbeatQueueNode      `json:"nodes,omitempty" nullable:"false"`
	Depth         int64                     `json:"depth,omitempty" minimum:"0" doc:"Calls that wait or run." example:"12"`
	OldestSeconds int64                     `json:"oldest_seconds,omitempty" minimum:"0" doc:"For how long the oldest of them has been there." example:"4"`
	Dead          int64                     `json:"dead,omitempty" minimum:"0" doc:"Calls that were given up and are kept." example:"1"`
	Lost          []HeartbeatLoss           `json:"lost,omitempty" doc:"Each time that the queue came back without what it held, newest last; at most 20." nullable:"false"`
	Algorithms    []HeartbeatQueueAlgorithm `json:"algorithms,omitempty" doc:"Those that have calls in the queue." nullable:"false"`
}

// HeartbeatQueueNode is one node of the queue.
type HeartbeatQueueNode struct {
	Name  string `json:"name" example:"queue-0"`
	Ready bool   `json:"ready" doc:"Its log is current."`
}

// HeartbeatLoss says that the queue came back without what it held.
type HeartbeatLoss struct {
	At    time.Time `json:"at"`
	Calls int64     `json:"calls" minimum:"0" doc:"Accepted calls that are unaccounted for." example:"17"`
}

// HeartbeatQueueAlgorithm is what the queue holds for one algorithm.
type HeartbeatQueueAlgorithm struct {
	VanityURL string `json:"vanity_url" example:"foo/bar"`
	Waiting   int64  `json:"waiting,omitempty" minimum:"0" example:"11"`
	Running   int64  `json:"running,omitempty" minimum:"0" example:"1"`
	Dead      int64  `json:"dead,omitempty" minimum:"0" example:"1"`
}

// HeartbeatSchedule is how one schedule does.
type HeartbeatSchedule struct {
	Name          string     `json:"name" example:"nightly"`
	LastAt        *time.Time `json:"last_at,omitempty" doc:"When it last ran; left out: not yet."`
	LastState     string     `json:"last_state,omitempty" enum:"queued,running,succeeded,failed,dead,cancelled" doc:"What became of that run." example:"succeeded"`
	LastRequestID string     `json:"last_request_id,omitempty" example:"req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52"`
	NextAt        *time.Time `json:"next_at,omitempty" doc:"When it is due; left out: never again."`
	Missed        int64      `json:"missed,omitempty" minimum:"0" doc:"Runs that were due while the satellite was away, since the version runs." example:"0"`

	Runs []HeartbeatRun `json:"runs,omitempty" doc:"The latest runs, the newest first." nullable:"false"`
}

// HeartbeatRun is one run of a schedule.
type HeartbeatRun struct {
	At        time.Time `json:"at" doc:"When it was due."`
	State     string    `json:"state,omitempty" enum:"queued,running,succeeded,failed,dead,cancelled" doc:"What became of it; left out: that is not known any more." example:"succeeded"`
	RequestID string    `json:"request_id,omitempty" example:"req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52"`
}

// HeartbeatDeadLetter is a call that was given up.
type HeartbeatDeadLetter struct {
	RequestID string    `json:"request_id" example:"req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52"`
	VanityURL string    `json:"vanity_url" example:"foo/bar"`
	Reason    string    `json:"reason" doc:"At most 500 characters." example:"the replica that ran it went away"`
	Attempts  int       `json:"attempts" minimum:"0" example:"5"`
	At        time.Time `json:"at" doc:"When it was given up."`
}

// The actions of HeartbeatCommand.
const (
	QueueRetry = "retry"
	QueueDrop  = "drop"
)

// HeartbeatCommand is something to be done with dead letters. It is told until
// it is among commands_done, so that it is done at least once; a request id
// that is no dead letter any more is passed over.
type HeartbeatCommand struct {
	ID         string   `json:"id" format:"uuid"`
	Action     string   `json:"action" enum:"retry,drop" doc:"retry puts the calls back into the queue, drop forgets them."`
	RequestIDs []string `json:"request_ids" doc:"At most 100." nullable:"false"`
}

// HeartbeatCommandEnd says what became of a HeartbeatCommand.
type HeartbeatCommandEnd struct {
	ID    string `json:"id" format:"uuid"`
	Done  int    `json:"done" minimum:"0" doc:"How many of its calls it was done to." example:"3"`
	Error string `json:"error,omitempty" doc:"Why it was not done to the others. At most 500 characters." example:"1 of 4 is no dead letter any more"`
}

// HeartbeatEngine is what one engine has counted since it started.
type HeartbeatEngine struct {
	ID        string            `json:"id" doc:"As Heartbeat.engine." example:"execution-engine-6d9f-x2x7q/8f3a51"`
	StartedAt time.Time         `json:"started_at" doc:"By the engine's clock."`
	Counts    []HeartbeatCounts `json:"counts" doc:"By algorithm; those without a call may be left out." nullable:"false"`
}

// HeartbeatCounts are the calls of one algorithm through one engine since the
// engine started.
type HeartbeatCounts struct {
	VanityURL string           `json:"vanity_url" example:"foo/bar"`
	Calls     int64            `json:"calls" minimum:"0" doc:"Calls that ended, well or not." example:"1200"`
	Errors    map[string]int64 `json:"errors,omitempty" doc:"Calls that ended badly, by how: at most 20 names of at most 40 characters."`
	// Latency says how long calls took from their arrival to their answer:
	// Latency[i] of them took at most LatencyBounds[i], and more than the bound
	// before; the last, beyond the bounds, took longer than all.
	Latency []int64 `json:"latency,omitempty" doc:"How many calls took up to each of LatencyBounds (…, 0.001 s, 0.0025 s, …); one more number than bounds." nullable:"false"`
}

// LatencyBounds are the upper bounds in seconds of HeartbeatCounts.Latency;
// there they are followed by one for what took longer.
var LatencyBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1000, 3000}

// HeartbeatAnswer is what the mothership says to a heartbeat.
type HeartbeatAnswer struct {
	NextSeconds      int            `json:"next_seconds" doc:"Send the next one after this many seconds, give or take a tenth; more than usual when the mothership is busy." example:"30"`
	SatelliteVersion int            `json:"satellite_version" doc:"The version that this launch is to run; another than it runs needs a deploy." example:"3"`
	ExpiresAt        time.Time      `json:"expires_at" doc:"When the satellite expires, as it is now: it may have been renewed."`
	AccessVersion    int64          `json:"access_version" doc:"The version of expires_at and of the keys; it only grows. Of two answers, or of an answer and a plan, the greater one is the newer." example:"1796030400000"`
	Keys             *HeartbeatKeys `json:"keys,omitempty" doc:"All keys, when they differ from those of keys_digest; left out, those in force stay."`

	QueueCommands []HeartbeatCommand `json:"queue_commands,omitempty" doc:"What somebody asked to be done with dead letters; at most 20 at once." nullable:"false"`
}

// HeartbeatKeys are all keys that may call a satellite's algorithms from now
// on; what is not among them was revoked.
type HeartbeatKeys struct {
	Digest string         `json:"digest" doc:"KeysDigest of these." example:"5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"`
	Keys   []HeartbeatKey `json:"keys" nullable:"false"`
}

// HeartbeatKey is one key that may call: its hash, never the key.
type HeartbeatKey struct {
	ID         string     `json:"id" format:"uuid"`
	Name       string     `json:"name" example:"billing service"`
	SHA256     string     `json:"sha256" doc:"Lower-case hex of the whole key's SHA-256." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty" doc:"Left out: never."`
	Algorithms []string   `json:"algorithms,omitempty" doc:"The vanity URLs that it may call; left out: all." nullable:"false"`
	Rate       *KeyRate   `json:"rate,omitempty" doc:"Left out: no limit."`
	// CallbackURL is where results of its asynchronous calls are posted that
	// name no other place.
	CallbackURL string `json:"callback_url,omitempty" doc:"Where results of its asynchronous calls are posted that name no X-Callback-URL; left out: nowhere."`
}

// KeysDigest names a set of keys, whatever their order: lower-case hex of a
// SHA-256. Both sides compute it, so that keys travel only when they changed.
func KeysDigest(keys []HeartbeatKey) string {
	lines := make([]string, len(keys))
	for i, k := range keys {
		expires := "never"
		if k.ExpiresAt != nil && !k.ExpiresAt.IsZero() {
			expires = strconv.FormatInt(k.ExpiresAt.Unix(), 10)
		}
		algorithms := slices.Sorted(slices.Values(k.Algorithms))
		lines[i] = strings.Join([]string{k.ID, k.SHA256, expires, strings.Join(algorithms, ",")}, " ")
		if k.Rate != nil {
			lines[i] += fmt.Sprintf(" %g/%d", k.Rate.PerSecond, k.Rate.Burst)
		}
		if k.CallbackURL != "" {
			lines[i] += " " + k.CallbackURL
		}
		lines[i] += "\n"
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}
