package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// storeTimeout is the longest that one thing to be stored is waited for: who
// calls is told by then.
const storeTimeout = 2 * time.Second

// Receipt says where a message is stored.
type Receipt struct {
	Seq uint64
	// Duplicate says that a message of the same id was there already; Seq is its.
	Duplicate bool
}

// Publish returns once a majority has the message on its disks, after two
// seconds at most, and two more for each piece of one that is stored in
// pieces. ErrFull, ErrUnavailable and ErrInvalid say that it surely is not
// stored; ErrUnknown that it may be.
func (q *Queue) Publish(ctx context.Context, m Message) (Receipt, error) {
	if err := m.check(); err != nil {
		return Receipt{}, err
	}
	if err := q.settled(); err != nil {
		return Receipt{}, err
	}
	// What follows from work that was accepted still has its place.
	if m.Kind != KindCallback {
		if err := q.room(); err != nil {
			return Receipt{}, err
		}
	}
	var p *pieces
	if len(m.Data) > inline {
		var err error
		if p, err = q.putPieces(ctx, pieceStream, m.Data); err != nil {
			return Receipt{}, err
		}
	}
	msg, err := m.encode(p)
	if err != nil {
		return Receipt{}, err
	}
	ack, err := q.store(ctx, msg)
	if p != nil && (ack.Duplicate || err != nil && !errors.Is(err, ErrUnknown)) {
		q.dropPieces(p)
	}
	if err != nil {
		return Receipt{}, err
	}
	for {
		last := q.last.Load()
		if ack.Sequence <= last || q.last.CompareAndSwap(last, ack.Sequence) {
			break
		}
	}
	if !ack.Duplicate {
		q.tally.accept(m.Kind, ack.Sequence)
		q.hint(line(m.Kind, m.Algorithm))
	}
	return Receipt{Seq: ack.Sequence, Duplicate: ack.Duplicate}, nil
}

// Last returns the highest number that this process saw acknowledged.
func (q *Queue) Last() uint64 { return q.last.Load() }

// store stores one message and translates what comes of it.
func (q *Queue) store(ctx context.Context, msg *nats.Msg) (jetstream.PubAck, error) {
	if !q.conn.IsConnected() {
		return jetstream.PubAck{}, fmt.Errorf("%w: not connected", ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, q.opts.StoreTimeout)
	defer cancel()
	reply, err := q.conn.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return jetstream.PubAck{}, stored(err)
	}
	var ack struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return jetstream.PubAck{}, fmt.Errorf("%w: unreadable answer", ErrUnknown)
	}
	if ack.Error != nil {
		return jetstream.PubAck{}, stored(ack.Error)
	}
	if ack.Sequence == 0 {
		return jetstream.PubAck{}, fmt.Errorf("%w: empty answer", ErrUnknown)
	}
	return ack.PubAck, nil
}
