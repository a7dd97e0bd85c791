package queue

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// backupFormat is that of Backup's lines.
const backupFormat = 1

// maxBackupLine bounds a line: the largest message in base64, with its header.
const maxBackupLine = MaxData/3*4 + maxHeader*4

// backupLine is one line of a backup. One of its fields is set.
type backupLine struct {
	Head    *backupHead    `json:"queue_backup,omitempty"`
	Message *backupMessage `json:"message,omitempty"`
	Record  *backupRecord  `json:"record,omitempty"`
	End     *backupEnd     `json:"end,omitempty"`
}

type backupHead struct {
	Format      int       `json:"format"`
	At          time.Time `json:"at"`
	Incarnation string    `json:"incarnation"`
}

type backupMessage struct {
	Kind      Kind              `json:"kind"`
	Algorithm string            `json:"algorithm"`
	ID        string            `json:"id"`
	Header    map[string]string `json:"header,omitempty"`
	Data      []byte            `json:"data,omitempty"`
	Stored    time.Time         `json:"stored"`
}

type backupRecord struct {
	Bucket Bucket `json:"bucket"`
	Key    string `json:"key"`
	Value  []byte `json:"value,omitempty"`
}

// backupEnd is the last line: what came before it, whole.
type backupEnd struct {
	Messages int    `json:"messages"`
	Records  int    `json:"records"`
	SHA256   string `json:"sha256"`
}

// Copied says what a backup or a restore did.
type Copied struct {
	Messages, Records int
	// Known were there already: a restore left them as they are.
	Known int
}

// backupWriter writes lines and sums them up.
type backupWriter struct {
	w   *bufio.Writer
	sum hash.Hash
}

func (b *backupWriter) line(l backupLine) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	_, _ = b.sum.Write(text)
	_, err = b.w.Write(text)
	return err
}

// Backup writes all messages and records as lines of JSON with a sum at the
// end. What changes meanwhile is in it as it was or as it is then.
func (q *Queue) Backup(ctx context.Context, w io.Writer) (Copied, error) {
	var done Copied
	if err := q.settled(); err != nil {
		return done, err
	}
	b := &backupWriter{w: bufio.NewWriter(w), sum: sha256.New()}
	f, err := q.find(ctx)
	if err != nil {
		return done, asked(err)
	}
	if err := b.line(backupLine{Head: &backupHead{backupFormat, q.opts.Now().UTC(), f.incarnation}}); err != nil {
		return done, fmt.Errorf("write the backup: %w", err)
	}
	if done.Messages, err = q.backupMessages(ctx, b); err != nil {
		return done, err
	}
	if done.Records, err = q.backupRecords(ctx, b); err != nil {
		return done, err
	}
	end := backupEnd{done.Messages, done.Records, hex.EncodeToString(b.sum.Sum(nil))}
	if err := b.line(backupLine{End: &end}); err != nil {
		return done, fmt.Errorf("write the backup: %w", err)
	}
	if err := b.w.Flush(); err != nil {
		return done, fmt.Errorf("write the backup: %w", err)
	}
	return done, nil
}

func (q *Queue) backupMessages(ctx context.Context, b *backupWriter) (n int, err error) {
	for seq := uint64(1); ; {
		raw, err := q.get(ctx, workStream, getRequest{Seq: seq, NextFor: workSubject + ".>"})
		if errors.Is(err, ErrNotFound) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		seq = raw.seq + 1
		m, err := q.peeked(ctx, raw)
		if errors.Is(err, ErrNotFound) {
			continue // it was done between two looks
		}
		if err != nil {
			return n, fmt.Errorf("read message %d: %w", raw.seq, err)
		}
		line := backupMessage{m.Kind, m.Algorithm, m.ID, m.Header, m.Data, m.Stored}
		if err := b.line(backupLine{Message: &line}); err != nil {
			return n, fmt.Errorf("write the backup: %w", err)
		}
		n++
	}
}

func (q *Queue) backupRecords(ctx context.Context, b *backupWriter) (n int, err error) {
	for _, bucket := range []Bucket{BucketCall, BucketIdem, BucketBatch, BucketChunk, BucketSchedule, BucketDead} {
		root := recordPrefix + "." + string(bucket) + "."
		var failed error
		err := q.scan(ctx, streamOf[bucket], root+">", false, func(m jetstream.Msg) bool {
			line := backupRecord{Bucket: bucket, Key: strings.TrimPrefix(m.Subject(), root), Value: m.Data()}
			if text := m.Headers().Get(piecesOf); text != "" {
				p, err := parsePieces(text)
				if err == nil {
					line.Value, err = q.getPieces(ctx, p)
				}
				if errors.Is(err, ErrNotFound) {
					return true // replaced or gone between two looks
				}
				if err != nil {
					failed = fmt.Errorf("read record %s of %s: %w", line.Key, bucket, err)
					return false
				}
			}
			if err := b.line(backupLine{Record: &line}); err != nil {
				failed = fmt.Errorf("write the backup: %w", err)
				return false
			}
			n++
			return true
		})
		if err = errors.Join(failed, err); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Restore stores what Backup wrote. What is there already stays as it is:
// nothing is doubled, however often it is repeated. A reader that can seek is
// checked whole before anything is stored; with another, an error says that
// the rest is missing.
func (q *Queue) Restore(ctx context.Context, r io.Reader) (Copied, error) {
	if s, ok := r.(io.ReadSeeker); ok {
		start, err := s.Seek(0, io.SeekCurrent)
		if err != nil {
			return Copied{}, fmt.Errorf("read the backup: %w", err)
		}
		if err := readBackup(s, func(backupLine) error { return nil }); err != nil {
			return Copied{}, err
		}
		if _, err := s.Seek(start, io.SeekStart); err != nil {
			return Copied{}, fmt.Errorf("read the backup: %w", err)
		}
	}
	var done Copied
	there, err := q.ids(ctx)
	if err != nil {
		return done, err
	}
	err = readBackup(r, func(l backupLine) error {
		switch {
		case l.Message != nil:
			return q.restoreMessage(ctx, *l.Message, there, &done)
		case l.Record != nil:
			return q.restoreRecord(ctx, *l.Record, &done)
		}
		return nil
	})
	return done, err
}

// ids returns the ids of all messages that are stored, by line.
func (q *Queue) ids(ctx context.Context) (map[string]struct{}, error) {
	if err := q.settled(); err != nil {
		return nil, err
	}
	there := map[string]struct{}{}
	for seq := uint64(1); ; {
		raw, err := q.get(ctx, workStream, getRequest{Seq: seq, NextFor: workSubject + ".>"})
		if errors.Is(err, ErrNotFound) {
			return there, nil
		}
		if err != nil {
			return nil, err
		}
		if m, err := decode(raw.subject, raw.header, nil); err == nil {
			there[m.key()] = struct{}{}
		}
		seq = raw.seq + 1
	}
}

func (q *Queue) restoreMessage(ctx context.Context, b backupMessage, there map[string]struct{}, done *Copied) error {
	m := Message{Kind: b.Kind, Algorithm: b.Algorithm, ID: b.ID, Header: b.Header, Data: b.Data}
	if _, known := there[m.key()]; known {
		done.Known++
		return nil
	}
	// The same id again is no second message: what may have been stored is tried again.
	for {
		receipt, err := q.Publish(ctx, m)
		switch {
		case errors.Is(err, ErrUnknown) && ctx.Err() == nil:
			continue
		case err != nil:
			return fmt.Errorf("restore message %s: %w", m.ID, err)
		case receipt.Duplicate:
			done.Known++
		default:
			done.Messages++
		}
		there[m.key()] = struct{}{}
		return nil
	}
}

func (q *Queue) restoreRecord(ctx context.Context, b backupRecord, done *Copied) error {
	for {
		_, err := q.Put(ctx, b.Bucket, b.Key, b.Value, 0)
		switch {
		case errors.Is(err, ErrUnknown) && ctx.Err() == nil:
			continue
		case errors.Is(err, ErrConflict):
			done.Known++
		case err != nil:
			return fmt.Errorf("restore record %s of %s: %w", b.Key, b.Bucket, err)
		default:
			done.Records++
		}
		return nil
	}
}

// readBackup reads a backup line by line and checks it as it goes.
func readBackup(r io.Reader, f func(backupLine) error) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	sum := sha256.New()
	var messages, records int
	for n := 1; ; n++ {
		text, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: the backup ends at line %d, before its last line: it was cut off", ErrInvalid, n)
		}
		if err != nil {
			return fmt.Errorf("read line %d of the backup: %w", n, err)
		}
		var l backupLine
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("%w: line %d of the backup is no line of one: %w", ErrInvalid, n, err)
		}
		switch {
		case n == 1 && (l.Head == nil || l.Head.Format < 1):
			return fmt.Errorf("%w: this is no backup of a queue", ErrInvalid)
		case n == 1 && l.Head.Format > backupFormat:
			return fmt.Errorf("%w: the backup has format %d, and this version reads up to %d: use the version that wrote it", ErrInvalid, l.Head.Format, backupFormat)
		case l.End != nil:
			if l.End.SHA256 != hex.EncodeToString(sum.Sum(nil)) || l.End.Messages != messages || l.End.Records != records {
				return fmt.Errorf("%w: the backup is not what was written: its sum differs", ErrInvalid)
			}
			return nil
		case l.Message != nil:
			messages++
		case l.Record != nil:
			records++
		}
		_, _ = sum.Write(text)
		if err := f(l); err != nil {
			return err
		}
	}
}

// readLine reads one line with its end, of maxBackupLine at most.
func readLine(r *bufio.Reader) ([]byte, error) {
	var whole []byte
	for {
		part, err := r.ReadSlice('\n')
		if whole = append(whole, part...); len(whole) > maxBackupLine {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrInvalid, maxBackupLine)
		}
		switch {
		case err == nil:
			return whole, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(bytes.TrimSpace(whole)) > 0:
			return whole, nil
		default:
			return nil, err
		}
	}
}
