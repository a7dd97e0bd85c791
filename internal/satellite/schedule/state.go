package schedule

import (
	"context"
	"encoding/json"
	"time"

	"github.com/constellation-serving/constellation/internal/cron"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// State is how a schedule does, for operators.
type State struct {
	Name          string    `json:"name"`
	VanityURL     string    `json:"vanity_url"`
	Cron          string    `json:"cron"`
	TimeZone      string    `json:"time_zone"`
	LastAt        time.Time `json:"last_at,omitzero"` // when the last call was due
	LastRequestID string    `json:"last_request_id,omitempty"`
	LastState     string    `json:"last_state,omitempty"`
	NextAt        time.Time `json:"next_at,omitzero"`
	Missed        int64     `json:"missed"` // since the schedule began
	MissedUntil   time.Time `json:"missed_until,omitzero"`
	Runs          []Run     `json:"runs,omitempty"`    // the latest calls, the newest first
	Problem       string    `json:"problem,omitempty"` // why it makes no calls
}

// Run is a call that a schedule made.
type Run struct {
	At        time.Time `json:"at"`              // when it was due
	State     string    `json:"state,omitempty"` // "" is not known any more
	RequestID string    `json:"request_id"`
}

// maxStates bounds what is remembered of calls that have ended.
const maxStates = 1000

// State returns how the schedules do, whichever engine makes their calls. What
// cannot be read is left out.
func (s *Service) State(ctx context.Context) []State {
	var all []State
	for _, schedule := range s.opts.Schedules() {
		state := State{Name: schedule.Name, VanityURL: schedule.VanityURL, Cron: schedule.Cron, TimeZone: schedule.TimeZone}
		times, err := cron.Parse(schedule.Cron, schedule.TimeZone)
		if err != nil {
			state.Problem = err.Error()
			all = append(all, state)
			continue
		}
		after := s.opts.Now()
		var r record
		if value, _, err := s.opts.Queue.Record(ctx, queue.BucketSchedule, keyOf(schedule.Name)); err == nil && json.Unmarshal(value, &r) == nil {
			state.LastAt, state.LastRequestID, state.Missed, state.MissedUntil = r.LastAt, r.LastRequestID, r.Missed, r.MissedUntil
			state.LastState = s.stateOf(ctx, r.LastRequestID, schedule.VanityURL, true)
			for i, run := range r.Runs {
				state.Runs = append(state.Runs, Run{run.At, s.stateOf(ctx, run.RequestID, schedule.VanityURL, i == 0), run.RequestID})
			}
			if r.Due.After(after) {
				after = r.Due
			}
		}
		state.NextAt = times.Next(after)
		all = append(all, state)
	}
	return all
}

// stateOf returns the state of a call. What has ended is asked for once, and so is
// one that is not the newest and not known any more.
func (s *Service) stateOf(ctx context.Context, requestID, vanityURL string, newest bool) string {
	if requestID == "" {
		return ""
	}
	s.statesMu.Lock()
	state, ok := s.states[requestID]
	s.statesMu.Unlock()
	if ok {
		return state
	}
	state, _ = s.opts.StateOf(ctx, requestID, vanityURL)
	if state != "queued" && state != "running" && (state != "" || !newest) {
		s.statesMu.Lock()
		if len(s.states) >= maxStates {
			clear(s.states)
		}
		s.states[requestID] = state
		s.statesMu.Unlock()
	}
	return state
}
