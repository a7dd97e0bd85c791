package queue

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is a set of records: small values by key, stored as messages are.
type Bucket string

// The buckets. All but two forget a value after Options.Keep: BucketDead keeps
// it a week at the least, BucketSchedule for ever.
const (
	BucketCall     Bucket = "call"     // states and results by call
	BucketIdem     Bucket = "idem"     // numbers by idempotency key
	BucketBatch    Bucket = "batch"    // batches
	BucketChunk    Bucket = "chunk"    // parts of batches
	BucketSchedule Bucket = "schedule" // when schedules ran
	BucketDead     Bucket = "dead"     // dead letters
)

var streamOf = map[Bucket]string{
	BucketCall: "call", BucketIdem: "call", BucketBatch: "batch", BucketChunk: "batch", BucketDead: "dead", BucketSchedule: "schedule",
}

// validKey is what a record's key is made of. Dots part it: Keys is quick for
// a prefix that ends in one.
var validKey = regexp.MustCompile(`^[A-Za-z0-9_=/-]+(\.[A-Za-z0-9_=/-]+)*$`)

const (
	maxKey      = 200
	expectedSeq = "Nats-Expected-Last-Subject-Sequence"
)

func (b Bucket) subject(key string) (subject, stream string, err error) {
	stream, ok := streamOf[b]
	if !ok {
		return "", "", fmt.Errorf("%w: %q is no bucket", ErrInvalid, b)
	}
	if len(key) > maxKey || !validKey.MatchString(key) {
		return "", "", fmt.Errorf("%w: a record's key is 1 to %d of A-Z a-z 0-9 _ = / - and single dots between them", ErrInvalid, maxKey)
	}
	return recordPrefix + "." + string(b) + "." + key, stream, nil
}

// Record returns a record's value and its revision, or ErrNotFound.
func (q *Queue) Record(ctx context.Context, b Bucket, key string) (value []byte, revision uint64, err error) {
	return q.RecordWithin(ctx, b, key, func(int) error { return nil })
}

// RecordWithin is Record for a value of any size: room is called with that before
// a large value is read, and its error ends it.
func (q *Queue) RecordWithin(ctx context.Context, b Bucket, key string, room func(size int) error) (value []byte, revision uint64, err error) {
	raw, err := q.record(ctx, b, key)
	if err != nil {
		return nil, 0, err
	}
	text := raw.header.Get(piecesOf)
	if text == "" {
		return raw.data, raw.seq, room(len(raw.data))
	}
	p, err := parsePieces(text)
	if err != nil {
		return nil, 0, err
	}
	if err := room(p.Size); err != nil {
		return nil, 0, err
	}
	value, err = q.getPieces(ctx, p)
	return value, raw.seq, err
}

// RecordHead returns how a record's value begins, whether that is all of it, and its
// revision, or ErrNotFound. Of a large value it reads the first piece alone.
func (q *Queue) RecordHead(ctx context.Context, b Bucket, key string) (head []byte, whole bool, revision uint64, err error) {
	raw, err := q.record(ctx, b, key)
	if err != nil {
		return nil, false, 0, err
	}
	text := raw.header.Get(piecesOf)
	if text == "" {
		return raw.data, true, raw.seq, nil
	}
	p, err := parsePieces(text)
	if err != nil {
		return nil, false, 0, err
	}
	first, err := q.lastOf(ctx, p.Stream, p.subject(0))
	if err != nil {
		return nil, false, 0, fmt.Errorf("read a message's first piece: %w", err)
	}
	return first.data, false, raw.seq, nil
}

func (q *Queue) record(ctx context.Context, b Bucket, key string) (rawMessage, error) {
	subject, stream, err := b.subject(key)
	if err != nil {
		return rawMessage{}, err
	}
	if err := q.settled(); err != nil {
		return rawMessage{}, err
	}
	return q.lastOf(ctx, stream, subject)
}

// Put stores a value if the record's revision still is the one given: 0 is
// that of a record that is not there. It returns the new one, or ErrConflict.
// Its other errors are those of Publish.
func (q *Queue) Put(ctx context.Context, b Bucket, key string, value []byte, revision uint64) (uint64, error) {
	return q.write(ctx, b, key, value, &revision)
}

// Set stores a value whatever is there. Its errors are those of Publish.
func (q *Queue) Set(ctx context.Context, b Bucket, key string, value []byte) error {
	_, err := q.write(ctx, b, key, value, nil)
	return err
}

func (q *Queue) write(ctx context.Context, b Bucket, key string, value []byte, revision *uint64) (uint64, error) {
	subject, stream, err := b.subject(key)
	if err != nil {
		return 0, err
	}
	if err := q.settled(); err != nil {
		return 0, err
	}
	msg := &nats.Msg{Subject: subject, Data: value, Header: nats.Header{nats.ExpectedStreamHdr: {stream}}}
	if revision != nil {
		msg.Header[expectedSeq] = []string{strconv.FormatUint(*revision, 10)}
	}
	var p *pieces
	if len(value) > inline {
		if p, err = q.putPieces(ctx, b.pieceStream(), value); err != nil {
			return 0, err
		}
		msg.Data, msg.Header[piecesOf] = nil, []string{p.String()}
	}
	ack, err := q.store(ctx, msg)
	if err != nil {
		if p != nil && !errors.Is(err, ErrUnknown) {
			q.dropPieces(p)
		}
		return 0, err
	}
	return ack.Sequence, nil
}

// pieceStream is where a bucket's large values are: with those that go after
// Options.Keep by themselves, or with those that the sweep looks after.
func (b Bucket) pieceStream() string {
	if b == BucketDead || b == BucketSchedule {
		return pieceStream
	}
	return blobStream
}

// Delete takes a record out. One that is not there is no error.
func (q *Queue) Delete(ctx context.Context, b Bucket, key string) error {
	raw, err := q.record(ctx, b, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := q.purge(ctx, streamOf[b], raw.subject); err != nil {
		return err
	}
	if text := raw.header.Get(piecesOf); text != "" {
		if p, err := parsePieces(text); err == nil {
			q.dropPieces(p)
		}
	}
	return nil
}

// Keys returns up to limit keys of a bucket that begin with prefix, in the
// order in which they were last written.
func (q *Queue) Keys(ctx context.Context, b Bucket, prefix string, limit int) ([]string, error) {
	stream, ok := streamOf[b]
	if !ok {
		return nil, fmt.Errorf("%w: %q is no bucket", ErrInvalid, b)
	}
	root := recordPrefix + "." + string(b) + "."
	filter := root + ">"
	if whole := prefix[:strings.LastIndexByte(prefix, '.')+1]; whole != "" {
		if !validKey.MatchString(strings.TrimSuffix(whole, ".")) {
			return nil, nil // no key begins so
		}
		filter = root + whole + ">"
	}
	var keys []string
	err := q.scan(ctx, stream, filter, func(m jetstream.Msg) bool {
		if key := strings.TrimPrefix(m.Subject(), root); strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return len(keys) < limit
	})
	return keys, err
}

// scanBatch is how many messages of a scan are on their way at a time.
const scanBatch = 256

// scan hands all messages of a stream and subject to f, without their data and
// in their order, until that returns false. The stream is not the one of work.
func (q *Queue) scan(ctx context.Context, stream, filter string, f func(jetstream.Msg) bool) error {
	if err := q.settled(); err != nil {
		return err
	}
	c, err := q.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		FilterSubject:     filter,
		AckPolicy:         jetstream.AckNonePolicy,
		HeadersOnly:       true,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return asked(err)
	}
	info := c.CachedInfo()
	defer q.dropConsumer(stream, info.Name)
	for left := info.NumPending; left > 0; {
		n := min(left, scanBatch)
		got, stopped, err := q.fetch(ctx, c, int(n), f)
		if err != nil {
			return asked(err)
		}
		if stopped || got == 0 {
			return nil
		}
		left -= min(left, got)
	}
	return nil
}

// knownIn is how long a consumer that was just made is waited for between two
// requests for its messages.
const knownIn = 20 * time.Millisecond

// fetch hands up to n messages of a consumer to f until that returns false, and
// returns how many there were. One node has the consumer, and another that is asked
// may not know of it yet: it is asked again.
func (q *Queue) fetch(ctx context.Context, c jetstream.Consumer, n int, f func(jetstream.Msg) bool) (got uint64, stopped bool, err error) {
	for begun := time.Now(); ; {
		batch, err := c.Fetch(n, jetstream.FetchMaxWait(q.opts.AskTimeout))
		if err != nil {
			return 0, false, err
		}
		for m := range batch.Messages() {
			got++
			stopped = stopped || !f(m)
		}
		switch err = batch.Error(); {
		case got > 0 || err == nil:
			return got, stopped, nil
		case !errors.Is(err, nats.ErrNoResponders) || time.Since(begun) > q.opts.AskTimeout:
			return 0, false, err
		}
		select {
		case <-ctx.Done():
			return 0, false, ctx.Err()
		case <-time.After(knownIn):
		}
	}
}

func (q *Queue) dropConsumer(stream, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), q.opts.AskTimeout)
	defer cancel()
	_ = q.js.DeleteConsumer(ctx, stream, name)
}
