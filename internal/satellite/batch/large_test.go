//go:build durability

package batch

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestDurabilityLarge runs a large batch through four replicas, beside one queue node
// and with one of two engines dying half way: the time beside that of the calls
// themselves, what this process holds, and the output.
func TestDurabilityLarge(t *testing.T) {
	const lines, slots, sleeps = 100_000, 4, 10 * time.Millisecond
	var inside atomic.Int64 // what calls took in the replicas
	rep := startReplicas(t, slots, func(_ *http.Request, body []byte) (int, string) {
		begun := time.Now()
		time.Sleep(sleeps) // the algorithm's own work
		inside.Add(int64(time.Since(begun)))
		return 200, string(body)
	})
	n := startNode(t)
	first := startEngine(t, n, rep, nil)
	heap := watchHeap(t)
	begun := time.Now()
	s := first.post(strings.NewReader(numbered(1, lines)), "")
	t.Logf("%d lines are stored after %.1f s", lines, time.Since(begun).Seconds())
	// The first ones ran while others were uploaded: what is measured comes after.
	from, calls, at := rep.runs.Load(), inside.Load(), time.Now()
	untilMade(t, rep, lines/2)
	wall, ran := time.Since(at), rep.runs.Load()-from
	own := time.Duration(inside.Load()-calls) / slots
	t.Logf("%d lines in %.1f s, and the calls themselves take %.1f s of %d replicas: %.3f of it; of calls that take exactly %v: %.3f",
		ran, wall.Seconds(), own.Seconds(), slots, wall.Seconds()/own.Seconds(), sleeps, wall.Seconds()/(time.Duration(ran)*sleeps/slots).Seconds())
	if wall > own*11/10 {
		t.Errorf("the batch takes %v for calls of %v, want 1.1 of it at most", wall, own)
	}
	second := startEngine(t, n, rep, nil)
	first.q.Close()
	first.stop()
	untilMade(t, rep, lines)
	second.await(s.ID, StateCompleted)
	heap()
	checkWhole(t, second.output(s.ID+"/results"), lines)
	t.Logf("one engine died half way: %d lines ran a second time", rep.runs.Load()-lines)
}

// untilMade waits until so many calls were made.
func untilMade(t *testing.T, rep *replicas, n int64) {
	t.Helper()
	for last, at := int64(-1), time.Now(); rep.runs.Load() < n; time.Sleep(20 * time.Millisecond) {
		if now := rep.runs.Load(); now != last {
			last, at = now, time.Now()
		}
		if time.Since(at) > time.Minute {
			t.Fatalf("no call was made for a minute after %d", last)
		}
	}
}

// watchHeap looks at what this process holds every second; the function then wants
// that to be flat.
func watchHeap(t *testing.T) func() {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	samples := make(chan []uint64, 1)
	go func() {
		var all []uint64
		for sleep(ctx, time.Second) == nil {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			all = append(all, m.HeapAlloc>>20)
		}
		samples <- all
	}()
	return func() {
		stop()
		all := <-samples
		middle := func(part []uint64) uint64 { return slices.Sorted(slices.Values(part))[len(part)/2] }
		early, late := middle(all[len(all)/4:len(all)/2]), middle(all[len(all)*3/4:])
		t.Logf("engine, replicas and node have %d MiB in the second quarter of the time, %d MiB in the last, %d MiB at most", early, late, slices.Max(all))
		if late > early*5/4+16 {
			t.Errorf("what they have grew from %d to %d MiB", early, late)
		}
	}
}
