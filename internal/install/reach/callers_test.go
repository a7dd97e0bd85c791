package reach

import (
	"testing"
	"testing/synctest"
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
