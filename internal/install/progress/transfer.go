package progress

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// How often a transfer's rate is measured, how many measures there are between
// two lines where there is no terminal, and how much the newest one weighs.
const (
	rateEvery   = time.Second
	ratesALine  = 5
	newestShare = 0.3
)

// Transfer shows how many of total things and bytes are moved.
type Transfer struct {
	progress *Reporter
	verb     string
	things   int64
	bytes    int64
	doneN    atomic.Int64
	doneB    atomic.Int64
	movedB   atomic.Int64                 // without what was there already
	rate     atomic.Uint64                // bytes a second, as the bits of a float64
	onRate   func(bytesPerSecond float64) // is called with each measure; may be nil
	bar      *mpb.Bar
	stop     chan struct{}
	stopped  sync.WaitGroup
}

// Transfer begins to show one; end ends it. onRate, which may be nil, is called
// with each measure of the rate.
func (p *Reporter) Transfer(verb string, things int, bytes int64, onRate func(bytesPerSecond float64)) *Transfer {
	t := &Transfer{progress: p, verb: verb, things: int64(things), bytes: bytes, onRate: onRate, stop: make(chan struct{})}
	t.stopped.Go(t.measure)
	if p.screen == nil || things == 0 {
		return t
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar = mpb.New(mpb.WithOutput(p.screen), mpb.WithRefreshRate(150*time.Millisecond))
	// A bar that is made with a total ends by itself when it gets there, and
	// only then: this one ends when the transfer does, whole or not.
	t.bar = p.bar.AddBar(0,
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			return fmt.Sprintf("%s %d of %d ", verb, t.doneN.Load(), t.things)
		})),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string { return t.amounts(s.AvailableWidth) })),
	)
	t.bar.SetTotal(max(bytes, 1), false)
	return t
}

// Add notes n more bytes moved, or fewer when some have to be moved again.
func (t *Transfer) Add(n int64) {
	if n > 0 {
		t.movedB.Add(n)
	}
	t.Skip(n)
}

// Skip notes bytes that need not be moved, since they are there.
func (t *Transfer) Skip(n int64) {
	t.doneB.Add(n)
	if t.bar != nil {
		t.bar.SetCurrent(t.doneB.Load())
	}
}

// Moved returns the bytes that were moved, without those that were there already.
func (t *Transfer) Moved() int64 { return t.movedB.Load() }

// Done notes one more thing.
func (t *Transfer) Done() { t.doneN.Add(1) }

// measure follows the rate, reports it, and writes a line now and then.
func (t *Transfer) measure() {
	ticker := time.NewTicker(rateEvery)
	defer ticker.Stop()
	before := int64(0)
	for tick := 1; ; tick++ {
		select {
		case <-t.stop:
			return
		case <-ticker.C:
		}
		now := t.movedB.Load()
		newest := float64(now-before) / rateEvery.Seconds()
		before = now
		if t.onRate != nil {
			t.onRate(newest)
		}
		rate := newest
		if tick > 1 {
			rate = newestShare*newest + (1-newestShare)*t.bytesASecond()
		}
		t.rate.Store(math.Float64bits(rate))
		if tick%ratesALine == 0 {
			t.report()
		}
	}
}

func (t *Transfer) bytesASecond() float64 { return math.Float64frombits(t.rate.Load()) }

// left is how long the rest takes at the present rate; false when it stands.
func (t *Transfer) left() (time.Duration, bool) {
	rate := t.bytesASecond()
	if rate < 1 {
		return 0, false
	}
	return time.Duration(float64(t.bytes-t.doneB.Load()) / rate * float64(time.Second)).Round(time.Second), true
}

// amounts returns how far it is in bytes, in short where there is room for no more.
func (t *Transfer) amounts(room int) string {
	left := "?"
	if d, ok := t.left(); ok {
		left = d.String()
	}
	rate := Size(int64(t.bytesASecond()))
	if long := fmt.Sprintf("%s of %s, %s/s, %s left", Size(t.doneB.Load()), Size(t.bytes), rate, left); len(long) <= room {
		return long
	}
	return fmt.Sprintf("%d%% %s/s %s left", 100*t.doneB.Load()/max(t.bytes, 1), rate, left)
}

// report writes how far it is, where no bar does.
func (t *Transfer) report() {
	p := t.progress
	switch {
	case p.events:
		left, _ := t.left()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.emit(Event{Event: "progress", Phase: p.phase, Verb: t.verb, Done: t.doneN.Load(), Of: t.things, Bytes: t.doneB.Load(), OfBytes: t.bytes,
			Rate: int64(t.bytesASecond()), SecondsLeft: left.Seconds()})
	case p.screen == nil:
		p.Line("%s %d of %d, %s", t.verb, t.doneN.Load(), t.things, t.amounts(math.MaxInt))
	}
}

// End stops showing the transfer.
func (t *Transfer) End() {
	close(t.stop)
	t.stopped.Wait()
	if t.progress.events && t.things > 0 {
		t.report()
	}
	if t.bar == nil {
		return
	}
	if t.doneN.Load() == t.things {
		t.bar.SetTotal(-1, true)
	} else {
		t.bar.Abort(false) // and stays as it was last
	}
	t.progress.mu.Lock()
	bar := t.progress.bar
	t.progress.bar = nil
	t.progress.mu.Unlock()
	bar.Wait()
}
