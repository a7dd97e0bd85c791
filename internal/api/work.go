package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// readWork reads what a heartbeat says of calls that outlive their callers.
func readWork(in *apiv1.Heartbeat) constellation.WorkState {
	var w constellation.WorkState
	if q := in.Queue; q != nil {
		w.Queue = &constellation.QueueState{
			State: q.State, Reason: q.Reason, Storage: q.Storage, Used: q.Used, Limit: q.Limit, Depth: q.Depth, OldestSeconds: q.OldestSeconds, Dead: q.Dead,
			Nodes: mapped(q.Nodes, func(n apiv1.HeartbeatQueueNode) constellation.QueueNode { return constellation.QueueNode(n) }),
			Lost:  mapped(q.Lost, func(l apiv1.HeartbeatLoss) constellation.QueueLoss { return constellation.QueueLoss(l) }),
			Algorithms: mapped(q.Algorithms, func(a apiv1.HeartbeatQueueAlgorithm) constellation.QueueAlgorithm {
				return constellation.QueueAlgorithm(a)
			}),
		}
	}
	w.Schedules = mapped(in.Schedules, readScheduleState)
	w.DeadLetters = mapped(in.DeadLetters, func(d apiv1.HeartbeatDeadLetter) constellation.DeadLetter { return constellation.DeadLetter(d) })
	return w
}

// wireQueue returns the queue of a launch as the API tells it; nil when it
// reports none.
func wireQueue(q *constellation.QueueState) *apiv1.HeartbeatQueue {
	if q == nil {
		return nil
	}
	return &apiv1.HeartbeatQueue{
		State: q.State, Reason: q.Reason, Storage: q.Storage, Used: q.Used, Limit: q.Limit, Depth: q.Depth, OldestSeconds: q.OldestSeconds, Dead: q.Dead,
		Nodes: mapped(q.Nodes, func(n constellation.QueueNode) apiv1.HeartbeatQueueNode { return apiv1.HeartbeatQueueNode(n) }),
		Lost: mapped(q.Lost, func(l constellation.QueueLoss) apiv1.HeartbeatLoss {
			return apiv1.HeartbeatLoss{At: l.At.UTC(), Calls: l.Calls}
		}),
		Algorithms: mapped(q.Algorithms, func(a constellation.QueueAlgorithm) apiv1.HeartbeatQueueAlgorithm {
			return apiv1.HeartbeatQueueAlgorithm(a)
		}),
	}
}

func readScheduleState(s apiv1.HeartbeatSchedule) constellation.ScheduleState {
	return constellation.ScheduleState{
		Name: s.Name, LastAt: s.LastAt, LastState: s.LastState, LastRequestID: s.LastRequestID, NextAt: s.NextAt, Missed: s.Missed,
		Runs: mapped(s.Runs, func(r apiv1.HeartbeatRun) constellation.ScheduleRun { return constellation.ScheduleRun(r) }),
	}
}

func wireScheduleState(s constellation.ScheduleState) apiv1.HeartbeatSchedule {
	return apiv1.HeartbeatSchedule{
		Name: s.Name, LastAt: utc(s.LastAt), LastState: s.LastState, LastRequestID: s.LastRequestID, NextAt: utc(s.NextAt), Missed: s.Missed,
		Runs: mapped(s.Runs, func(r constellation.ScheduleRun) apiv1.HeartbeatRun {
			r.At = r.At.UTC()
			return apiv1.HeartbeatRun(r)
		}),
	}
}

func wireDeadLetter(d constellation.DeadLetter) apiv1.HeartbeatDeadLetter {
	d.At = d.At.UTC()
	return apiv1.HeartbeatDeadLetter(d)
}

func wireCommand(c constellation.QueueCommand) apiv1.QueueCommand {
	return apiv1.QueueCommand{
		ID: c.ID, Action: c.Action, RequestIDs: c.RequestIDs, CreatedAt: c.CreatedAt.UTC(), CreatedBy: c.CreatedBy, DoneAt: utc(c.DoneAt), Done: c.Done, Error: c.Error,
	}
}

func mapped[A, B any](list []A, to func(A) B) []B {
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = to(a)
	}
	return out
}

type deadLettersInput struct {
	LaunchPath
	Body apiv1.DeadLettersDecision
}

type commandOutput struct{ Body apiv1.QueueCommand }

// askDeadLetters asks a launch to retry or drop dead letters.
func (s *server) askDeadLetters(ctx context.Context, in *deadLettersInput) (*commandOutput, error) {
	c := callOf(ctx)
	command, err := c.control.AskDeadLetters(ctx, c.principal, in.SatelliteID, in.LaunchID, in.Body.Action, in.Body.RequestIDs)
	if err != nil {
		return nil, err
	}
	return &commandOutput{wireCommand(*command)}, nil
}
