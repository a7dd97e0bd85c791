package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/durable"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// view is a session's queue as its operator sees it.
type view struct {
	s *Service
	d *durable.Session
}

// Status returns how the queue does.
func (v view) Status(ctx context.Context) operate.Status {
	state := v.d.Queue.State(ctx)
	s := operate.Status{
		Draining: v.d.Refuses(ctx), Storage: v.d.Settings.Storage, Used: state.Used, Limit: state.Limit, Dead: state.Dead,
		Nodes: []operate.Node{}, Algorithms: []operate.Algorithm{}, Lost: []operate.Loss{},
	}
	for _, n := range state.Nodes {
		s.Nodes = append(s.Nodes, operate.Node{Name: n.Name, Ready: n.Ready, Reason: n.Reason, Free: n.Free, Total: n.Total})
	}
	for _, l := range state.Losses {
		s.Lost = append(s.Lost, operate.Loss{At: l.At, Calls: l.Calls})
	}
	s.State, s.Reason = v.queueHealth(&state)
	if !state.Reachable {
		return s
	}
	dead := v.s.countDead(ctx, v.d, state.Dead)
	for _, a := range v.s.Durable.Served() {
		p, err := v.d.Queue.Pending(ctx, queue.KindCall, a.VanityURL)
		if err != nil {
			continue // it is told as soon as it can be asked
		}
		line := operate.Algorithm{VanityURL: a.VanityURL, Waiting: p.Waiting, Running: p.Running, Dead: dead[a.VanityURL]}
		if !p.Oldest.IsZero() {
			line.OldestSeconds = int64(max(v.s.Now().Sub(p.Oldest), 0) / time.Second)
		}
		s.Waiting, s.Running = s.Waiting+p.Waiting, s.Running+p.Running
		s.OldestSeconds = max(s.OldestSeconds, line.OldestSeconds)
		s.Algorithms = append(s.Algorithms, line)
	}
	return s
}

// queueHealth returns the state that a queue is in, and why it is not ok.
func (v view) queueHealth(state *queue.State) (name, reason string) {
	if err := v.d.Queue.Ready(); err != nil {
		return operate.StateUnreachable, err.Error()
	}
	if !state.Reachable {
		return operate.StateUnreachable, state.Reason
	}
	var away []string
	for _, n := range state.Nodes {
		if !n.Ready {
			away = append(away, n.Name+": "+n.Reason)
		}
	}
	missing := v.d.Settings.Replicas - len(state.Nodes)
	if len(away) == 0 && missing > 0 && time.Since(v.d.Opened) > nodesWithin {
		away = append(away, fmt.Sprintf("%d of %d nodes were not heard of", missing, v.d.Settings.Replicas))
	}
	if len(away) > 0 {
		return operate.StateDegraded, strings.Join(away, "; ")
	}
	return operate.StateOK, ""
}

// nodesWithin is when all nodes have been heard of that are there.
const nodesWithin = 15 * time.Second

// Drain has all engines refuse new calls, or take them again.
func (v view) Drain(ctx context.Context, on bool) error { return notNow(v.d.Refuse(ctx, on)) }

// notNow returns an error of the queue as an operator reads it.
func notNow(err error) error {
	switch {
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, queue.ErrFull), errors.Is(err, queue.ErrUnknown), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", operate.ErrUnavailable, err)
	case errors.Is(err, queue.ErrConflict):
		return fmt.Errorf("%w: %w", operate.ErrConflict, err)
	}
	return err
}
