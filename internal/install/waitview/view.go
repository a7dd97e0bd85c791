package waitview

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/constellation-serving/constellation/internal/kube/health"
)

// View shows each Deployment that a wait looks at on a line of its own, on
// a terminal; elsewhere the lines that tell what changes are all.
type View struct {
	report *progress.Reporter
	shown  *mpb.Progress
	bars   map[string]*waitBar
}

// waitBar is one Deployment's line. It is made without a total, which could
// not change any more, and lives until the wait ends.
type waitBar struct {
	bar    *mpb.Bar
	reason atomic.Pointer[string] // no lock: the bars are drawn while lines wait for them
}

// New returns a view that draws where report does.
func New(report *progress.Reporter) *View { return &View{report: report} }

// Show shows what a wait sees.
func (v *View) Show(health []health.Deployment) {
	if v.report.Screen() == nil {
		return
	}
	if v.shown == nil {
		v.shown, v.bars = mpb.New(mpb.WithOutput(v.report.Screen()), mpb.WithRefreshRate(150*time.Millisecond)), map[string]*waitBar{}
		v.report.Show(v.shown)
	}
	for _, h := range health {
		b := v.bars[h.Name]
		if b == nil {
			b = v.add(h)
		}
		reason, _, _ := strings.Cut(terminal.Visible(h.Reason), "\n")
		b.reason.Store(&reason)
		b.bar.SetTotal(max(h.Desired, 1), false)
		b.bar.SetCurrent(min(h.Running, h.Desired))
	}
}

func (v *View) add(h health.Deployment) *waitBar {
	b := &waitBar{}
	name := h.Vanity
	if name == "" {
		name = h.Name
	}
	b.bar = v.shown.New(0, mpb.BarStyle().Lbound("[").Rbound("]"),
		mpb.BarWidth(24),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%s%-24s ", progress.PhaseIndent, terminal.Visible(name))), decor.CountersNoUnit("%d of %d ")),
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

// End leaves the lines as they were last.
func (v *View) End() {
	if v.shown == nil {
		return
	}
	for _, b := range v.bars {
		b.bar.Abort(false)
	}
	v.report.Show(nil)
	v.shown.Wait()
	v.shown = nil
}
