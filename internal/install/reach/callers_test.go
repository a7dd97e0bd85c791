package reach

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// TestAFreshIngressIsAskedUntilAllAnswer: the workers of a controller take up an
// Ingress one after the other, and the first right answer is one worker's.
func TestAFreshIngressIsAskedUntilAllAnswer(t *testing.T) {
	const old, now, none = SomethingElse, ThisLaunch, Nobody
	for name, test := range map[string]struct {
		fresh   bool
		answers []Who // the last one again and again
		asked   int   // 0: until the time is over
		want    Who
	}{
		"at once":             {true, []Who{now}, freshAnswers, now},
		"one worker late":     {true, []Who{old, now, old, now, now, old, now}, 6 + freshAnswers, now},
		"nobody at first":     {true, []Who{none, none, now}, 2 + freshAnswers, now},
		"never":               {true, []Who{now, old}, 0, old},
		"an Ingress of old":   {false, []Who{now}, 1, now},
		"pods just exchanged": {false, []Who{old, now}, 2, now},
		"out of reach":        {false, []Who{none}, 1, none},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				got := untilSure(t.Context(), test.fresh, func() *Answer {
					answers := test.answers[min(asked, len(test.answers)-1)]
					asked++
					return &Answer{Answers: answers}
				})
				if got.Answers != test.want || test.asked != 0 && asked != test.asked {
					t.Errorf("after %d questions %s answers, want %s after %d", asked, got.Answers, test.want, test.asked)
				}
			})
		})
	}
}

// TestTheQueueIsWaitedFor: each of several engines reaches the queue in its own
// time, and one that says nothing of a queue holds nothing up.
func TestTheQueueIsWaitedFor(t *testing.T) {
	const reached, opening, none = config.QueueReached, config.QueueOpening, ""
	const patience = time.Minute
	for name, test := range map[string]struct {
		answers []string // the last one again and again
		want    string
		waits   bool
		after   time.Duration // at the most
	}{
		"no queue, or an old engine": {[]string{none}, none, false, 0},
		"at once":                    {[]string{reached}, reached, false, freshAnswers * freshEvery},
		"late":                       {[]string{opening, opening, reached}, reached, true, 2 * time.Second},
		"one engine late":            {[]string{reached, opening, reached}, reached, true, 2 * time.Second},
		"an old one among them":      {[]string{reached, none}, none, false, freshAnswers * freshEvery},
		"never":                      {[]string{opening}, opening, true, patience + reachEvery},
		"one engine never":           {[]string{opening, reached, opening}, opening, true, patience + reachEvery},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, waits := 0, 0
				ask := func() *Answer {
					answer := test.answers[min(asked, len(test.answers)-1)]
					asked++
					return &Answer{Answers: ThisLaunch, Queue: answer}
				}
				begun := time.Now()
				got := untilQueue(t.Context(), ask(), freshAnswers, patience, func() { waits++ }, ask)
				if took := time.Since(begun); got.Queue != test.want || waits > 1 || (waits == 1) != test.waits || took > test.after {
					t.Errorf("after %s and %d waits it is %q, want %q after %s", took, waits, got.Queue, test.want, test.after)
				}
			})
		})
	}
	other := &Answer{Answers: OtherLaunch, Queue: opening}
	if got := untilQueue(t.Context(), other, freshAnswers, patience, func() { t.Error("another launch is waited for") }, func() *Answer { return other }); got != other {
		t.Errorf("another launch answers, and it is told as %+v", got)
	}
}
