package install

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/constellation-serving/constellation/internal/kube"
)

// waitView shows each Deployment that a wait looks at on a line of its own, on
// a terminal; elsewhere the lines that tell what changes are all.
type waitView struct {
	progress *Progress
	shown    *mpb.Progress
	bars     map[string]*waitBar
}

// waitBar is one Deployment's line. It is made without a total, which could
// not change any more, and lives until the wait ends.
type waitBar struct {
	bar    *mpb.Bar
	reason atomic.Pointer[string] // no lock: the bars are drawn while lines wait for them
}

// look shows what a wait sees.
func (v *waitView) look(health []kube.Health) {
	if !v.progress.terminal {
		return
	}
	if v.shown == nil {
		v.shown, v.bars = mpb.New(mpb.WithOutput(v.progress.out), mpb.WithRefreshRate(150*time.Millisecond)), map[string]*waitBar{}
		v.progress.show(v.shown)
	}
	for _, h := range health {
		b := v.bars[h.Name]
		if b == nil {
			b = v.add(h)
		}
		reason, _, _ := strings.Cut(h.Reason, "\n")
		b.reason.Store(&reason)
		b.bar.SetTotal(max(h.Desired, 1), false)
		b.bar.SetCurrent(min(h.Running, h.Desired))
	}
}

func (v *waitView) add(h kube.Health) *waitBar {
	b := &waitBar{}
	name := h.Vanity
	if name == "" {
		name = h.Name
	}
	b.bar = v.shown.New(0, mpb.BarStyle().Lbound("[").Rbound("]"),
		mpb.BarWidth(24),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%s%-24s ", phaseIndent, name)), decor.CountersNoUnit("%d of %d ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			if reason := b.reason.Load(); reason != nil {
				return " " + *reason
			}
			return ""
		})),
	)
	v.bars[h.Name] = b
	return b
}

// end leaves the lines as they were last.
func (v *waitView) end() {
	if v.shown == nil {
		return
	}
	for _, b := range v.bars {
		b.bar.Abort(false)
	}
	v.progress.show(nil)
	v.shown.Wait()
	v.shown = nil
}

// show makes lines go above what is shown; nil is nothing.
func (p *Progress) show(shown *mpb.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bar = shown
}
