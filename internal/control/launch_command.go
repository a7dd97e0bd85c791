package control

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// What is kept of a launch's commands: so many that wait, and so many in all.
const (
	maxOpenCommands = 20
	keptCommands    = 100
)

type commandView struct {
	SatelliteID string   `json:"satellite_id"`
	Command     string   `json:"command"`
	Action      string   `json:"action"`
	RequestIDs  []string `json:"request_ids"`
}

// AskDeadLetters asks a launch to put dead letters back into its queue, or to
// drop them. It is told with the answer to the launch's next heartbeat, so one
// that does not report, or has no queue, is refused.
func (s *Service) AskDeadLetters(ctx context.Context, p Principal, satelliteID, launchID, action string, requestIDs []string) (*constellation.QueueCommand, error) {
	var v constellation.Validation
	if action != constellation.CommandRetry && action != constellation.CommandDrop {
		v.Add("action", "action is %s or %s; not %q", constellation.CommandRetry, constellation.CommandDrop, clean(action, 40))
	}
	constellation.CheckRequestIDs(&v, "request_ids", requestIDs)
	command := &constellation.QueueCommand{ID: uuid.NewString(), Action: action, RequestIDs: requestIDs, CreatedAt: s.now(), CreatedBy: p.Username}
	err := s.editLaunch(ctx, p, satelliteID, launchID, nil, "deciding on dead letters", func(s *Service, satellite *constellation.Satellite, launch *constellation.Launch) error {
		if err := v.Err(); err != nil {
			return err
		}
		if err := s.mayBeAsked(ctx, launch); err != nil {
			return err
		}
		commands, err := s.db.OpenCommands(ctx, []string{launch.ID}, openSince(command.CreatedAt))
		if err != nil {
			return err
		}
		open := commands[launch.ID]
		if len(open) >= maxOpenCommands {
			return constellation.Errorf(constellation.KindConflict, "%d decisions wait for the next heartbeat of launch %s already; wait for it", len(open), launch.Name)
		}
		for _, other := range open {
			for _, id := range requestIDs {
				if slices.Contains(other.RequestIDs, id) {
					return constellation.Errorf(constellation.KindConflict, "%s is decided on already: %s asked to %s it, and that waits for the launch's next heartbeat", id, other.CreatedBy, other.Action)
				}
			}
		}
		if err := s.db.InsertCommand(ctx, launch.ID, command, keptCommands); err != nil {
			return err
		}
		return s.audit(ctx, p, "launch."+action+"_dead_letters", launchTarget(launch), nil,
			commandView{SatelliteID: satellite.ID, Command: command.ID, Action: action, RequestIDs: requestIDs})
	})
	if err != nil {
		return nil, err
	}
	return command, nil
}

// mayBeAsked refuses a launch that would not hear of a command.
func (s *Service) mayBeAsked(ctx context.Context, launch *constellation.Launch) error {
	if launch.Status == constellation.LaunchNeverSeen || launch.Status == constellation.LaunchStale {
		return constellation.Errorf(constellation.KindConflict,
			"launch %s does not report, so it cannot be asked from here; on its machine: algo-install satellite %s %s queue dead", launch.Name, launch.SatelliteID, launch.ID)
	}
	state, err := s.launchState(ctx, launch.ID)
	if err != nil {
		return err
	}
	if state == nil || state.Work.Queue == nil || state.Work.Queue.State == constellation.QueueOff {
		return constellation.Errorf(constellation.KindConflict, "launch %s has no queue, and so no dead letters", launch.Name)
	}
	return nil
}

// openSince is from when on commands wait still at now.
func openSince(now time.Time) time.Time { return now.Add(-constellation.CommandLifetime) }
