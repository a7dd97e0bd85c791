package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/notify"
)

// tell has people told of launches whose status moved, in the transaction of the move.
func (s *Service) tell(ctx context.Context, moves []statusMove) error {
	if len(moves) == 0 {
		return nil
	}
	list := make([]notify.Transition, len(moves))
	for i, m := range moves {
		list[i] = notify.Transition{LaunchID: m.launchID, From: m.from, To: m.to}
	}
	return notify.RecordTransitions(ctx, s.db, s.now(), list)
}
