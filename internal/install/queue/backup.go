package queue

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/retry"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// Summary says what a backup has.
type Summary struct {
	File     string    `json:"file"`
	LaunchID string    `json:"launch_id"`
	At       time.Time `json:"at"`
	Items    uint64    `json:"items"`
	Calls    uint64    `json:"calls"`        // that wait or ran when it was made
	Results  uint64    `json:"results"`      // of calls that had ended
	Dead     uint64    `json:"dead_letters"` // calls that were given up
	Bytes    int64     `json:"bytes"`
}

func (s *Summary) count(item *operate.Item) {
	s.Items++
	switch {
	case item.Kind == "call":
		s.Calls++
	case item.Bucket == "call":
		s.Results++
	case item.Bucket == "dead":
		s.Dead++
	}
}

// saidEvery is after how many items a backup or a restore says how far it is.
const saidEvery = 10000

// Backup writes what the queue holds into a file, which appears once it is whole
// and on disk. One that is there is left alone.
func (q *Client) Backup(ctx context.Context, file string, report *progress.Reporter) (*Summary, error) {
	if _, err := os.Lstat(file); err == nil {
		return nil, fault.Errorf(fault.CodeUsage, "%s is there already: name a new file", file)
	}
	part := file + ".part"
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write the backup")
	}
	s, err := q.backup(ctx, out, report)
	if err == nil {
		err = out.Sync()
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(part, file)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(file))
	}
	if err != nil {
		_ = os.Remove(part)
		if errors.As(err, new(*operate.AnswerError)) {
			return nil, Explain(err)
		}
		return nil, fault.Wrap(err, fault.CodeFailed, "the backup is not written")
	}
	s.File = file
	return s, nil
}

func (q *Client) backup(ctx context.Context, out io.Writer, report *progress.Reporter) (*Summary, error) {
	answer, err := q.Client.Backup(ctx)
	if err != nil {
		return nil, err
	}
	defer answer.Close() //nolint:errcheck // read only
	stop := context.AfterFunc(ctx, func() { _ = answer.Close() })
	defer stop()
	return readBackup(io.TeeReader(answer, out), report, "received", func(operate.Header, *operate.Item) error { return nil })
}

// syncFolder makes a rename in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // of the operator's file
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // read only
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

// readBackup reads a backup to its end, and hands each item to f.
func readBackup(in io.Reader, report *progress.Reporter, verb string, f func(operate.Header, *operate.Item) error) (*Summary, error) {
	counted := &countingReader{in: in}
	r, err := operate.NewReader(counted)
	if err != nil {
		return nil, err
	}
	s := &Summary{LaunchID: r.Header().LaunchID, At: r.Header().At}
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			s.Bytes = counted.n
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		if err := f(r.Header(), &item); err != nil {
			return nil, err
		}
		if s.count(&item); s.Items%saidEvery == 0 {
			report.Line("%s %d items", verb, s.Items)
		}
	}
}

type countingReader struct {
	in io.Reader
	n  int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// CheckBackup reads a file to its end and returns what it has, when it is a whole
// backup of the queue of this launch.
func CheckBackup(launchID, file string, report *progress.Reporter) (*Summary, error) {
	in, err := os.Open(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeUsage, "read the backup")
	}
	defer in.Close() //nolint:errcheck // read only
	s, err := readBackup(in, report, "checked", func(operate.Header, *operate.Item) error { return nil })
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "%s is not restored", file)
	}
	if s.LaunchID != launchID {
		return nil, fault.Errorf(fault.CodeUsage, "%s is a backup of launch %s, and this is launch %s", file, s.LaunchID, launchID)
	}
	s.File = file
	return s, nil
}

// Restored says what a restore did.
type Restored struct {
	Summary
	Added   uint64 `json:"added"`
	Skipped uint64 `json:"skipped"` // since they were there, or had ended
}

// A restore sends so much at once.
const (
	partItems = 500
	partBytes = 4 << 20
)

// restoreBackoff is between attempts to send a part again: what was stored of it
// is left alone then.
var restoreBackoff = retry.Backoff{First: time.Second, Most: 10 * time.Second}

const restoreAttempts = 6

// Restore stores what a backup has and the queue has not; open reaches that, again
// after no answer came. A file that CheckBackup has not found whole is not for it.
func Restore(ctx context.Context, file string, open func(context.Context) (*Client, error), report *progress.Reporter) (*Restored, error) {
	in, err := os.Open(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeUsage, "read the backup")
	}
	defer in.Close() //nolint:errcheck // read only
	r := &restorer{open: open, report: report}
	defer r.close()
	summary, err := readBackup(in, report, "restored", func(h operate.Header, item *operate.Item) error { return r.put(ctx, h, item) })
	if err == nil && len(r.items) > 0 {
		err = r.send(ctx)
	}
	if err == nil {
		err = r.send(ctx) // nothing: it is the end
	}
	if err != nil {
		return nil, err
	}
	summary.File = file
	return &Restored{Summary: *summary, Added: r.added, Skipped: r.skipped}, nil
}

// restorer sends a backup's items in parts.
type restorer struct {
	open   func(context.Context) (*Client, error)
	report *progress.Reporter
	queue  *Client // nil until it is reached, and after it gave no answer

	header         operate.Header
	first          uint64
	items          []operate.Item
	bytes          int
	added, skipped uint64
}

func (r *restorer) put(ctx context.Context, h operate.Header, item *operate.Item) error {
	r.header = h
	if len(r.items) > 0 && (len(r.items) >= partItems || r.bytes+len(item.Data) > partBytes) {
		if err := r.send(ctx); err != nil {
			return err
		}
	}
	r.items = append(r.items, *item)
	r.bytes += len(item.Data)
	return nil
}

// send sends what is collected, again when no answer comes.
func (r *restorer) send(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		done, err := r.try(ctx)
		if err == nil {
			r.added, r.skipped = r.added+done.Added, r.skipped+done.Skipped
			r.first, r.items, r.bytes = r.first+uint64(len(r.items)), nil, 0
			return nil
		}
		var answered *operate.AnswerError
		again := !errors.As(err, &answered) || answered.Status == 503
		if !again || attempt+1 >= restoreAttempts || ctx.Err() != nil {
			return Explain(err)
		}
		r.report.Line("no answer to items from %d on: trying again (%v)", r.first, err)
		r.close()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(restoreBackoff.Delay(attempt)):
		}
	}
}

func (r *restorer) try(ctx context.Context) (operate.Restored, error) {
	if r.queue == nil {
		q, err := r.open(ctx)
		if err != nil {
			return operate.Restored{}, err
		}
		r.queue = q
	}
	return r.queue.Restore(ctx, r.header, r.first, r.items)
}

func (r *restorer) close() {
	if r.queue != nil {
		r.queue.Close()
		r.queue = nil
	}
}
