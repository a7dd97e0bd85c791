package async

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// maxDeadLetters bounds how many keys are listed for dead letters.
const maxDeadLetters = 1 << 20

// unreadable begins the name of a dead letter whose message cannot be read; its
// number in the queue follows.
const unreadable = "unreadable-"

// DeadLetterEntry is a dead letter with its ID.
type DeadLetterEntry struct {
	ID string // the request id, or another name of one that cannot be read
	DeadLetter
}

// ItemError says why an action on several dead letters left one of them as it was.
type ItemError struct {
	ID     string
	Reason string
}

// deadPrefix returns the prefix of the keys of an algorithm's dead letters, so that
// they are found and counted without being read.
func deadPrefix(vanityURL string) string {
	sum := sha256.Sum256([]byte(vanityURL))
	return hex.EncodeToString(sum[:8]) + "."
}

// deadName returns the end of a dead letter's key: for a call its ticket, whatever
// the position in its id.
func deadName(id string) (string, bool) {
	if strings.HasPrefix(id, unreadable) {
		return id, true
	}
	t, _, ok := readID(id)
	return t.String(), ok
}

// DeadLetters returns the newest dead letters, newest first, of one algorithm or
// with "" of all, and how many there are of those.
func (s *Service) DeadLetters(ctx context.Context, vanityURL string, limit int) ([]DeadLetterEntry, uint64, error) {
	prefix := ""
	if vanityURL != "" {
		prefix = deadPrefix(vanityURL)
	}
	keys, err := s.opts.Queue.Keys(ctx, queue.BucketDead, prefix, maxDeadLetters)
	if err != nil {
		return nil, 0, err
	}
	var letters []DeadLetterEntry
	for _, key := range slices.Backward(keys) {
		if len(letters) >= limit {
			break
		}
		l, _, err := s.readDead(ctx, key)
		switch {
		case errors.Is(err, queue.ErrNotFound): // somebody just dropped it
		case err != nil:
			return nil, 0, err
		default:
			letters = append(letters, *l)
		}
	}
	return letters, uint64(len(keys)), nil
}

// CountDead returns how many dead letters each algorithm has that is served.
func (s *Service) CountDead(ctx context.Context) (map[string]uint64, error) {
	keys, err := s.opts.Queue.Keys(ctx, queue.BucketDead, "", maxDeadLetters)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, a := range s.opts.Algorithms() {
		names[deadPrefix(a.VanityURL)] = a.VanityURL
	}
	counts := map[string]uint64{}
	for _, key := range keys {
		if name, ok := names[key[:strings.IndexByte(key, '.')+1]]; ok {
			counts[name]++
		}
	}
	return counts, nil
}

// DeadLetter returns a dead letter, or queue.ErrNotFound.
func (s *Service) DeadLetter(ctx context.Context, id string) (*DeadLetterEntry, error) {
	keys, err := s.deadKeys(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if keys[id] == "" {
		return nil, queue.ErrNotFound
	}
	l, _, err := s.readDead(ctx, keys[id])
	return l, err
}

func (s *Service) readDead(ctx context.Context, key string) (*DeadLetterEntry, uint64, error) {
	data, rev, err := s.opts.Queue.Record(ctx, queue.BucketDead, key)
	if err != nil {
		return nil, 0, err
	}
	l := new(DeadLetterEntry)
	if err := json.Unmarshal(data, &l.DeadLetter); err != nil {
		return nil, 0, fmt.Errorf("read the dead letter %s: %w", key, err)
	}
	if l.ID = l.RequestID; l.ID == "" {
		l.ID = key[strings.IndexByte(key, '.')+1:]
	}
	return l, rev, nil
}

// deadKeys finds the keys of those ids that are dead letters.
func (s *Service) deadKeys(ctx context.Context, ids []string) (map[string]string, error) {
	wanted := map[string]string{}
	for _, id := range ids {
		if name, ok := deadName(id); ok {
			wanted[name] = id
		}
	}
	keys, err := s.opts.Queue.Keys(ctx, queue.BucketDead, "", maxDeadLetters)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, key := range keys {
		if id, ok := wanted[key[strings.IndexByte(key, '.')+1:]]; ok {
			found[id] = key
		}
	}
	return found, nil
}

// RetryDead puts dead letters back into the queue, each with all its attempts. It
// returns how many, and an error for each of the others.
func (s *Service) RetryDead(ctx context.Context, ids []string) (int, []ItemError, error) {
	return s.eachDead(ctx, ids, func(key string) error {
		l, rev, err := s.readDead(ctx, key)
		if err != nil {
			return err
		}
		if err := s.requeue(ctx, l, rev); err != nil {
			return err
		}
		// It may be a dead letter again by now.
		if _, now, err := s.opts.Queue.Record(ctx, queue.BucketDead, key); err != nil || now != rev {
			return nil //nolint:nilerr // it runs, whatever becomes of its dead letter
		}
		return s.opts.Queue.Delete(ctx, queue.BucketDead, key)
	})
}

// DropDead deletes dead letters. It returns how many, and an error for each of the
// others.
func (s *Service) DropDead(ctx context.Context, ids []string) (int, []ItemError, error) {
	return s.eachDead(ctx, ids, func(key string) error { return s.opts.Queue.Delete(ctx, queue.BucketDead, key) })
}

func (s *Service) eachDead(ctx context.Context, ids []string, do func(key string) error) (int, []ItemError, error) {
	keys, err := s.deadKeys(ctx, ids)
	if err != nil {
		return 0, nil, err
	}
	done, left := 0, []ItemError{}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		err := queue.ErrNotFound
		if keys[id] != "" {
			err = do(keys[id])
		}
		switch {
		case err == nil:
			done++
		case errors.Is(err, queue.ErrNotFound):
			left = append(left, ItemError{id, "it is no dead letter (any more)"})
		default:
			left = append(left, ItemError{id, err.Error()})
		}
	}
	return done, left, nil
}

// requeue puts a dead letter's message back. Its record says so first: a worker
// takes a call off the queue whose record says that it has ended.
func (s *Service) requeue(ctx context.Context, l *DeadLetterEntry, rev uint64) error {
	m := queue.Message{Kind: queue.KindCall, Algorithm: l.VanityURL, ID: fmt.Sprintf("%s-again-%d", l.ID, rev), Header: l.Header, Data: l.Input}
	c, ticket, err := decodeCall(s.opts.IDs, l.VanityURL, l.Header, l.Input, s.now())
	if err != nil {
		if _, err := s.opts.Queue.Publish(ctx, m); err != nil { // this engine may be able to read it
			return err
		}
		return nil
	}
	before, at, err := s.record(ctx, ticket)
	if err != nil {
		return err
	}
	if before != nil && !before.State.Ended() && before.Seq > 0 {
		return errors.New("it is in the queue: it is being tried again, or given up just now")
	}
	waiting := c.waiting()
	if at, err = s.putRecord(ctx, ticket, waiting, at); err != nil {
		return err
	}
	receipt, err := s.opts.Queue.Publish(ctx, m)
	if err != nil {
		if before != nil && !errors.Is(err, queue.ErrUnknown) {
			_, _ = s.putRecord(ctx, ticket, before, at) // it is as it was, or the next attempt makes it so
		}
		return err
	}
	waiting.Seq = receipt.Seq
	_, _ = s.putRecord(ctx, ticket, waiting, at) // a worker that was quicker knows better
	return nil
}

// waiting returns the record of a call that waits and has not run.
func (c *call) waiting() *record {
	return &record{State: Queued, Algorithm: c.Algorithm, CreatedAt: c.CreatedAt, Callback: c.Callback, KeyID: c.KeyID}
}

func (s *Service) putRecord(ctx context.Context, t Ticket, r *record, rev uint64) (uint64, error) {
	data, err := r.encode()
	if err != nil {
		return 0, err
	}
	return s.opts.Queue.Put(ctx, queue.BucketCall, t.String(), data, rev)
}

// Restore puts a call of a backup into the queue, which was number seq there, and
// reports whether it did: not one that is there still or again, or has ended.
func (s *Service) Restore(ctx context.Context, m queue.Message, seq uint64) (bool, error) {
	c, ticket, err := decodeCall(s.opts.IDs, m.Algorithm, m.Header, m.Data, s.now())
	if err != nil {
		return false, fmt.Errorf("a call of the backup cannot be read: %w", err)
	}
	there, err := s.opts.Queue.Peek(ctx, seq)
	if err == nil && there.ID == m.ID {
		return false, nil
	}
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return false, err
	}
	rec, rev, err := s.record(ctx, ticket)
	if err != nil || rec != nil && (rec.State.Ended() || rec.Seq > 0) {
		return false, err
	}
	waiting := c.waiting()
	if rec == nil {
		if rev, err = s.putRecord(ctx, ticket, waiting, 0); errors.Is(err, queue.ErrConflict) {
			return false, nil // another restores it
		} else if err != nil {
			return false, err
		}
	}
	m.ID = ticket.String()
	receipt, err := s.opts.Queue.Publish(ctx, m)
	if err != nil {
		return false, err
	}
	waiting.Seq = receipt.Seq
	_, _ = s.putRecord(ctx, ticket, waiting, rev) // a worker that was quicker knows better
	return !receipt.Duplicate, nil
}

// ContentType returns the type of the call's input, "" when it cannot be read.
func (l *DeadLetterEntry) ContentType() string {
	var c call
	if json.Unmarshal([]byte(l.Header[callHeader]), &c) != nil {
		return ""
	}
	return c.ContentType
}
