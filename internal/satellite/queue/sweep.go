package queue

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sweepEvery is how often pieces are looked for that nothing refers to.
const sweepEvery = time.Hour

// sweepForEver takes pieces out that were left behind by a process that ended
// between storing them and storing what refers to them.
func (q *Queue) sweepForEver(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := q.sweep(ctx, sweepEvery); err != nil {
			q.opts.Log.Warn("sweep the queue's pieces", "error", err)
		}
	}
}

// sweep takes out pieces that are older than age and that nothing refers to.
// What refers to them is stored within seconds of them.
func (q *Queue) sweep(ctx context.Context, age time.Duration) error {
	candidates, err := q.oldPieces(ctx, age)
	if err != nil || len(candidates) == 0 {
		return err
	}
	spare := func(header nats.Header) {
		if p, err := parsePieces(header.Get(piecesOf)); err == nil {
			delete(candidates, p.ID)
		}
	}
	for seq := uint64(1); ; {
		raw, err := q.get(ctx, workStream, getRequest{Seq: seq, NextFor: workSubject + ".*.*." + subjPieces})
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		spare(raw.header)
		seq = raw.seq + 1
	}
	for _, b := range []Bucket{BucketDead, BucketSchedule} {
		err := q.scan(ctx, streamOf[b], recordPrefix+"."+string(b)+".>", func(m jetstream.Msg) bool {
			spare(nats.Header(m.Headers()))
			return true
		})
		if err != nil {
			return err
		}
	}
	for id := range candidates {
		if err := q.purge(ctx, pieceStream, pieceStream+"."+id+".*"); err != nil {
			return err
		}
	}
	if n := len(candidates); n > 0 {
		q.opts.Log.Info("took out pieces that nothing refers to", "messages", n)
	}
	return nil
}

// oldPieces returns the ids of pieces of which none was stored within age.
func (q *Queue) oldPieces(ctx context.Context, age time.Duration) (map[string]struct{}, error) {
	old, young := map[string]struct{}{}, map[string]struct{}{}
	err := q.scan(ctx, pieceStream, pieceStream+".>", func(m jetstream.Msg) bool {
		meta, err := m.Metadata()
		parts := strings.Split(m.Subject(), ".")
		if err != nil || len(parts) != 3 {
			return true
		}
		if time.Since(meta.Timestamp) < age {
			young[parts[1]] = struct{}{}
		} else {
			old[parts[1]] = struct{}{}
		}
		return true
	})
	for id := range young {
		delete(old, id)
	}
	return old, err
}
