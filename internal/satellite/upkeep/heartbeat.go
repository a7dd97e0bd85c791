package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/satellite/durable"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// maxTold is how many dead letters a heartbeat tells.
const maxTold = 100

// State returns how the queue and the schedules do.
func (s *Service) State(ctx context.Context) heartbeat.WorkState {
	d := s.Durable.Session()
	if d == nil {
		state := apiv1.HeartbeatQueue{State: operate.StateOff}
		if s.Durable.Settings() != nil {
			state.State, state.Reason = operate.StateUnreachable, "the engine has not opened it yet"
		}
		return heartbeat.WorkState{Queue: &state}
	}
	status := view{s, d}.Status(ctx)
	state := heartbeat.WorkState{Queue: reported(&status), Schedules: schedules(ctx, d)}
	if status.Dead == 0 || status.State == operate.StateUnreachable {
		return state
	}
	list, _, err := d.Calls.DeadLetters(ctx, "", maxTold)
	if err != nil {
		return state // the number is told
	}
	for _, l := range list {
		state.DeadLetters = append(state.DeadLetters, apiv1.HeartbeatDeadLetter{RequestID: l.ID, VanityURL: l.VanityURL, Reason: l.Reason, Attempts: l.Attempts, At: l.DiedAt})
	}
	return state
}

// reported returns a queue's status as a heartbeat has it.
func reported(s *operate.Status) *apiv1.HeartbeatQueue {
	q := &apiv1.HeartbeatQueue{
		State: s.State, Reason: s.Reason, Storage: s.Storage, Used: s.Used, Limit: s.Limit,
		Depth: int64(s.Waiting + s.Running), OldestSeconds: s.OldestSeconds, Dead: int64(s.Dead),
	}
	if s.Draining && q.Reason == "" {
		q.Reason = "it takes no new calls, since its operator said so"
	}
	for _, n := range s.Nodes {
		q.Nodes = append(q.Nodes, apiv1.HeartbeatQueueNode{Name: n.Name, Ready: n.Ready})
	}
	for _, l := range s.Lost {
		q.Lost = append(q.Lost, apiv1.HeartbeatLoss{At: l.At, Calls: int64(l.Calls)})
	}
	for _, a := range s.Algorithms {
		if a.Waiting+a.Running+a.Dead > 0 {
			q.Algorithms = append(q.Algorithms, apiv1.HeartbeatQueueAlgorithm{VanityURL: a.VanityURL, Waiting: int64(a.Waiting), Running: int64(a.Running), Dead: int64(a.Dead)})
		}
	}
	return q
}

// Do does what somebody asked for at the mothership.
func (s *Service) Do(ctx context.Context, command apiv1.HeartbeatCommand) (int, error) {
	d := s.Durable.Session()
	if d == nil {
		return 0, errors.New("this satellite's queue is off, or not open yet")
	}
	do := deadLetters{s, d}.Retry
	if command.Action == apiv1.QueueDrop {
		do = deadLetters{s, d}.Drop
	}
	done, err := do(ctx, command.RequestIDs)
	if err != nil {
		return 0, err
	}
	if len(done.Failed) > 0 {
		err = fmt.Errorf("%d of %d: %s", len(done.Failed), len(command.RequestIDs), done.Failed[0].Reason)
	}
	s.Log.Info("the mothership had dead letters looked after", "action", command.Action, "done", done.Done, "left", len(done.Failed))
	return done.Done, err
}

// schedules returns how the schedules do, as heartbeats have it.
func schedules(ctx context.Context, d *durable.Session) []apiv1.HeartbeatSchedule {
	var all []apiv1.HeartbeatSchedule
	for _, one := range d.Times.State(ctx) {
		told := apiv1.HeartbeatSchedule{
			Name: one.Name, LastAt: known(one.LastAt), LastState: one.LastState, LastRequestID: one.LastRequestID, NextAt: known(one.NextAt), Missed: one.Missed,
		}
		for _, run := range one.Runs {
			told.Runs = append(told.Runs, apiv1.HeartbeatRun{At: run.At, State: run.State, RequestID: run.RequestID})
		}
		all = append(all, told)
	}
	return all
}

// known returns a time, nil when it is zero.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
