package constellation

import (
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"
)

// WorkState is what a launch reports of calls that outlive their callers.
type WorkState struct {
	Queue       *QueueState     `json:"queue,omitempty"` // nil: it reports none
	Schedules   []ScheduleState `json:"schedules,omitempty"`
	DeadLetters []DeadLetter    `json:"dead,omitempty"` // the newest
}

// The states of a queue. A newer engine may report another.
const (
	QueueOK          = "ok"
	QueueDegraded    = "degraded"    // it takes calls, and something is amiss
	QueueUnreachable = "unreachable" // it takes none
	QueueOff         = "off"
)

// QueueEphemeral is the storage of a queue that forgets all when its pods go.
const QueueEphemeral = "ephemeral"

// QueueState is the state of a satellite's queue of durable calls.
type QueueState struct {
	State         string           `json:"s"`
	Reason        string           `json:"why,omitempty"`
	Storage       string           `json:"st,omitempty"`
	Used          int64            `json:"u,omitempty"` // bytes
	Limit         int64            `json:"l,omitempty"`
	Nodes         []QueueNode      `json:"n,omitempty"`
	Depth         int64            `json:"d,omitempty"` // calls that wait or run
	OldestSeconds int64            `json:"o,omitempty"`
	Dead          int64            `json:"x,omitempty"`
	Lost          []QueueLoss      `json:"lost,omitempty"`
	Algorithms    []QueueAlgorithm `json:"a,omitempty"`
}

// Troubled reports whether somebody should look at the queue.
func (q *QueueState) Troubled() bool { return q != nil && q.State != QueueOK && q.State != QueueOff }

// LostCalls returns how many accepted calls are unaccounted for.
func (q *QueueState) LostCalls() (n int64) {
	for _, loss := range q.Lost {
		n = plus(n, loss.Calls)
	}
	return n
}

// QueueNode is one node of a queue.
type QueueNode struct {
	Name  string `json:"n"`
	Ready bool   `json:"r,omitempty"`
}

// QueueLoss says that a queue came back without what it held.
type QueueLoss struct {
	At    time.Time `json:"at"`
	Calls int64     `json:"n"`
}

// QueueAlgorithm is what a queue holds for one algorithm.
type QueueAlgorithm struct {
	VanityURL string `json:"u"`
	Waiting   int64  `json:"w,omitempty"`
	Running   int64  `json:"r,omitempty"`
	Dead      int64  `json:"x,omitempty"`
}

// ScheduleState is how one schedule does.
type ScheduleState struct {
	Name          string     `json:"n"`
	LastAt        *time.Time `json:"at,omitempty"` // nil: it did not run yet
	LastState     string     `json:"s,omitempty"`
	LastRequestID string     `json:"id,omitempty"`
	NextAt        *time.Time `json:"next,omitempty"` // nil: never again
	Missed        int64      `json:"m,omitempty"`

	Runs []ScheduleRun `json:"r,omitempty"` // the latest, the newest first
}

// ScheduleRun is one run of a schedule.
type ScheduleRun struct {
	At        time.Time `json:"at"`
	State     string    `json:"s,omitempty"` // "" is not known any more
	RequestID string    `json:"id,omitempty"`
}

// DeadLetter is a durable call that was given up.
type DeadLetter struct {
	RequestID string    `json:"id"`
	VanityURL string    `json:"u"`
	Reason    string    `json:"why,omitempty"`
	Attempts  int       `json:"n,omitempty"`
	At        time.Time `json:"at"`
}

// The actions of a QueueCommand.
const (
	CommandRetry = "retry" // puts the calls back into the queue
	CommandDrop  = "drop"  // forgets them
)

// QueueCommand is what somebody asked to be done with a launch's dead letters.
type QueueCommand struct {
	ID         string // UUID
	Action     string
	RequestIDs []string
	CreatedAt  time.Time
	CreatedBy  string
	DoneAt     *time.Time // nil: it waits for a heartbeat, or was not taken in time
	Done       int        // to how many of the calls it was done
	Error      string     // why not to the others
}

// CommandLifetime is how long a launch is asked for a command that it does not
// take.
const CommandLifetime = 24 * time.Hour

// Waits reports whether the launch is still asked for the command at now.
func (c *QueueCommand) Waits(now time.Time) bool {
	return c.DoneAt == nil && now.Before(c.CreatedAt.Add(CommandLifetime))
}

// CommandEnd says what became of a QueueCommand.
type CommandEnd struct {
	ID    string
	Done  int
	Error string
}

// What of a launch's work a heartbeat may hold, and a command name, at most.
const (
	maxQueueNodes     = 50
	maxQueueLosses    = 100
	maxScheduleStates = 2 * MaxSchedules // while one version replaces another
	maxScheduleRuns   = 10
	maxCommandEnds    = 100
	maxWord           = 40
	MaxDeadLetters    = 100 // in a heartbeat, and in a command
)

var requestID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// CheckRequestIDs adds to v what is wrong with the calls that a command names.
func CheckRequestIDs(v *Validation, field string, ids []string) {
	if len(ids) == 0 || len(ids) > MaxDeadLetters {
		v.Add(field, "name 1 to %d calls by their request ids; these are %d", MaxDeadLetters, len(ids))
		return
	}
	seen := make(map[string]bool, len(ids))
	for i, id := range ids {
		at := fmt.Sprintf("%s[%d]", field, i)
		if !requestID.MatchString(id) {
			v.Add(at, "%q is no request id, such as req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52", shorten(id))
		} else if seen[id] {
			v.Add(at, "%s is there twice", id)
		}
		seen[id] = true
	}
}

// check adds to v what is wrong with the work of a heartbeat, and makes its text
// fit.
func (w *WorkState) check(v *Validation) {
	if w.Queue != nil {
		w.Queue.check(v)
	}
	if len(w.Schedules) > maxScheduleStates {
		v.Add("schedules", "at most %d schedules report in one heartbeat; these are %d", maxScheduleStates, len(w.Schedules))
		return
	}
	for i := range w.Schedules {
		s, at := &w.Schedules[i], fmt.Sprintf("schedules[%d]", i)
		checkWord(v, at+".name", s.Name, MaxScheduleName)
		s.LastState, s.LastRequestID = cut(s.LastState, maxWord), cut(s.LastRequestID, 100)
		checkCounts(v, at, s.Missed)
		checkMoment(v, at+".last_at", s.LastAt)
		checkMoment(v, at+".next_at", s.NextAt)
		if len(s.Runs) > maxScheduleRuns {
			v.Add(at+".runs", "a schedule reports its latest %d runs at most; these are %d", maxScheduleRuns, len(s.Runs))
			return
		}
		for j := range s.Runs {
			r := &s.Runs[j]
			r.State, r.RequestID = cut(r.State, maxWord), cut(r.RequestID, 100)
			checkMoment(v, fmt.Sprintf("%s.runs[%d].at", at, j), &r.At)
		}
	}
	if len(w.DeadLetters) > MaxDeadLetters {
		v.Add("dead_letters", "at most %d dead letters report in one heartbeat; these are %d", MaxDeadLetters, len(w.DeadLetters))
		return
	}
	for i := range w.DeadLetters {
		d, at := &w.DeadLetters[i], fmt.Sprintf("dead_letters[%d]", i)
		if !requestID.MatchString(d.RequestID) {
			v.Add(at+".request_id", "%q is no request id", shorten(cut(d.RequestID, 60)))
		}
		checkWord(v, at+".vanity_url", d.VanityURL, 200)
		d.Reason = cut(d.Reason, maxReason)
		checkCounts(v, at, int64(d.Attempts))
		checkMoment(v, at+".at", &d.At)
	}
}

func (q *QueueState) check(v *Validation) {
	q.State, q.Storage, q.Reason = cut(q.State, maxWord), cut(q.Storage, maxWord), cut(q.Reason, maxReason)
	if q.State == "" {
		v.Add("queue.state", "a queue has a state: %s, %s, %s or %s", QueueOK, QueueDegraded, QueueUnreachable, QueueOff)
	}
	checkCounts(v, "queue", q.Used, q.Limit, q.Depth, q.OldestSeconds, q.Dead)
	if len(q.Nodes) > maxQueueNodes || len(q.Lost) > maxQueueLosses || len(q.Algorithms) > maxStates {
		v.Add("queue", "a queue reports at most %d nodes, %d losses and %d algorithms", maxQueueNodes, maxQueueLosses, maxStates)
		return
	}
	for i := range q.Nodes {
		checkWord(v, fmt.Sprintf("queue.nodes[%d].name", i), q.Nodes[i].Name, maxEngineName)
	}
	for i := range q.Lost {
		at := fmt.Sprintf("queue.lost[%d]", i)
		checkCounts(v, at, q.Lost[i].Calls)
		checkMoment(v, at+".at", &q.Lost[i].At)
	}
	for i := range q.Algorithms {
		a, at := &q.Algorithms[i], fmt.Sprintf("queue.algorithms[%d]", i)
		checkWord(v, at+".vanity_url", a.VanityURL, 200)
		checkCounts(v, at, a.Waiting, a.Running, a.Dead)
	}
}

func checkCommandEnds(v *Validation, ends []CommandEnd) {
	if len(ends) > maxCommandEnds {
		v.Add("commands_done", "at most %d commands are told to be done at once; these are %d", maxCommandEnds, len(ends))
		return
	}
	for i := range ends {
		checkCounts(v, fmt.Sprintf("commands_done[%d]", i), int64(ends[i].Done))
		ends[i].Done, ends[i].Error = min(ends[i].Done, MaxDeadLetters), cut(ends[i].Error, maxReason)
	}
}

// checkWord adds to v that a name is empty, too long or has what is not seen.
func checkWord(v *Validation, field, name string, most int) {
	if name == "" || utf8.RuneCountInString(name) > most || cut(name, most) != name {
		v.Add(field, "a name has 1 to %d characters, none of them a control character; not %q", most, cut(name, 60))
	}
}

func checkCounts(v *Validation, field string, counts ...int64) {
	for _, n := range counts {
		if n < 0 || n > maxCount {
			v.Add(field, "its numbers are from 0 to 2^53; not %d", n)
			return
		}
	}
}

// checkMoment adds to v that a time is none that JSON and RFC 3339 can say.
func checkMoment(v *Validation, field string, at *time.Time) {
	if at == nil {
		return
	}
	if year := at.UTC().Year(); year < 1 || year > 9999 {
		v.Add(field, "a time is in the years 1 to 9999, in UTC")
	}
}
