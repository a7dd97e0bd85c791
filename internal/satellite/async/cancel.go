package async

import (
	"context"
	"errors"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// cancel ends a call that has not ended: by its record, which only one can make,
// and then wherever it waits or runs.
func (s *Service) cancel(ctx context.Context, at callRef, c *Caller) (protocol.Reply, *protocol.Failure) {
	seen, f := s.lookFor(ctx, at, c)
	if f != nil {
		return protocol.Reply{}, f
	}
	for {
		rec, rev, err := s.recordHead(ctx, at.ticket, c.room)
		if errors.Is(err, errNoRoom) {
			return protocol.Reply{}, noRoom(err)
		}
		if err != nil {
			return protocol.Reply{}, s.unreadable(err)
		}
		if rec != nil {
			seen = rec
		}
		if seen.State.Ended() {
			return protocol.Reply{}, protocol.Refuse(http.StatusConflict, "the call has ended already: it is "+string(seen.State))
		}
		next := *seen
		next.State, next.FinishedAt, next.body = Cancelled, s.now().UTC(), nil
		data, err := next.encode()
		if err != nil {
			return protocol.Reply{}, s.unreadable(err)
		}
		_, err = s.opts.Queue.Put(ctx, queue.BucketCall, at.ticket.String(), data, rev)
		switch {
		case errors.Is(err, queue.ErrConflict):
			continue
		case err != nil:
			return protocol.Reply{}, s.unreadable(err)
		}
		s.endCancelled(at, next.Seq)
		return jsonReply(http.StatusOK, s.status(ctx, at, &next)), nil
	}
}

// endCancelled ends a call whose record says that it was cancelled. Where it runs
// it is cut off, also when the signal gets lost; where it waits it is taken out,
// or else by whoever takes it.
func (s *Service) endCancelled(at callRef, seq uint64) {
	s.opts.Metrics.finished.WithLabelValues(at.vanityURL, string(Cancelled)).Inc()
	s.opts.Queue.Signal(signalCancel, []byte(at.ticket.String()))
	s.opts.Queue.Signal(signalEnded, []byte(at.ticket.String()))
	if w := s.isActive(at.ticket); w != nil {
		w.cut(ErrCancelled) // and takes it off the queue
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.running), recordTimeout)
	defer cancel()
	if err := s.opts.Queue.Remove(ctx, seq); err != nil && !errors.Is(err, queue.ErrNotFound) {
		s.log.Debug("take a cancelled call out of the queue", "request_id", at.id, "error", err)
	}
}
