package control

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// sumMoves adds moves up by satellite.
func sumMoves(moves []statusMove) []postgres.StatusMove {
	sums := map[string]*postgres.StatusMove{}
	add := func(satelliteID string, status constellation.LaunchStatus, n int) {
		sum := sums[satelliteID]
		if sum == nil {
			sum = &postgres.StatusMove{SatelliteID: satelliteID}
			sums[satelliteID] = sum
		}
		switch status {
		case constellation.LaunchUp:
			sum.Up += n
		case constellation.LaunchDegraded:
			sum.Degraded += n
		case constellation.LaunchStale:
			sum.Stale += n
		}
	}
	for _, m := range moves {
		add(m.satelliteID, m.from, -1)
		add(m.satelliteID, m.to, 1)
	}
	list := make([]postgres.StatusMove, 0, len(sums))
	for _, sum := range sums {
		list = append(list, *sum)
	}
	slices.SortFunc(list, func(a, b postgres.StatusMove) int { return strings.Compare(a.SatelliteID, b.SatelliteID) })
	return list
}

// sweep marks launches stale that went silent.
func (s *Service) sweep(ctx context.Context) error {
	for {
		var silenced []postgres.Silenced
		err := s.transact(ctx, func(s *Service) (err error) {
			if err := s.db.Lock(ctx, reportsLock); err != nil {
				return err
			}
			if silenced, err = s.db.Silence(ctx, s.now(), s.watchingSince(), batchSize); err != nil || len(silenced) == 0 {
				return err
			}
			moves, changed := make([]statusMove, len(silenced)), make([]launchRef, len(silenced))
			for i, l := range silenced {
				changed[i] = launchRef{l.LaunchID, l.SatelliteID}
				moves[i] = statusMove{changed[i], l.Was, constellation.LaunchStale}
			}
			if err := s.db.MoveStatuses(ctx, sumMoves(moves)); err != nil {
				return err
			}
			if err := s.tell(ctx, moves); err != nil {
				return err
			}
			return s.notifyLaunches(ctx, changed)
		})
		if err != nil || len(silenced) < batchSize {
			return err
		}
	}
}

// listen passes on what any server changed, again and again while there is a
// database.
func (s *Service) listen(ctx context.Context) {
	h := s.memory.heartbeats
	for ctx.Err() == nil {
		err := s.options.DB.Listen(ctx, func() { h.listen(true) }, s.receive)
		h.listen(false)
		s.memory.feed.publish(Change{Kind: ChangeMany})
		if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			s.options.Log.WarnContext(ctx, "listen for changes; trying again", "error", err)
			pause(ctx, listenRetry)
		}
	}
}

// listen notes whether changes are heard of; while they are not, nothing is
// remembered.
func (h *heartbeats) listen(listening bool) {
	h.mu.Lock()
	h.listening = listening
	h.mu.Unlock()
	h.evict("")
}
