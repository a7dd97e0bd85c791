package call

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// batchNote is what is noted of a batch on its way, so that the same command goes
// on with it.
type batchNote struct {
	File           string    `json:"file"`
	Size           int64     `json:"size"`
	ModifiedAt     time.Time `json:"modified_at"`
	IdempotencyKey string    `json:"idempotency_key"`
}

// batchState is what a satellite tells of a batch.
type batchState struct {
	ID     string  `json:"batch_id"`
	State  string  `json:"state"`
	Total  int64   `json:"total"`
	Done   int64   `json:"done"`
	Failed int64   `json:"failed"`
	Rate   float64 `json:"rate"`
}

// batchTries is how often a batch's connection may break, one time after the
// other, without anything having come of it.
const batchTries = 30

// batch sends a file of lines, and writes their results in order. What was
// interrupted goes on where it was.
func (c *caller) batch(ctx context.Context, f store.Folder) error {
	file, err := os.Open(c.options.Batch)
	if err != nil {
		return fault.Wrap(err, fault.CodeUsage, "open the batch")
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fault.Errorf(fault.CodeUsage, "--batch is a file, so that it can be sent again after an interruption; %s is none", c.options.Batch)
	}
	note, name, err := c.note(f, info)
	if err != nil {
		return err
	}
	s, err := c.upload(ctx, file, info.Size(), note)
	if err != nil {
		return err
	}
	if s, err = c.follow(ctx, s); err != nil {
		return err
	}
	if err := f.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.options.Report.Line("the note of the batch stays at %s: %v", f.Path(name), err)
	}
	c.options.Report.Line("%d lines done, %d failed", s.Done, s.Failed)
	return failedLines(s.Failed, s.Total)
}

// note returns the note of this batch: that of an earlier run with the same file,
// or a new one.
func (c *caller) note(f store.Folder, info fs.FileInfo) (note batchNote, name string, err error) {
	path, err := filepath.Abs(c.options.Batch)
	if err != nil {
		return note, "", fault.Wrap(err, fault.CodeFailed, "find the batch")
	}
	sum := sha256.Sum256([]byte(c.base + "\x00" + c.options.VanityURL + "\x00" + path))
	name = "work/call-" + hex.EncodeToString(sum[:8]) + ".json"
	if f.ReadJSON(name, &note) == nil && note.Size == info.Size() && note.ModifiedAt.Equal(info.ModTime()) && note.IdempotencyKey != "" {
		c.options.Report.Line("going on with the batch of %s that was interrupted", c.options.Batch)
		return note, name, nil
	}
	note = batchNote{File: path, Size: info.Size(), ModifiedAt: info.ModTime(), IdempotencyKey: rand.Text()}
	if err := f.WriteJSON(name, note); err != nil {
		return note, "", f.NoteError(err, "the batch")
	}
	return note, name, nil
}

// upload sends the file, again when that breaks off.
func (c *caller) upload(ctx context.Context, file *os.File, size int64, note batchNote) (*batchState, error) {
	c.options.Report.Phase("upload")
	header := http.Header{"Content-Type": {"application/jsonl"}, "Idempotency-Key": {note.IdempotencyKey}}
	for try := 1; ; try++ {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "read the batch")
		}
		moving := c.options.Report.Transfer("sent", 1, size, nil)
		a, err := c.ask(ctx, http.MethodPost, "/v1/batch/"+c.options.VanityURL, counted{file, moving}, header)
		moving.End()
		switch {
		case err == nil && a.status < 300:
			return readState(a)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && !isPassing(a.status):
			return nil, a.refused()
		case try >= batchTries:
			if err == nil {
				err = a.refused()
			}
			return nil, err
		}
		c.options.Report.Retry("the upload broke off; it goes on where it was")
		if err := pause(ctx, pollInterval); err != nil {
			return nil, err
		}
	}
}

// counted counts what is read.
type counted struct {
	io.Reader
	moving *progress.Transfer
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.moving.Add(int64(n))
	return n, err
}

func readState(a *answer) (*batchState, error) {
	s := new(batchState)
	if err := json.Unmarshal(a.body, s); err != nil || s.ID == "" {
		return nil, fault.Errorf(fault.CodeFailed, "the satellite answered without a batch_id: %.200q", a.body)
	}
	return s, nil
}

// follow writes the results as they come, and returns the batch once it has
// ended.
func (c *caller) follow(ctx context.Context, s *batchState) (*batchState, error) {
	c.options.Report.Phase("run")
	path := "/v1/batch/" + url.PathEscape(s.ID)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go c.watch(watching, path)
	written, broken := int64(0), 0
	for {
		n, err := c.results(ctx, path+"/results?follow=true", written)
		if n > written {
			written, broken = n, 0
		}
		if err == nil {
			break
		}
		if broken++; broken >= batchTries || fault.CodeOf(err) != fault.CodeNetwork || ctx.Err() != nil {
			return nil, err
		}
		if err := pause(ctx, pollInterval); err != nil {
			return nil, err
		}
	}
	stop()
	a, err := c.ask(ctx, http.MethodGet, path, nil, nil)
	if err == nil {
		err = a.refused()
	}
	if err != nil {
		return nil, err
	}
	if s, err = readState(a); err == nil && s.State != "completed" {
		return nil, fault.Errorf(fault.CodeFailed, "the batch %s is %s, with %d of %d lines done", s.ID, s.State, s.Done+s.Failed, s.Total)
	}
	return s, err
}

// results writes the results behind the first so many, which are written already,
// and returns how many are.
func (c *caller) results(ctx context.Context, path string, written int64) (int64, error) {
	res, err := c.request(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return written, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		data, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		return written, (&answer{res.StatusCode, res.Header, data}).refused()
	}
	lines := bufio.NewReaderSize(res.Body, 64<<10)
	for n := int64(0); ; n++ {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return max(n, written), nil
		case err != nil:
			return written, fault.Wrap(err, fault.CodeNetwork, "the results broke off")
		case n < written:
			continue
		}
		if _, err := c.options.Out.Write(line); err != nil {
			return written, fault.Wrap(err, fault.CodeFailed, "write the results")
		}
		written = n + 1
	}
}

const watchEvery = 5 * time.Second

// watch tells how far the batch is, until ctx ends.
func (c *caller) watch(ctx context.Context, path string) {
	for pause(ctx, watchEvery) == nil {
		a, err := c.ask(ctx, http.MethodGet, path, nil, nil)
		if err != nil || a.status != http.StatusOK {
			continue
		}
		if s, err := readState(a); err == nil && s.Total > 0 && ctx.Err() == nil {
			ended := s.Done + s.Failed
			c.options.Report.Line("%d of %d lines (%d %%), %d failed, %.1f a second", ended, s.Total, 100*ended/s.Total, s.Failed, s.Rate)
		}
	}
}
