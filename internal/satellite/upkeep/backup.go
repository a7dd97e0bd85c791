package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// backedUp are the buckets that a backup has.
var backedUp = []queue.Bucket{queue.BucketCall, queue.BucketIdem, queue.BucketBatch, queue.BucketChunk, queue.BucketDead, queue.BucketSchedule}

// maxKeys bounds what is backed up of one bucket.
const maxKeys = 4 << 20

// operatorKeys begin the keys of records that are the operator's own.
const operatorKeys = "operate."

// Backup hands everything that is stored to put: results and other records first,
// then what waits and runs, then the results of what ended meanwhile.
func (v view) Backup(ctx context.Context, put func(operate.Item) error) error {
	last := uint64(0)
	for _, bucket := range backedUp {
		n, err := v.backupRecords(ctx, bucket, 0, put)
		if err != nil {
			return notNow(err)
		}
		if bucket == queue.BucketCall {
			last = n
		}
	}
	err := v.d.Queue.Walk(ctx, func(p *queue.Peeked) error {
		return put(operate.Item{
			Kind: string(p.Kind), Algorithm: p.Algorithm, ID: p.ID, Header: p.Header, Seq: p.Seq, Stored: p.Stored, Data: p.Data,
		})
	})
	if err == nil {
		_, err = v.backupRecords(ctx, queue.BucketCall, last, put)
	}
	return notNow(err)
}

// backupRecords hands the records of a bucket to put that were written after a
// revision, and returns the last one's. A call that has not ended has its message.
func (v view) backupRecords(ctx context.Context, bucket queue.Bucket, after uint64, put func(operate.Item) error) (last uint64, err error) {
	last = after
	keys, err := v.d.Queue.Keys(ctx, bucket, "", maxKeys)
	if err != nil {
		return last, err
	}
	if after > 0 { // the newest are the last
		slices.Reverse(keys)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, operatorKeys) {
			continue
		}
		value, revision, err := v.d.Queue.Record(ctx, bucket, key)
		switch {
		case errors.Is(err, queue.ErrNotFound): // its time was over
			continue
		case err != nil:
			return last, err
		case revision <= after:
			return last, nil
		}
		last = max(last, revision)
		if bucket == queue.BucketCall && !async.HasEnded(value) {
			continue
		}
		if err := put(operate.Item{Bucket: string(bucket), Key: key, Data: value}); err != nil {
			return last, err
		}
	}
	return last, nil
}

// Restore stores items of a backup that are not there. Without any it is the end
// of the backup, which is remembered: once results are forgotten, nothing else
// would tell which of its calls have run.
func (v view) Restore(ctx context.Context, from operate.Header, first uint64, items []operate.Item) (operate.Restored, error) {
	done := operate.Restored{Next: first + uint64(len(items))}
	if launch := v.s.Launch(); from.LaunchID != launch {
		return done, fmt.Errorf("%w: the backup is of launch %s, and this is %s", operate.ErrConflict, from.LaunchID, launch)
	}
	key := operatorKeys + "restored." + from.ID
	switch at, _, err := v.d.Queue.Record(ctx, queue.BucketSchedule, key); {
	case err == nil:
		return done, fmt.Errorf("%w: this backup was restored here on %s", operate.ErrConflict, at)
	case !errors.Is(err, queue.ErrNotFound):
		return done, notNow(err)
	}
	if len(items) == 0 {
		return done, notNow(v.d.Queue.Set(ctx, queue.BucketSchedule, key, []byte(v.s.Now().UTC().Format("2006-01-02 15:04Z"))))
	}
	for i, item := range items {
		added, err := v.restore(ctx, &item)
		if err != nil {
			return done, fmt.Errorf("item %d of the backup: %w", first+uint64(i), notNow(err))
		}
		if added {
			done.Added++
		} else {
			done.Skipped++
		}
	}
	return done, nil
}

// restore stores one item, and reports whether it was not there.
func (v view) restore(ctx context.Context, item *operate.Item) (bool, error) {
	if item.Bucket != "" {
		bucket := queue.Bucket(item.Bucket)
		if !slices.Contains(backedUp, bucket) || strings.HasPrefix(item.Key, operatorKeys) {
			return false, fmt.Errorf("there is no place for a record %s of %s", item.Key, item.Bucket)
		}
		_, err := v.d.Queue.Put(ctx, bucket, item.Key, item.Data, 0)
		if errors.Is(err, queue.ErrConflict) {
			return false, nil
		}
		return err == nil, err
	}
	m := queue.Message{Kind: queue.Kind(item.Kind), Algorithm: item.Algorithm, ID: item.ID, Header: item.Header, Data: item.Data}
	if m.Kind == queue.KindCall {
		return v.d.Calls.Restore(ctx, m, item.Seq)
	}
	return v.restoreMessage(ctx, m, item.Seq)
}

// restoreMessage stores a message that is no call's: those have no record of
// their own, and get one here.
func (v view) restoreMessage(ctx context.Context, m queue.Message, seq uint64) (bool, error) {
	there, err := v.d.Queue.Peek(ctx, seq)
	if err == nil && there.Kind == m.Kind && there.ID == m.ID {
		return false, nil
	}
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return false, err
	}
	sum := sha256.Sum256([]byte(m.ID))
	key := "restored." + string(m.Kind) + "." + hex.EncodeToString(sum[:16])
	if _, _, err := v.d.Queue.Record(ctx, queue.BucketIdem, key); !errors.Is(err, queue.ErrNotFound) {
		return false, err
	}
	receipt, err := v.d.Queue.Publish(ctx, m)
	if err != nil {
		return false, err
	}
	return !receipt.Duplicate, v.d.Queue.Set(ctx, queue.BucketIdem, key, nil)
}
