package constellation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// LatencyBounds are the upper bounds in seconds of a Tally's Latency, which
// has one number more, for what took longer.
var LatencyBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1000, 3000}

// Heartbeat is what a launch reports; each engine's counts grow from its
// start.
type Heartbeat struct {
	Engine           string
	Sequence         int64
	SatelliteVersion int
	SystemVersion    string
	KeysDigest       string
	KeysUsed         []string
	Algorithms       []AlgorithmState
	Engines          []EngineCounts
	Work             WorkState
	CommandsDone     []CommandEnd
}

// AlgorithmState is how one algorithm of a launch is at the moment.
type AlgorithmState struct {
	VanityURL string `json:"u"`
	Wanted    int    `json:"w"`
	Ready     int    `json:"r"`
	Queued    int    `json:"q,omitempty"`
	InFlight  int    `json:"f,omitempty"`
	Reason    string `json:"why,omitempty"`

	// Where the number of replicas follows the load: what that asks for now, and
	// the bounds; Desired is nil where it does not.
	Desired     *int `json:"d,omitempty"`
	MinReplicas *int `json:"min,omitempty"`
	MaxReplicas int  `json:"max,omitempty"`
}

// EngineCounts are what one engine has counted since it started, by vanity
// URL.
type EngineCounts struct {
	ID        string
	StartedAt time.Time
	Counts    map[string]*Tally
}

// Tally counts calls: how many ended, how many of those badly and how, and how
// long they took, by LatencyBounds.
type Tally struct {
	Calls   int64            `json:"c,omitempty"`
	Errors  map[string]int64 `json:"e,omitempty"`
	Latency []int64          `json:"l,omitempty"`
}

// What a heartbeat may hold at most. Every number that is kept, and every sum
// of them, fits the column or the JSON it is kept in.
const (
	maxEngineName   = 200 // characters
	maxSystemName   = 100
	maxReason       = 500
	maxEngines      = 50
	maxErrorTypes   = 20
	maxErrorName    = 40
	maxHeartbeatKey = 10_000
	maxStates       = 2 * MaxAlgorithms // while one version replaces another
	maxCount        = 1 << 53
	maxReplicaCount = 1_000_000 // maxStates times this is below 2^31
)

// Check returns nil, or a KindInvalid error with every field that breaks a rule.
// Reasons that are too long are cut.
func (h *Heartbeat) Check() error {
	var v Validation
	checkName(&v, "engine", h.Engine, maxEngineName)
	h.Engine, h.SystemVersion = cut(h.Engine, maxEngineName), cut(h.SystemVersion, maxSystemName)
	if h.Sequence < 1 {
		v.Add("sequence", "sequence starts at 1; not %d", h.Sequence)
	}
	if h.SatelliteVersion < 1 || h.SatelliteVersion > MaxSatelliteVersion {
		v.Add("satellite_version", "satellite versions start at 1 and end at %d; not %d", MaxSatelliteVersion, h.SatelliteVersion)
	}
	if len(h.KeysUsed) > maxHeartbeatKey {
		v.Add("keys_used", "at most %d keys are named at once", maxHeartbeatKey)
	}
	h.checkStates(&v)
	h.Work.check(&v)
	checkCommandEnds(&v, h.CommandsDone)
	if len(h.Engines) > maxEngines {
		v.Add("engines", "at most %d engines report in one heartbeat", maxEngines)
		return v.Err()
	}
	for i := range h.Engines {
		h.Engines[i].check(&v, fmt.Sprintf("engines[%d]", i))
	}
	return v.Err()
}

func (h *Heartbeat) checkStates(v *Validation) {
	if len(h.Algorithms) > maxStates {
		v.Add("algorithms", "at most %d algorithms report in one heartbeat; these are %d", maxStates, len(h.Algorithms))
		return
	}
	seen := make(map[string]bool, len(h.Algorithms))
	for i := range h.Algorithms {
		a := &h.Algorithms[i]
		if a.VanityURL == "" || len(a.VanityURL) > 200 || cut(a.VanityURL, 200) != a.VanityURL || seen[a.VanityURL] {
			v.Add(fmt.Sprintf("algorithms[%d].vanity_url", i), "%q is no vanity URL, or is there twice", cut(a.VanityURL, 60))
		}
		seen[a.VanityURL] = true
		for _, n := range []int{a.Wanted, a.Ready, a.Queued, a.InFlight, orZero(a.Desired), orZero(a.MinReplicas), a.MaxReplicas} {
			if n < 0 || n > maxReplicaCount {
				v.Add(fmt.Sprintf("algorithms[%d]", i), "the numbers of %s are from 0 to %d; not %d", cut(a.VanityURL, 60), maxReplicaCount, n)
				break
			}
		}
		a.Reason = cut(a.Reason, maxReason)
	}
}

func orZero(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func (e *EngineCounts) check(v *Validation, field string) {
	checkName(v, field+".id", e.ID, maxEngineName)
	e.ID = cut(e.ID, maxEngineName)
	if year := e.StartedAt.UTC().Year(); year < 1 || year > 9999 { // what JSON and RFC 3339 can say
		v.Add(field+".started_at", "started_at is in the years 1 to 9999, in UTC")
	}
	for vanity, t := range e.Counts {
		if problem := t.problem(); problem != "" {
			v.Add(field+".counts", "the counts of %s: %s", cut(vanity, 60), problem)
			return
		}
	}
}

func (t *Tally) problem() string {
	if len(t.Latency) != 0 && len(t.Latency) != len(LatencyBounds)+1 {
		return fmt.Sprintf("latency has %d numbers; it has %d, or none", len(t.Latency), len(LatencyBounds)+1)
	}
	if len(t.Errors) > maxErrorTypes {
		return fmt.Sprintf("there are %d sorts of errors; at most %d are kept", len(t.Errors), maxErrorTypes)
	}
	bad := t.Calls < 0 || t.Calls > maxCount
	for name, n := range t.Errors {
		if name == "" || len(name) > maxErrorName || cut(name, maxErrorName) != name {
			return fmt.Sprintf("the name of an error has 1 to %d characters, none of them a control character; not %q", maxErrorName, cut(name, 60))
		}
		bad = bad || n < 0 || n > maxCount
	}
	for _, n := range t.Latency {
		bad = bad || n < 0 || n > maxCount
	}
	if bad {
		return "a count is not from 0 to 2^53"
	}
	return ""
}

func checkName(v *Validation, field, name string, most int) {
	if n := utf8.RuneCountInString(name); n == 0 || n > most {
		v.Add(field, "the name of an engine has 1 to %d characters; this one has %d", most, n)
	}
}

// cut makes text from outside fit to be stored and shown.
func cut(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if IsInvisible(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most])
}

// Failed is how many of the calls ended badly.
func (t *Tally) Failed() int64 {
	var n int64
	for _, errors := range t.Errors {
		n += errors
	}
	return n
}

// plus adds counts, which stay at maxCount once they are there.
func plus(a, b int64) int64 { return min(a+b, maxCount) }

// Add adds what more counts to t.
func (t *Tally) Add(more *Tally) {
	t.Calls = plus(t.Calls, more.Calls)
	for name, n := range more.Errors {
		if t.Errors == nil {
			t.Errors = map[string]int64{}
		}
		if _, ok := t.Errors[name]; !ok && len(t.Errors) >= maxErrorTypes {
			name = "other"
		}
		t.Errors[name] = plus(t.Errors[name], n)
	}
	if len(more.Latency) > 0 && len(t.Latency) < len(more.Latency) {
		t.Latency = append(t.Latency, make([]int64, len(more.Latency)-len(t.Latency))...)
	}
	for i, n := range more.Latency {
		t.Latency[i] = plus(t.Latency[i], n)
	}
}

// Since returns what was counted after before, which may be nil. A count that
// went down counts as nothing, rather than be counted twice.
func (t *Tally) Since(before *Tally) *Tally {
	if before == nil {
		return t
	}
	delta := &Tally{Calls: max(0, t.Calls-before.Calls)}
	for name, n := range t.Errors {
		if more := n - before.Errors[name]; more > 0 {
			if delta.Errors == nil {
				delta.Errors = map[string]int64{}
			}
			delta.Errors[name] = more
		}
	}
	for i, n := range t.Latency {
		more := n
		if i < len(before.Latency) {
			more = max(0, n-before.Latency[i])
		}
		if more > 0 && delta.Latency == nil {
			delta.Latency = make([]int64, len(t.Latency))
		}
		if more > 0 {
			delta.Latency[i] = more
		}
	}
	return delta
}

// Empty reports whether nothing was counted.
func (t *Tally) Empty() bool { return t.Calls == 0 && len(t.Errors) == 0 && len(t.Latency) == 0 }

// Counts returns the tally as it is shown.
func (t *Tally) Counts() CallCounts {
	return CallCounts{
		Calls: t.Calls, Errors: t.Failed(), ErrorsByType: t.Errors,
		P50: t.quantile(.5), P95: t.quantile(.95), P99: t.quantile(.99),
	}
}

// quantile returns the duration that a share q of the calls did not exceed,
// as if calls were spread evenly inside a bucket.
func (t *Tally) quantile(q float64) time.Duration {
	var total int64
	for _, n := range t.Latency {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank, below := q*float64(total), float64(0)
	for i, n := range t.Latency {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		if i >= len(LatencyBounds) { // longer than all bounds
			return seconds(LatencyBounds[len(LatencyBounds)-1])
		}
		low := 0.0
		if i > 0 {
			low = LatencyBounds[i-1]
		}
		return seconds(low + (LatencyBounds[i]-low)*(rank-below)/float64(n))
	}
	return seconds(LatencyBounds[len(LatencyBounds)-1])
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// KeysDigest names a set of keys as the wire does (apiv1.KeysDigest, which
// cannot be used here: a test holds them together).
func KeysDigest(keys []SatelliteKey) string {
	lines := make([]string, len(keys))
	for i, k := range keys {
		expires := "never"
		if k.ExpiresAt != nil && !k.ExpiresAt.IsZero() {
			expires = strconv.FormatInt(k.ExpiresAt.Unix(), 10)
		}
		lines[i] = strings.Join([]string{k.ID, k.SHA256, expires, strings.Join(slices.Sorted(slices.Values(k.Algorithms)), ",")}, " ")
		if k.Rate.PerSecond > 0 {
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
