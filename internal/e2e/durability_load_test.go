//go:build durability

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

// TestDurabilityLoad sends the same load, which doubles and ends, to replicas that
// are fixed and to ones that follow it.
func TestDurabilityLoad(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{{"deploy", (*durable).deployLoad}, {"a load that doubles", (*durable).doubles}})
}

const (
	loadVanity  = "demo/hello"
	loadFew     = 2 // replicas that the load takes at first
	loadMost    = 6
	loadCall    = .8                     // seconds that a call takes
	loadInTime  = 2 * time.Second        // within which it is to be answered
	loadEvery   = 500 * time.Millisecond // between two calls, at first
	loadPhase   = time.Minute
	loadFollows = 30 * time.Second
	loadWarmUp  = 30 * time.Second // that replicas have at the least to settle before the load is measured
)

func (d *durable) deployLoad(t *testing.T) {
	var err error
	if d.hello, err = d.PushExample(t.Context(), "hello", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	d.deployNew(t, "Load", nil, nil, stack.Route{Vanity: loadVanity, Algorithm: d.hello, Replicas: loadFew})
}

// loadBody is the input of a call.
var loadBody = fmt.Sprintf(`{"sleep":%g}`, loadCall)

// loadSeen is what came of a load.
type loadSeen struct {
	calls, inTime, failed int
	before, most          int32 // replicas that were ready when the load doubled, and that were asked for at the most
	replicaSeconds        float64
	follows, back         time.Duration // from when the load doubled, or ended, on; 0 is never
}

func (d *durable) doubles(t *testing.T) {
	type row struct {
		name, setting string
		scaled        bool
	}
	table := []string{fmt.Sprintf("%-12s %6s %8s %7s %9s %15s", "replicas", "calls", "in time", "failed", "most", "replica-seconds")}
	for _, r := range []row{{"2", "2", false}, {"6", "6", false}, {"1..6", "1..6", true}} {
		d.operate(t, "configure", "stage.replicas."+loadVanity+"="+r.setting)
		d.operate(t, "deploy")
		d.until(t, "the load's algorithm is ready", time.Minute, func() bool {
			f := d.deploymentOf(t.Context(), loadVanity)
			return f != nil && f.Status.ReadyReplicas == *f.Spec.Replicas
		})
		if r.scaled { // from the fixed count it comes down first
			d.until(t, "replicas come down", 5*time.Minute, func() bool {
				f := d.deploymentOf(t.Context(), loadVanity)
				return f != nil && *f.Spec.Replicas == 1 && f.Status.Replicas == 1
			})
			d.settles(t)
		}
		s := d.loadOnce(t, r.scaled)
		table = append(table, fmt.Sprintf("%-12s %6d %7.1f%% %7d %9d %15.0f", r.name, s.calls, 100*float64(s.inTime)/float64(s.calls), s.failed, s.most, s.replicaSeconds))
		if s.failed > 0 {
			t.Errorf("%d calls failed", s.failed)
		}
		if !r.scaled {
			continue
		}
		t.Logf("%d replicas were ready when the load doubled; %d were %.1f s later; they came back %.1f s after it ended", s.before, 2*loadFew, s.follows.Seconds(), s.back.Seconds())
		if s.before >= 2*loadFew {
			t.Errorf("%d replicas were ready before the load doubled: there was nothing to follow", s.before)
		}
		if s.follows == 0 || s.follows > loadFollows {
			t.Errorf("replicas followed after %v, want within %v", s.follows, loadFollows)
		}
		if s.back == 0 {
			t.Error("replicas did not come back")
		}
		if s.most > loadMost {
			t.Errorf("%d replicas were asked for, want %d at most", s.most, loadMost)
		}
	}
	t.Logf("%d s of a call each %v on average, %d s of twice as many, then none:\n%s", int(loadPhase.Seconds()), loadEvery, int(loadPhase.Seconds()), strings.Join(table, "\n"))
}

// callEvery makes calls, one each interval on average, until a time. Of the same seed
// they come as irregularly.
func callEvery(every time.Duration, until time.Time, random *rand.Rand, call func()) {
	for at := time.Now(); ; {
		at = at.Add(time.Duration((.75 + random.Float64()/2) * float64(every)))
		if at.After(until) {
			time.Sleep(time.Until(until))
			return
		}
		time.Sleep(time.Until(at))
		call()
	}
}

// settles makes the load as it is before it doubles until there are as many
// replicas as it takes.
func (d *durable) settles(t *testing.T) {
	t.Helper()
	var calls sync.WaitGroup
	random := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // not a secret
	for begun := time.Now(); ; {
		callEvery(loadEvery, time.Now().Add(5*time.Second), random, func() {
			calls.Go(func() { _, _, _ = d.Call(t.Context(), d.key, loadVanity, "application/json", loadBody) })
		})
		f := d.deploymentOf(t.Context(), loadVanity)
		took := time.Since(begun)
		if f != nil && took > loadWarmUp && *f.Spec.Replicas >= loadFew && *f.Spec.Replicas < 2*loadFew && f.Status.ReadyReplicas == *f.Spec.Replicas {
			t.Logf("%d replicas after %.0f s of the load", *f.Spec.Replicas, took.Seconds())
			calls.Wait()
			return
		}
		if took > 5*time.Minute {
			t.Fatalf("the load of %d replicas does not settle: %+v", loadFew, f)
		}
	}
}

// loadOnce makes the load and watches the replicas until they came back.
func (d *durable) loadOnce(t *testing.T, scaled bool) (s loadSeen) {
	var mu sync.Mutex
	var calls sync.WaitGroup
	call := func() {
		calls.Go(func() {
			begun := time.Now()
			status, _, err := d.Call(t.Context(), d.key, loadVanity, "application/json", loadBody)
			mu.Lock()
			defer mu.Unlock()
			s.calls++
			if err != nil || status != 200 {
				s.failed++
			} else if time.Since(begun) <= loadInTime {
				s.inTime++
			}
		})
	}
	begun := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		doubled, ended := begun.Add(loadPhase), begun.Add(2*loadPhase)
		for last := begun; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			f := d.deploymentOf(ctx, loadVanity)
			if f == nil {
				continue
			}
			now := time.Now()
			mu.Lock()
			s.most = max(s.most, *f.Spec.Replicas)
			if now.Before(ended) {
				s.replicaSeconds += now.Sub(last).Seconds() * float64(f.Status.Replicas)
			}
			if now.Before(doubled) {
				s.before = f.Status.ReadyReplicas
			} else if s.follows == 0 && f.Status.ReadyReplicas >= 2*loadFew {
				s.follows = now.Sub(doubled)
			}
			if s.back == 0 && now.After(ended) && *f.Spec.Replicas == 1 {
				s.back = now.Sub(ended)
			}
			mu.Unlock()
			last = now
		}
	}()
	random := rand.New(rand.NewPCG(2, 2)) //nolint:gosec // not a secret
	callEvery(loadEvery, begun.Add(loadPhase), random, call)
	callEvery(loadEvery/2, begun.Add(2*loadPhase), random, call)
	calls.Wait()
	if scaled {
		d.until(t, "replicas come back", 5*time.Minute, func() bool { mu.Lock(); defer mu.Unlock(); return s.back > 0 })
	}
	stop()
	<-watched
	return s
}
