package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/vbauerster/mpb/v8"
)

// Reporter reports to the operator what goes on, on stderr: a bar on a terminal, a
// line now and then elsewhere, or events for programs.
type Reporter struct {
	out    *terminal.Cleaner
	screen *os.File // the terminal, nil when there is none: bars draw on it
	events bool
	start  time.Time

	mu    sync.Mutex
	bar   *mpb.Progress // set while a transfer's bar is shown
	phase string        // the last heading
}

// Event is one line of progress as a program reads it.
type Event struct {
	Time        time.Time `json:"time"`
	Event       string    `json:"event"` // phase, message, retry, progress
	Phase       string    `json:"phase,omitempty"`
	Message     string    `json:"message,omitempty"`
	Verb        string    `json:"verb,omitempty"` // of progress: download, push, verify, export, import
	Done        int64     `json:"done,omitempty"`
	Of          int64     `json:"of,omitempty"`
	Bytes       int64     `json:"bytes,omitempty"`
	OfBytes     int64     `json:"of_bytes,omitempty"`
	Rate        int64     `json:"bytes_per_second,omitempty"`
	SecondsLeft float64   `json:"seconds_left,omitempty"`
}

// New writes to out for people.
func New(out io.Writer) *Reporter {
	return &Reporter{out: terminal.NewCleaner(out), screen: terminal.File(out), start: time.Now()}
}

// NewEvents writes to out for programs: an Event a line, as JSON.
func NewEvents(out io.Writer) *Reporter {
	return &Reporter{out: terminal.NewCleaner(out), events: true, start: time.Now()}
}

// Phase writes a heading with the time since the start; what Line writes from
// then on is indented below it. The same heading again is not repeated.
func (p *Reporter) Phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == name {
		return
	}
	p.phase = name
	if p.events {
		p.emit(Event{Event: "phase", Phase: name})
		return
	}
	p.write(fmt.Sprintf("[%5.1fs] %s", time.Since(p.start).Seconds(), name))
}

// Line writes one line, above the bar when there is one.
func (p *Reporter) Line(format string, args ...any) { p.line("message", format, args...) }

// Retry writes one line that says what is tried again, and why.
func (p *Reporter) Retry(format string, args ...any) { p.line("retry", format, args...) }

func (p *Reporter) line(event, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if p.events {
		p.emit(Event{Event: event, Phase: p.phase, Message: line})
		return
	}
	if p.phase != "" {
		line = PhaseIndent + strings.ReplaceAll(line, "\n", "\n"+PhaseIndent)
	}
	p.write(line)
}

// PhaseIndent puts a line below its heading.
const PhaseIndent = "         "

func (p *Reporter) write(line string) {
	if p.bar != nil {
		if _, err := p.bar.Write([]byte(terminal.Visible(line) + "\n")); err == nil {
			return
		}
	}
	fmt.Fprintln(p.out, line)
}

// emit writes an event; the caller holds the lock.
func (p *Reporter) emit(e Event) {
	e.Time = time.Now().UTC()
	_ = json.NewEncoder(p.out).Encode(e) // a stderr that is closed stops no transfer
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

// Show makes lines go above shown; nil is nothing.
func (p *Reporter) Show(shown *mpb.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar = shown
}

// Screen returns the terminal that bars are drawn on, nil when there is none.
func (p *Reporter) Screen() *os.File { return p.screen }

// Counted returns a number with what is counted: 1 secret, 2 secrets.
func Counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
