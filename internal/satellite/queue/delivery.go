package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// WorkingEvery is how often a delivery that is being worked on tells so.
	WorkingEvery = 10 * time.Second
	// ackWait is when a delivery of which nothing is heard goes to another.
	ackWait = 30 * time.Second
	// idleLine is when what the servers remember of a line's deliveries goes,
	// if nobody asks for its messages any more. The messages stay.
	idleLine = 72 * time.Hour
)

// Delivery is a message that this process has taken. It comes back, to this
// process or another, when nothing is heard of it for 30 s.
type Delivery struct {
	Message
	Seq uint64
	// Delivered counts deliveries: 1 at the first.
	Delivered int
	Stored    time.Time

	queue  *Queue
	reply  string
	pieces *pieces
}

// Next takes the next message of a kind and algorithm, if there is one now. It
// returns nil and no error when there is none.
func (q *Queue) Next(ctx context.Context, k Kind, algorithm string) (*Delivery, error) {
	name, err := q.consumer(ctx, k, algorithm)
	if err != nil {
		return nil, err
	}
	askCtx, cancel := context.WithTimeout(ctx, q.opts.AskTimeout)
	defer cancel()
	msg, err := q.askForMessage(askCtx, "$JS.API.CONSUMER.MSG.NEXT."+workStream+"."+name, []byte(`{"batch":1,"no_wait":true}`))
	if err != nil {
		if errors.Is(err, nats.ErrNoResponders) {
			q.forgetConsumer(name)
		}
		return nil, asked(err)
	}
	if status := msg.Header.Get("Status"); status != "" {
		if status == "404" || status == "408" {
			return nil, nil
		}
		q.forgetConsumer(name)
		return nil, fmt.Errorf("%w: %s %s", ErrUnavailable, status, msg.Header.Get("Description"))
	}
	return q.delivery(ctx, msg)
}

// askForMessage is a request that is answered with a stored message. Such an
// answer has the message's own subject, by which the connection's requests,
// which share one inbox, cannot tell whose it is: this one has its own.
func (q *Queue) askForMessage(ctx context.Context, subject string, request []byte) (*nats.Msg, error) {
	inbox := q.conn.NewInbox()
	answers, err := q.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := q.conn.PublishRequest(subject, inbox, request); err != nil {
		return nil, err
	}
	msg, err := answers.NextMsgWithContext(ctx)
	if err == nil && len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
		return nil, nats.ErrNoResponders
	}
	return msg, err
}

func (q *Queue) delivery(ctx context.Context, msg *nats.Msg) (*Delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read a delivery: %w", err)
	}
	m, err := decode(msg.Subject, msg.Header, msg.Data)
	if err != nil {
		// Nobody can ever read it: it would come back for ever.
		_ = q.conn.Publish(msg.Reply, []byte("+TERM"))
		q.opts.Log.Error("an unreadable message was taken off the queue", "seq", meta.Sequence.Stream, "error", err)
		return nil, err
	}
	d := &Delivery{Message: m.Message, Seq: meta.Sequence.Stream, Delivered: int(meta.NumDelivered), Stored: meta.Timestamp,
		queue: q, reply: msg.Reply, pieces: m.pieces}
	if d.pieces == nil {
		return d, nil
	}
	d.Data, err = q.getPieces(ctx, d.pieces)
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrInvalid):
		// It was taken out meanwhile, or its pieces are gone for good.
		_ = q.conn.Publish(msg.Reply, []byte("+TERM"))
		q.opts.Log.Error("a message without its pieces was taken off the queue", "seq", d.Seq, "error", err)
	default:
		_ = d.Retry(time.Second)
	}
	return nil, err
}

// Working tells the queue that the message is still being worked on. It is
// called every WorkingEvery.
func (d *Delivery) Working() error {
	return asked(d.queue.conn.Publish(d.reply, []byte("+WPI")))
}

// Done takes the message off the queue and returns once that is confirmed.
// After an error the message may come back.
func (d *Delivery) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.queue.opts.AskTimeout)
	defer cancel()
	if _, err := d.queue.conn.RequestWithContext(ctx, d.reply, []byte("+ACK")); err != nil {
		return fmt.Errorf("take a message off the queue: %w", asked(err))
	}
	d.queue.tally.end(d.Kind)
	if d.pieces != nil {
		d.queue.dropPieces(d.pieces)
	}
	return nil
}

// Retry gives the message back. It is delivered again after delay.
func (d *Delivery) Retry(delay time.Duration) error {
	text := "-NAK"
	if delay > 0 {
		text += ` {"delay":` + strconv.FormatInt(int64(delay), 10) + `}`
	}
	if err := d.queue.conn.Publish(d.reply, []byte(text)); err != nil {
		return asked(err)
	}
	d.queue.hintAfter(line(d.Kind, d.Algorithm), delay)
	return nil
}

// consumer returns the name of what the servers remember of a line's
// deliveries, and makes it where it is not there.
func (q *Queue) consumer(ctx context.Context, k Kind, algorithm string) (string, error) {
	name := string(k) + "-" + lineName(algorithm)
	q.mu.Lock()
	there, unsettled := q.consumers[name], q.unsettled
	q.mu.Unlock()
	if unsettled != nil {
		return "", unsettled
	}
	if there {
		return name, nil
	}
	ctx, cancel := context.WithTimeout(ctx, q.opts.AskTimeout)
	defer cancel()
	_, err := q.js.CreateConsumer(ctx, workStream, jetstream.ConsumerConfig{
		Durable:           name,
		FilterSubject:     workSubject + "." + line(k, algorithm) + ".*",
		AckPolicy:         jetstream.AckExplicitPolicy,
		AckWait:           ackWait,
		MaxDeliver:        -1,
		MaxAckPending:     -1,
		MaxWaiting:        1024,
		InactiveThreshold: idleLine,
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return "", fmt.Errorf("%w: prepare a line: %w", ErrUnavailable, err)
	}
	q.mu.Lock()
	q.consumers[name] = true
	q.mu.Unlock()
	return name, nil
}

func (q *Queue) forgetConsumer(name string) {
	q.mu.Lock()
	delete(q.consumers, name)
	q.mu.Unlock()
	q.check()
}
