//go:build durability

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

// durability returns a new stack for one of the tests that take long: `make
// durability` runs them. The ordinary run has what is short of them in TestDurable,
// TestScaling, TestQueueOperated and TestSoak.
func durability(t *testing.T) *durable {
	t.Helper()
	return &durable{journey: start(t)}
}

// durableStep is one step of such a test.
type durableStep struct {
	name string
	run  func(*durable, *testing.T)
}

// take takes the steps. One that fails is explained and ends the test.
func (d *durable) take(t *testing.T, steps []durableStep) {
	t.Helper()
	for _, step := range steps {
		begun := time.Now()
		if !t.Run(step.name, func(t *testing.T) { step.run(d, t) }) {
			d.explain(t)
			t.FailNow()
		}
		t.Logf("%s took %.0f s", step.name, time.Since(begun).Seconds())
	}
}

// TestDurability takes from the queue of a real cluster whatever it can lose:
// processes, a disk, links.
func TestDurability(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{
		{"deploy", (*durable).deployPython},
		{"every process is killed", (*durable).everyProcess},
		{"a disk is wiped", (*durable).oneDisk},
		{"the links are cut for a minute", (*durable).allLinks},
		{"one node is cut off", (*durable).oneNode},
		{"the API server is away", (*durable).apiServer},
		{"a long call", (*durable).longCall},
	})
}

// slow is the algorithm that is called; its two replicas take one call at a time.
const slow, slowReplicas = "demo/slow", 2

func (d *durable) deployPython(t *testing.T) {
	var err error
	if d.hello, err = d.PushExample(t.Context(), "python", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	d.deployNew(t, "Durability", nil, []string{"stage.queue=on", "stage.resources." + slow + ".memory=192Mi"},
		stack.Route{Vanity: slow, Algorithm: d.hello, Replicas: slowReplicas})
}

// work is calls that were accepted. Each says in the algorithm's log that it runs.
type work struct {
	*durable
	name  string
	sleep float64
	ids   []string
}

func (w *work) body(i int) string {
	return fmt.Sprintf(`{"n":%d,"sleep":%g,"warn":"run %s %d."}`, i, w.sleep, w.name, i)
}

// accept has n calls accepted, which take a time each.
func (d *durable) acceptMany(t *testing.T, name string, n int, sleep float64) *work {
	t.Helper()
	w := &work{durable: d, name: name, sleep: sleep, ids: make([]string, n)}
	begun := time.Now()
	err := atOnce(n, func(i int) error {
		status, answer, err := d.try(t.Context(), "POST", "/v1/algo/"+slow+"?output=void", "application/json", w.body(i), fmt.Sprint(name, " ", i))
		var accepted struct {
			RequestID string `json:"request_id"`
		}
		if err == nil {
			err = json.Unmarshal([]byte(answer), &accepted)
		}
		if err != nil || status != 200 || accepted.RequestID == "" {
			return fmt.Errorf("call %d is not accepted: %d %s %w", i, status, answer, err)
		}
		w.ids[i] = accepted.RequestID
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d calls accepted in %.1f s", n, time.Since(begun).Seconds())
	return w
}

// atOnce does something n times, sixteen at once, until one fails.
func atOnce(n int, do func(i int) error) error {
	var group sync.WaitGroup
	var once sync.Once
	var failed error
	next := make(chan int)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for range min(n, 16) {
		group.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					once.Do(func() { failed = err; stop() })
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	group.Wait()
	return failed
}

// ended waits until each call has its own result.
func (w *work) ended(t *testing.T) {
	t.Helper()
	begun := time.Now()
	err := atOnce(len(w.ids), func(i int) error {
		for deadline := time.Now().Add(10 * time.Minute); ; {
			status, answer, err := w.try(t.Context(), "GET", "/v1/async/"+w.ids[i]+"?wait=30", "", "", "")
			if err != nil || status != 200 || time.Now().After(deadline) {
				return fmt.Errorf("call %d: %d %s %w", i, status, answer, err)
			}
			if strings.Contains(answer, `"state":"queued"`) || strings.Contains(answer, `"state":"running"`) {
				continue
			}
			if !strings.Contains(answer, `"state":"succeeded"`) {
				return fmt.Errorf("call %d has ended as %s", i, answer)
			}
			status, answer, err = w.try(t.Context(), "GET", "/v1/async/"+w.ids[i]+"/result", "", "", "")
			if err != nil || status != 200 || !strings.Contains(answer, fmt.Sprintf(`"n":%d,`, i)) {
				return fmt.Errorf("the result of call %d is %d %s %w", i, status, answer, err)
			}
			return nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the last of %d results came %.1f s later", len(w.ids), time.Since(begun).Seconds())
}

// runs returns how often each call was begun, as the algorithm's replicas logged
// it. None of them was ended.
func (w *work) runs(t *testing.T) []int {
	t.Helper()
	logs := w.logs(t, "algo-")
	runs := make([]int, len(w.ids))
	for i := range runs {
		runs[i] = strings.Count(logs, fmt.Sprintf("run %s %d.", w.name, i))
	}
	return runs
}

// ran checks that each call was begun: no result is made up.
func (w *work) ran(t *testing.T) {
	t.Helper()
	if i := slices.Index(w.runs(t), 0); i >= 0 {
		t.Errorf("call %d has a result, and never ran", i)
	}
}

// twice checks that no more calls ran again than may have.
func (w *work) twice(t *testing.T, most int) {
	t.Helper()
	var again []int
	for i, n := range w.runs(t) {
		for range n - 1 {
			again = append(again, i)
		}
	}
	t.Logf("%d of %d calls ran a second time: %v", len(again), len(w.ids), again)
	if len(again) > most {
		t.Errorf("%d calls ran a second time, want %d at most", len(again), most)
	}
}

// lost checks how many accepted calls queue status has as lost.
func (d *durable) lost(t *testing.T, want uint64) {
	t.Helper()
	s := d.queueStatus(t)
	if s.LostCalls() != want {
		t.Errorf("queue status has %d lost calls, want %d: %+v", s.LostCalls(), want, s)
	}
}
