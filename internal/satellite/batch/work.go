package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

const (
	// maxInline is how large a line of output is at most that is stored with the
	// others of its chunk.
	maxInline = 32 << 10
	// maxRuns is how often a line runs when it is worth another run.
	maxRuns = 4
	// maxDeliveries is how often a chunk is taken by engines that end over it.
	maxDeliveries = 25
	tick          = time.Second
	storeRetry    = time.Second
	orderRetry    = 5 * time.Second // for the record to know of earlier chunks
	lastStore     = 10 * time.Second
)

// activeChunk is a chunk whose lines run.
type activeChunk struct {
	w       *worker
	s       *Service
	d       *queue.Delivery
	chunk   *chunk
	key     string
	began   time.Time
	calls   context.Context // ends when the batch is cancelled, or the engine stops
	cancel  context.CancelCauseFunc
	settled chan struct{} // closed once no line is left

	revision uint64 // of the stored results; supervise's alone

	mu    sync.Mutex
	todo  []int // lines to run
	later int   // lines that run again after a pause
	now   int   // lines that run
	runs  []int // of each line
	ended []lineOutput
	n     int   // lines that have ended
	saved int   // of which so many are stored
	kept  int64 // bytes of output
	left  bool  // no line is begun any more
	whole bool  // the results that are stored are complete
}

// lineOutput is the output of a line that has ended.
type lineOutput struct {
	result
	there  bool
	output []byte
}

func newActiveChunk(w *worker, d *queue.Delivery, c *chunk) *activeChunk {
	k := &activeChunk{w: w, s: w.s, d: d, chunk: c, key: chunkKey(c.Batch, c.N, c.Attempt), settled: make(chan struct{}), began: w.s.now().UTC(),
		runs: make([]int, len(c.Lines)), ended: make([]lineOutput, len(c.Lines))}
	k.calls, k.cancel = context.WithCancelCause(w.cut)
	for i, l := range c.Lines {
		if l.Bad != "" {
			k.end(i, badLine(l.Bad), true)
		} else {
			k.todo = append(k.todo, i)
		}
	}
	return k
}

// resume takes over what another engine, or this one, did of the chunk.
func (k *activeChunk) resume(ctx context.Context) error {
	r, revision, err := k.s.results(ctx, k.key)
	if errors.Is(err, queue.ErrNotFound) {
		r = new(results)
	} else if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.revision = revision
	at := map[int64]int{}
	for i, l := range k.chunk.Lines {
		at[l.N] = i
	}
	_ = r.each(func(l result, output []byte) error {
		if i, ok := at[l.N]; ok && !k.ended[i].there {
			k.ended[i] = lineOutput{l, true, bytes.Clone(output)}
			k.kept += int64(len(output))
			k.n++
		}
		return nil
	})
	k.saved = k.n
	k.todo = slices.DeleteFunc(k.todo, func(i int) bool { return k.ended[i].there })
	if k.whole = r.Complete; k.whole {
		k.todo = nil
	}
	if k.d.Delivered > maxDeliveries {
		for _, i := range k.todo {
			k.end(i, badLine(fmt.Sprintf("the satellite tried %d times to run this part of the batch, and did not get through", k.d.Delivered-1)), true)
		}
		k.todo = nil
	}
	return nil
}

func (k *activeChunk) hasLine() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.todo) > 0
}

func (k *activeChunk) size() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.chunk.size + k.kept
}

// nextLine returns the next line to run.
func (k *activeChunk) nextLine() (int, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.todo) == 0 {
		return 0, false
	}
	i := k.todo[0]
	k.todo = k.todo[1:]
	k.now++
	return i, true
}

// putBack makes a line that was taken the next one again.
func (k *activeChunk) putBack(i int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now--
	if !k.left {
		k.todo = append([]int{i}, k.todo...)
	}
	k.settle()
}

// stop begins no line any more.
func (k *activeChunk) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.todo, k.later = true, nil, 0
	k.settle()
}

// settle tells supervise once no line is left; k.mu is held.
func (k *activeChunk) settle() {
	if len(k.todo)+k.later+k.now > 0 {
		return
	}
	select {
	case <-k.settled:
	default:
		close(k.settled)
	}
}

// call runs a line on the slot.
func (k *activeChunk) call(slot async.Slot, i int) {
	l := &k.chunk.Lines[i]
	out := slot.Run(k.calls, async.Input{
		RequestID: k.chunk.Batch + "." + strconv.FormatInt(l.N, 10), VanityURL: k.chunk.VanityURL, KeyID: k.chunk.KeyID,
		ContentType: protocol.MediaJSON, Query: k.chunk.Query, Body: l.input,
	})
	defer out.Release()
	k.mu.Lock()
	k.runs[i]++
	cut := k.calls.Err() != nil
	again := out.Retry && !cut && k.runs[i] < maxRuns
	if again && !k.left {
		k.now--
		k.later++
		k.mu.Unlock()
		time.AfterFunc(time.Second<<(2*(k.runs[i]-1)), func() { k.runAgain(i) })
		return
	}
	k.mu.Unlock()
	if cut && out.Retry || again {
		k.lineDone(i, lineOutput{}) // it has no end here
		return
	}
	k.lineDone(i, k.output(l, out))
}

func (k *activeChunk) runAgain(i int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left {
		return
	}
	k.later--
	k.todo = append(k.todo, i)
	k.w.notify()
}

// fail ends a line that was taken and does not run.
func (k *activeChunk) fail(i int, message string) {
	l := &k.chunk.Lines[i]
	out := badLine(message)
	k.lineDone(i, lineOutput{result{N: l.N, Failed: true}, true, outputLine(l, out)})
}

// lineDone notes how a line that was taken ended.
func (k *activeChunk) lineDone(i int, e lineOutput) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now--
	if e.there {
		k.ended[i] = e
		k.n++
		k.kept += int64(len(e.output))
	}
	k.settle()
}

// end notes how a line ended that was not taken.
func (k *activeChunk) end(i int, answer []byte, failed bool) {
	l := &k.chunk.Lines[i]
	k.ended[i] = lineOutput{result{N: l.N, Failed: failed}, true, outputLine(l, answer)}
	k.kept += int64(len(k.ended[i].output))
	k.n++
}

// output returns the line of output of a call. A large one is stored at once.
func (k *activeChunk) output(l *item, out async.Outcome) lineOutput {
	e := lineOutput{result{N: l.N, Failed: out.Ended != protocol.OutcomeOK}, true, outputLine(l, out.Body)}
	if len(e.output) <= maxInline {
		return e
	}
	err := k.store(k.calls, func(ctx context.Context) error {
		return k.s.queue.Set(ctx, queue.BucketChunk, largeOutputKey(k.chunk.Batch, k.chunk.N, k.chunk.Attempt, l.N), e.output)
	})
	switch {
	case k.calls.Err() != nil && err != nil:
		return lineOutput{}
	case err != nil:
		return lineOutput{result{N: l.N, Failed: true}, true, outputLine(l, badLine("the result could not be stored: "+err.Error()))}
	}
	e.Separate, e.output = true, nil
	return e
}

// store stores something, again while the queue has no room or is away.
func (k *activeChunk) store(ctx context.Context, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if err == nil || errors.Is(err, queue.ErrInvalid) || errors.Is(err, queue.ErrConflict) {
			return err
		}
		if sleep(ctx, storeRetry) != nil {
			return err
		}
	}
}

// badLine returns what a call would have answered that failed before it was made.
func badLine(message string) []byte {
	return append(jsonscan.AppendQuoted([]byte(`{"error":{"message":`), message), `}}`...)
}

// outputLine returns a line of output: the answer to a call, with whose it is.
func outputLine(l *item, answer []byte) []byte {
	out := make([]byte, 0, len(answer)+len(l.CustomID)+64)
	out = append(out, `{"custom_id":`...)
	if l.CustomID == nil {
		out = append(out, "null"...)
	} else {
		out = append(out, l.CustomID...)
	}
	out = append(out, `,"line":`...)
	out = strconv.AppendInt(out, l.N, 10)
	fields := bytes.TrimSuffix(bytes.TrimSpace(answer), []byte{'}'})
	out = append(append(out, ','), bytes.TrimPrefix(fields, []byte{'{'})...)
	if !hasMetadata(answer) {
		out = append(out, `,"metadata":{}`...)
	}
	return append(out, "}\n"...)
}

// hasMetadata reports whether an answer has metadata: all do but those of calls
// that did not run.
func hasMetadata(answer []byte) bool {
	if !bytes.HasPrefix(answer, []byte(`{"error":`)) {
		return true
	}
	found := false
	jsonscan.EachField(answer, func(key, _ []byte) { found = found || string(key) == "metadata" })
	return found
}
