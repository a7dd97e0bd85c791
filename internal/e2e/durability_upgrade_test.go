//go:build durability

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

// TestDurabilityUpgrade brings a queue to a satellite that has none, and a new
// system image to one that has calls in its queue.
func TestDurabilityUpgrade(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{
		{"deploy without a queue", (*durable).deployWithoutQueue},
		{"a plain deploy brings the queue", (*durable).bringQueue},
		{"a new system image under load", (*durable).newSystemImage},
	})
}

func (d *durable) deployWithoutQueue(t *testing.T) {
	var err error
	if d.hello, err = d.PushExample(t.Context(), "python", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	d.deployNew(t, "Upgrade", nil, []string{"stage.queue=off", "stage.resources." + slow + ".memory=192Mi"},
		stack.Route{Vanity: slow, Algorithm: d.hello, Replicas: slowReplicas})
	if n := len(d.pods(t, "queue-")); n > 0 {
		t.Errorf("%d queue pods are there without a queue", n)
	}
}

// steadyCallers make calls one after the other until they are stopped.
type steadyCallers struct {
	d       *durable
	group   sync.WaitGroup
	stop    context.CancelFunc
	mu      sync.Mutex
	waited  map[string]int // synchronous calls by outcome
	refused int
	longest time.Duration // from the first attempt of a durable call until it was accepted
	work    *work
}

// callAlways has one caller wait for each answer and, with durable, another one
// whose calls nobody waits for.
func (d *durable) callAlways(t *testing.T, name string, durable bool) *steadyCallers {
	ctx, stop := context.WithCancel(t.Context())
	c := &steadyCallers{d: d, stop: stop, waited: map[string]int{}, work: &work{durable: d, name: name, sleep: .02}}
	c.group.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			body := fmt.Sprintf(`{"n":%d,"sleep":0.02}`, n)
			status, answer, err := d.once(context.WithoutCancel(ctx), "POST", "/v1/algo/"+slow, "application/json", body, "")
			outcome := fmt.Sprint(status)
			if err != nil || status == 200 && !strings.Contains(answer, fmt.Sprintf(`"n": %d`, n)) && !strings.Contains(answer, fmt.Sprintf(`"n":%d`, n)) {
				outcome = fmt.Sprintf("%d %.200s %v", status, answer, err)
			}
			c.mu.Lock()
			c.waited[outcome]++
			c.mu.Unlock()
		}
	})
	if !durable {
		return c
	}
	c.group.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			for begun := time.Now(); ; {
				status, answer, err := d.once(context.WithoutCancel(ctx), "POST", "/v1/algo/"+slow+"?output=void", "application/json", c.work.body(i), fmt.Sprint(name, " ", i))
				if err == nil && status == 200 {
					_, id, _ := strings.Cut(answer, `"request_id":"`)
					c.work.ids = append(c.work.ids, id[:strings.IndexByte(id, '"')])
					c.longest = max(c.longest, time.Since(begun))
					break
				}
				c.refused++
				time.Sleep(50 * time.Millisecond)
			}
		}
	})
	return c
}

// end stops the callers: of those who waited, nobody got another answer than a result.
func (c *steadyCallers) end(t *testing.T) {
	t.Helper()
	c.stop()
	c.group.Wait()
	t.Logf("calls that were waited for, by status: %v; durable calls: %d accepted, %d attempts refused, the longest took %.1f s",
		c.waited, len(c.work.ids), c.refused, c.longest.Seconds())
	for outcome, n := range c.waited {
		if outcome != "200" {
			t.Errorf("%d calls were answered %s", n, outcome)
		}
	}
}

func (d *durable) bringQueue(t *testing.T) {
	d.call(t, d.key, slow+"?output=void", "application/json", "{}", 400, "no queue")
	c := d.callAlways(t, "none", false)
	d.operate(t, "configure", "stage.queue=on", "stage.queue.size=1Gi")
	d.operate(t, "deploy")
	c.end(t)
	d.nodesReady(t, 3)
	w := d.acceptMany(t, "brought", 100, 0)
	w.ended(t)
}

// newSystemImage replaces the mothership by one of the next version, which then
// has a system image of its own.
func (d *durable) newSystemImage(t *testing.T) {
	image := func() (images []string) {
		for _, pod := range append(d.pods(t, engineName), d.pods(t, "queue-")...) {
			images = append(images, pod.Spec.Containers[0].Image)
		}
		slices.Sort(images)
		return slices.Compact(images)
	}
	before := image()
	c := d.callAlways(t, "rolled", true)
	waits := d.acceptMany(t, "waits", 500, .1)
	if err := d.Mothership.Stop(); err != nil {
		t.Fatal(err)
	}
	next, err := stack.StartMothership(t.Context(), d.nextBinary(t), filepath.Join(d.Dir, "mothership"), d.Mothership.Host)
	if err != nil {
		t.Fatal(err)
	}
	d.Mothership = next
	d.operate(t, "get", d.AdminKey)
	begun := time.Now()
	d.operate(t, "deploy")
	t.Logf("the deploy took %.0f s", time.Since(begun).Seconds())
	d.nodesReady(t, 3)
	c.end(t)
	d.until(t, "all system pods have one image, which is new", time.Minute, func() bool {
		after := image()
		return len(before) == 1 && len(after) == 1 && after[0] != before[0]
	})
	c.work.ended(t)
	waits.ended(t)
	d.lost(t, 0)
}

// nextBinary returns this program with another version of the same length.
func (d *durable) nextBinary(t *testing.T) string {
	t.Helper()
	program := filepath.Join(d.Bin, "mothership")
	out, err := stack.Command{Args: []string{program, "version", "-o", "json"}}.Run(t.Context())
	var is struct{ Version string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &is)
	}
	if err != nil || len(is.Version) < 5 {
		t.Fatalf("version: %s %v", out, err)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	next := "9" + is.Version[1:]
	path := filepath.Join(t.TempDir(), "mothership")
	if err := os.WriteFile(path, bytes.ReplaceAll(code, []byte(is.Version), []byte(next)), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return path
}
