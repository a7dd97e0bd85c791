package heartbeat

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// Work is what the engine that reports knows of calls that outlive their
// callers, and does with them when the mothership asks.
type Work interface {
	// State returns how queue, schedules and replicas do now. It is called
	// before each heartbeat, and returns what it has when ctx ends.
	State(ctx context.Context) WorkState
	// Do does what somebody asked for at the mothership, and returns to how many
	// of the command's calls it was done. Its error says to users why it was not
	// done to the others. The same command may come twice; a call that is no
	// dead letter any more is passed over.
	Do(ctx context.Context, command apiv1.HeartbeatCommand) (done int, err error)
}

// WorkState is the part of a heartbeat that is about calls that outlive their
// callers; what is not known is left zero.
type WorkState struct {
	Queue       *apiv1.HeartbeatQueue // nil: not known, as of an engine that just started
	Schedules   []apiv1.HeartbeatSchedule
	DeadLetters []apiv1.HeartbeatDeadLetter // newest first
	Scales      map[string]Scale            // by vanity URL: of those whose replicas follow the load
}

// Scale is how many replicas of an algorithm the load asks for, and the bounds.
type Scale struct{ Desired, Min, Max int }

// What a heartbeat tells at most, and how long it waits for it.
const (
	maxDeadLetters  = 100
	maxLosses       = 20
	maxWords        = 500 // characters of a reason
	stateWait       = 5 * time.Second
	commandsWait    = 30 * time.Second
	commandInterval = 3 * time.Second // after a command was done: somebody looks at it
)

// work is the Sender's part in Work.
type work struct {
	Work
	ended []apiv1.HeartbeatCommandEnd // that no answered heartbeat has told yet
	done  map[string]apiv1.HeartbeatCommandEnd
	order []string // of done, oldest first
}

// maxDoneCommands is how many commands are remembered, so that one that comes
// again is not done again.
const maxDoneCommands = 100

// report puts into a heartbeat how the work does.
func (w *work) report(ctx context.Context, body *apiv1.Heartbeat) {
	body.CommandsDone = w.ended
	if w.Work == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stateWait)
	defer cancel()
	state := w.State(ctx)
	if state.Queue != nil {
		queue := *state.Queue
		queue.Reason = inBounds(queue.Reason)
		queue.Lost = queue.Lost[max(0, len(queue.Lost)-maxLosses):]
		body.Queue = &queue
	}
	body.Schedules = state.Schedules
	body.DeadLetters = append([]apiv1.HeartbeatDeadLetter(nil), state.DeadLetters[:min(len(state.DeadLetters), maxDeadLetters)]...)
	for i := range body.DeadLetters {
		body.DeadLetters[i].Reason = inBounds(body.DeadLetters[i].Reason)
	}
	for i := range body.Algorithms {
		a := &body.Algorithms[i]
		scale, ok := state.Scales[a.VanityURL]
		if !ok {
			continue
		}
		// As many as the load asks for are wanted: one that was scaled to none
		// lacks nothing.
		a.Wanted, a.Desired, a.MinReplicas, a.MaxReplicas = scale.Desired, &scale.Desired, &scale.Min, scale.Max
		if a.Ready >= a.Wanted {
			a.Reason = ""
		}
	}
}

// answered takes that the mothership has what was told of commands, and does
// those that it asks for. It reports whether it did any.
func (w *work) answered(ctx context.Context, told []apiv1.HeartbeatCommandEnd, commands []apiv1.HeartbeatCommand) bool {
	w.ended = w.ended[min(len(told), len(w.ended)):]
	if len(commands) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, commandsWait)
	defer cancel()
	for _, command := range commands {
		end, again := w.done[command.ID]
		if !again {
			end = w.do(ctx, command)
			w.remember(end)
		}
		w.ended = append(w.ended, end)
	}
	return true
}

func (w *work) do(ctx context.Context, command apiv1.HeartbeatCommand) apiv1.HeartbeatCommandEnd {
	end := apiv1.HeartbeatCommandEnd{ID: command.ID}
	switch {
	case w.Work == nil:
		end.Error = "this satellite has no queue"
	case command.Action != apiv1.QueueRetry && command.Action != apiv1.QueueDrop:
		end.Error = "this satellite's engine is older than the command, and does not know it"
	default:
		var err error
		if end.Done, err = w.Do(ctx, command); err != nil {
			end.Error = inBounds(err.Error())
		}
	}
	return end
}

func (w *work) remember(end apiv1.HeartbeatCommandEnd) {
	if w.done == nil {
		w.done = map[string]apiv1.HeartbeatCommandEnd{}
	}
	w.done[end.ID] = end
	w.order = append(w.order, end.ID)
	if len(w.order) > maxDoneCommands {
		delete(w.done, w.order[0])
		w.order = w.order[1:]
	}
}

// inBounds is text as a heartbeat takes it.
func inBounds(text string) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), maxWords)])
}
