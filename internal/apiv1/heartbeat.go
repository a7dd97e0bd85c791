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
}

// HeartbeatAlgorithm is the state of one algorithm at the moment.
type HeartbeatAlgorithm struct {
	VanityURL string `json:"vanity_url" example:"foo/bar"`
	Wanted    int    `json:"wanted" minimum:"0" doc:"Replicas that there should be." example:"2"`
	Ready     int    `json:"ready" minimum:"0" doc:"Replicas that can be called." example:"2"`
	Queued    int    `json:"queued,omitempty" minimum:"0" doc:"Calls that wait for a replica." example:"0"`
	InFlight  int    `json:"in_flight,omitempty" minimum:"0" doc:"Calls that run." example:"1"`
	Reason    string `json:"reason,omitempty" doc:"Why fewer are ready than wanted, in words. At most 500 characters." example:"foo-bar-6f7c was ended for using more than 512Mi of memory"`
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
	Keys             *HeartbeatKeys `json:"keys,omitempty" doc:"All keys, when they differ from those of keys_digest; left out, those in force stay."`
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
		lines[i] += "\n"
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}
