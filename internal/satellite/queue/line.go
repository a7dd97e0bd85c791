package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Pending says how much of a kind and algorithm there is.
type Pending struct {
	// Waiting are not delivered to anyone.
	Waiting uint64
	// Running are delivered and not done, those included that wait to be
	// delivered again.
	Running uint64
	// Oldest is when the oldest of them was stored: zero when there are none.
	Oldest time.Time
}

// consumerState is what the servers say of a line's deliveries.
type consumerState struct {
	Delivered struct {
		Stream uint64 `json:"stream_seq"`
	} `json:"delivered"`
	Running uint64 `json:"num_ack_pending"`
	Waiting uint64 `json:"num_pending"`
}

func (q *Queue) consumerState(ctx context.Context, k Kind, algorithm string) (consumerState, error) {
	name, err := q.consumer(ctx, k, algorithm)
	if err != nil {
		return consumerState{}, err
	}
	var s consumerState
	err = q.ask(ctx, "$JS.API.CONSUMER.INFO."+workStream+"."+name, struct{}{}, &s)
	if hasCode(err, codeConsumerNotFound) {
		q.forgetConsumer(name)
	}
	return s, err
}

// Pending returns how many of a kind and algorithm wait or run.
func (q *Queue) Pending(ctx context.Context, k Kind, algorithm string) (Pending, error) {
	s, err := q.consumerState(ctx, k, algorithm)
	if err != nil {
		return Pending{}, err
	}
	p := Pending{Waiting: s.Waiting, Running: s.Running}
	if p.Waiting+p.Running == 0 {
		return p, nil
	}
	first, err := q.get(ctx, workStream, getRequest{Seq: 1, NextFor: workSubject + "." + line(k, algorithm) + ".*"})
	if errors.Is(err, ErrNotFound) {
		return Pending{}, nil
	}
	p.Oldest = first.at
	return p, err
}

// Peeked is a stored message that nobody took by reading it.
type Peeked struct {
	Message
	Seq    uint64
	Stored time.Time
}

// Peek reads a stored message without taking it. It returns ErrNotFound when
// it is not there (any more).
func (q *Queue) Peek(ctx context.Context, seq uint64) (*Peeked, error) {
	if seq == 0 {
		return nil, ErrNotFound
	}
	raw, err := q.get(ctx, workStream, getRequest{Seq: seq})
	if err != nil {
		return nil, err
	}
	return q.peeked(ctx, raw)
}

func (q *Queue) peeked(ctx context.Context, raw rawMessage) (*Peeked, error) {
	m, err := decode(raw.subject, raw.header, raw.data)
	if err != nil {
		return nil, err
	}
	if m.pieces != nil {
		if m.Data, err = q.getPieces(ctx, m.pieces); err != nil {
			return nil, err
		}
	}
	return &Peeked{Message: m.Message, Seq: raw.seq, Stored: raw.at}, nil
}

// PeekFrom reads up to n messages of a kind and algorithm from number seq on,
// in their order, and hands each to f until that returns false. Data that is
// stored in pieces is not read.
func (q *Queue) PeekFrom(ctx context.Context, k Kind, algorithm string, seq uint64, n int, f func(*Peeked) bool) error {
	subject := workSubject + "." + line(k, algorithm) + ".*"
	for seq = max(seq, 1); n > 0; n-- {
		raw, err := q.get(ctx, workStream, getRequest{Seq: seq, NextFor: subject})
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		m, err := decode(raw.subject, raw.header, raw.data)
		if err != nil {
			return err
		}
		if !f(&Peeked{Message: m.Message, Seq: raw.seq, Stored: raw.at}) {
			return nil
		}
		seq = raw.seq + 1
	}
	return nil
}

// Position returns a message's place in its line: 1 is the next to be taken,
// 0 one that is taken. It returns ErrNotFound for one that is not there.
func (q *Queue) Position(ctx context.Context, k Kind, algorithm string, seq uint64) (uint64, error) {
	s, err := q.consumerState(ctx, k, algorithm)
	if err != nil {
		return 0, err
	}
	after, err := q.after(ctx, k, algorithm, seq)
	if err != nil {
		return 0, err
	}
	if seq <= s.Delivered.Stream || after >= s.Waiting {
		return 0, nil
	}
	return s.Waiting - after, nil
}

// after returns how many of a line stand behind number seq.
func (q *Queue) after(ctx context.Context, k Kind, algorithm string, seq uint64) (uint64, error) {
	request, err := json.Marshal(struct {
		getRequest
		Batch int `json:"batch"`
	}{getRequest{Seq: seq, NextFor: workSubject + "." + line(k, algorithm) + ".*"}, 1})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, q.opts.AskTimeout)
	defer cancel()
	msg, err := q.conn.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+workStream, request)
	if err != nil {
		return 0, asked(err)
	}
	if msg.Header.Get("Status") == "404" || msg.Header.Get("Nats-Sequence") != strconv.FormatUint(seq, 10) {
		return 0, ErrNotFound
	}
	after, err := strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read a message's place: %w", err)
	}
	return after, nil
}

// Remove takes a message out, whoever has it. It returns ErrNotFound when it
// is not there.
func (q *Queue) Remove(ctx context.Context, seq uint64) error {
	raw, err := q.get(ctx, workStream, getRequest{Seq: seq})
	if err != nil {
		return err
	}
	err = q.ask(ctx, "$JS.API.STREAM.MSG.DELETE."+workStream, struct {
		Seq     uint64 `json:"seq"`
		NoErase bool   `json:"no_erase"`
	}{seq, true}, nil)
	if hasCode(err, codeDeleteFailed) || hasCode(err, codeSequenceNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	if m, err := decode(raw.subject, raw.header, raw.data); err == nil {
		q.tally.end(m.Kind)
		if m.pieces != nil {
			q.dropPieces(m.pieces)
		}
	}
	return nil
}
