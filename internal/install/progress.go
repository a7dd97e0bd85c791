package install

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progressEvery is how often a line is written where there is no terminal.
const progressEvery = 5 * time.Second

// Progress tells the operator what goes on, on stderr: a bar on a terminal, a
// line now and then elsewhere.
type Progress struct {
	out      io.Writer
	terminal bool
	start    time.Time

	mu    sync.Mutex
	bar   *mpb.Progress // set while a transfer's bar is shown
	phase string        // the last heading
}

// NewProgress writes to out.
func NewProgress(out io.Writer) *Progress {
	file, ok := out.(*os.File)
	return &Progress{out: out, terminal: ok && term.IsTerminal(int(file.Fd())), start: time.Now()}
}

// Phase writes a heading with the time since the start; what Line writes from
// then on is indented below it. The same heading again is not repeated.
func (p *Progress) Phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase != name {
		p.phase = name
		p.write(fmt.Sprintf("[%5.1fs] %s", time.Since(p.start).Seconds(), name))
	}
}

// Line writes one line, above the bar when there is one.
func (p *Progress) Line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if p.phase != "" {
		line = phaseIndent + strings.ReplaceAll(line, "\n", "\n"+phaseIndent)
	}
	p.write(line)
}

// phaseIndent puts a line below its heading.
const phaseIndent = "         "

func (p *Progress) write(line string) {
	if p.bar != nil {
		if _, err := p.bar.Write([]byte(line + "\n")); err == nil {
			return
		}
	}
	fmt.Fprintln(p.out, line)
}

// transfer shows how many of total things and bytes are moved.
type transfer struct {
	progress *Progress
	verb     string
	things   int64
	bytes    int64
	doneN    atomic.Int64
	doneB    atomic.Int64
	start    time.Time
	bar      *mpb.Bar
	stop     chan struct{}
	stopped  sync.WaitGroup
}

// transfer begins to show one; end ends it.
func (p *Progress) transfer(verb string, things int, bytes int64) *transfer {
	t := &transfer{progress: p, verb: verb, things: int64(things), bytes: bytes, start: time.Now(), stop: make(chan struct{})}
	if !p.terminal {
		t.stopped.Go(t.lines)
		return t
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar = mpb.New(mpb.WithOutput(p.out), mpb.WithRefreshRate(150*time.Millisecond))
	t.bar = p.bar.AddBar(max(bytes, 1),
		mpb.PrependDecorators(decor.Name(verb+" "), decor.Any(func(decor.Statistics) string {
			return fmt.Sprintf("%d of %d ", t.doneN.Load(), t.things)
		})),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f "),
			decor.AverageETA(decor.ET_STYLE_GO)),
	)
	return t
}

// add notes n more bytes, or fewer when some have to be moved again.
func (t *transfer) add(n int64) {
	t.doneB.Add(n)
	if t.bar != nil {
		t.bar.SetCurrent(t.doneB.Load())
	}
}

// done notes one more thing.
func (t *transfer) done() { t.doneN.Add(1) }

func (t *transfer) lines() {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-ticker.C:
			t.progress.Line("%s", t.line())
		}
	}
}

func (t *transfer) line() string {
	done, took := t.doneB.Load(), time.Since(t.start)
	rate := float64(done) / max(took.Seconds(), 0.001)
	left := "?"
	if rate > 0 {
		left = (time.Duration(float64(t.bytes-done)/rate) * time.Second).String()
	}
	return fmt.Sprintf("%s %d of %d, %s of %s, %s/s, %s left", t.verb, t.doneN.Load(), t.things, Size(done), Size(t.bytes), Size(int64(rate)), left)
}

// end stops showing the transfer.
func (t *transfer) end() {
	close(t.stop)
	t.stopped.Wait()
	if t.bar == nil {
		return
	}
	t.bar.SetTotal(-1, true)
	t.progress.mu.Lock()
	bar := t.progress.bar
	t.progress.bar = nil
	t.progress.mu.Unlock()
	bar.Wait()
}

// Size writes bytes for people: 1.5 GB is 1.5·10⁹ bytes.
func Size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for ; f >= 999.5 && i < len(units)-1; i++ {
		f /= 1000
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
