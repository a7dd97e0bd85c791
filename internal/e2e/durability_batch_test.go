//go:build durability

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

// TestDurabilityBatch runs a large batch through four replicas, and kills all
// engines half way.
func TestDurabilityBatch(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{{"deploy", (*durable).deployBatch}, {"a large batch", (*durable).largeBatch}})
}

const (
	batchLines    = 100_000
	batchReplicas = 4
	batchSleep    = .02
)

func (d *durable) deployBatch(t *testing.T) {
	var err error
	if d.hello, err = d.PushExample(t.Context(), "hello", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	d.deployNew(t, "Batch", nil, nil, stack.Route{Vanity: "demo/hello", Algorithm: d.hello, Replicas: batchReplicas})
}

// batchState is what is told of a batch.
type batchState struct {
	ID     string `json:"batch_id"`
	State  string `json:"state"`
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
}

func (d *durable) batchState(t *testing.T, id string) (b batchState) {
	t.Helper()
	status, answer := d.ask(t, http.MethodGet, "/v1/batch/"+id, "", "", "")
	if err := json.Unmarshal([]byte(answer), &b); err != nil || status != 200 {
		t.Fatalf("the batch = %d %s, %v", status, answer, err)
	}
	return b
}

// ranFor returns for how many seconds replicas ran calls so far, as the engines count it.
func (d *durable) ranFor(t *testing.T) (seconds float64) {
	t.Helper()
	for _, pod := range d.pods(t, engineName) {
		n, _ := metric(t.Context(), pod.Status.PodIP, `constellation_engine_call_run_seconds_sum{algorithm="demo/hello"}`)
		seconds += n
	}
	return seconds
}

func (d *durable) largeBatch(t *testing.T) {
	var in bytes.Buffer
	for i := range batchLines {
		fmt.Fprintf(&in, `{"custom_id":"c%d","body":{"n":%d,"sleep":%g}}`+"\n", i, i, batchSleep)
	}
	memory := d.watchMemory(t)
	begun := time.Now()
	status, answer := d.ask(t, http.MethodPost, "/v1/batch/demo/hello", "application/jsonl", in.String(), "one batch")
	var b batchState
	if err := json.Unmarshal([]byte(answer), &b); err != nil || status >= 300 || b.ID == "" {
		t.Fatalf("a batch = %d %s, %v", status, answer, err)
	}
	t.Logf("%d lines uploaded in %.1f s", batchLines, time.Since(begun).Seconds())
	// The first lines run while others arrive: what is measured comes after them.
	from, ran, at := d.batchState(t, b.ID).Done, d.ranFor(t), time.Now()
	next := 0
	var early []int // what the queue's nodes have after a fifth of the lines
	for b = d.batchState(t, b.ID); b.Done < batchLines/2; b = d.batchState(t, b.ID) {
		if b.Done >= next {
			next += batchLines / 10
			t.Logf("%6d lines after %.0f s; queue nodes have %v MB", b.Done, time.Since(begun).Seconds(), d.nodesMB(t))
		}
		if early == nil && b.Done >= batchLines/5 {
			early = d.nodesMB(t)
		}
		if time.Since(begun) > 20*time.Minute {
			t.Fatalf("the batch: %+v", b)
		}
		time.Sleep(time.Second)
	}
	wall, calls := time.Since(at).Seconds(), (d.ranFor(t)-ran)/batchReplicas
	t.Logf("%d lines in %.1f s, of which replicas ran calls for %.1f s: %.3f of it; of the algorithm alone %.1f s: %.3f",
		b.Done-from, wall, calls, wall/calls, float64(b.Done-from)*batchSleep/batchReplicas, wall/(float64(b.Done-from)*batchSleep/batchReplicas))
	if wall > 1.1*calls {
		t.Errorf("%.1f s for calls of %.1f s, want 1.1 of it at most", wall, calls)
	}
	memory(t, 2*time.Minute)
	flat(t, early, d.nodesMB(t))
	d.restarted(t, engineName, func() { d.signal(t, syscall.SIGKILL, d.found(t, engineProcess)) })
	for ; b.Done < batchLines; b = d.batchState(t, b.ID) {
		if time.Since(begun) > 30*time.Minute {
			t.Fatalf("the batch: %+v", b)
		}
		time.Sleep(time.Second)
	}
	t.Logf("%+v after %.0f s; queue nodes have %v MB", b, time.Since(begun).Seconds(), d.nodesMB(t))
	flat(t, early, d.nodesMB(t))
	d.inOrder(t, b.ID)
}

// flat checks that what the queue's nodes have in memory has not grown.
func flat(t *testing.T, early, late []int) {
	t.Helper()
	if len(early) != len(queueNames) || len(late) != len(queueNames) || slices.Min(early) == 0 {
		t.Errorf("the nodes have %v MB and later %v, want that of three", early, late)
		return
	}
	for i := range early {
		if late[i] > early[i]*5/4+32 {
			t.Errorf("the memory of %s grew from %d to %d MB", queueNames[i], early[i], late[i])
		}
	}
}

// inOrder checks that the output has each line once, in order.
func (d *durable) inOrder(t *testing.T, id string) {
	t.Helper()
	_, results := d.ask(t, http.MethodGet, "/v1/batch/"+id+"/results", "", "", "")
	i := 0
	for line := range strings.Lines(results) {
		var r struct {
			CustomID string `json:"custom_id"`
			Result   struct {
				N int `json:"n"`
			} `json:"result"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.CustomID != fmt.Sprint("c", i) || r.Result.N != i {
			t.Fatalf("line %d is %.200s, %v", i, line, err)
		}
		i++
	}
	if i != batchLines {
		t.Errorf("the output has %d lines, want %d", i, batchLines)
	}
}

// nodesMB returns what each queue node has in memory.
func (d *durable) nodesMB(t *testing.T) (mb []int) {
	t.Helper()
	for _, pod := range d.pods(t, "queue-") {
		n, _ := metricAt(t.Context(), pod.Status.PodIP+":8222", "process_resident_memory_bytes")
		mb = append(mb, int(n)>>20)
	}
	return mb
}
