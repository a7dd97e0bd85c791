package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/stack"
)

// TestQueueOperated looks after the queue of a satellite in a real cluster, through
// the API server and a kubelet.
func TestQueueOperated(t *testing.T) {
	j := start(t)
	j.walk(t, []step{
		{"deploy with the queue in the engine", (*journey).deployOperated},
		{"status", (*journey).queueTakesCalls},
		{"drain", (*journey).drainQueue},
		{"backup and restore", (*journey).backUpQueue},
	})
}

func (j *journey) deployOperated(t *testing.T) {
	var err error
	if j.hello, err = j.PushExample(t.Context(), "hello", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	j.deployNew(t, "Operated", nil, []string{"stage.profile=edge", "stage.queue=on", "stage.queue.storage=ephemeral", "stage.queue.size=256Mi"},
		stack.Route{Vanity: "demo/hello", Algorithm: j.hello, Replicas: 1})
}

func (j *journey) queueStatus(t *testing.T) operate.Status {
	t.Helper()
	var s operate.Status
	if out := j.operate(t, "queue", "status", "-o", "json"); json.Unmarshal([]byte(out), &s) != nil {
		t.Fatalf("queue status: %s", out)
	}
	return s
}

func (j *journey) queueTakesCalls(t *testing.T) {
	j.callUntil(t, j.key, "demo/hello?output=void", "text/plain", "Neo", 200, `"async":"void"`)
	begun := time.Now()
	for s := j.queueStatus(t); s.State != operate.StateOK || s.Waiting+s.Running > 0; s = j.queueStatus(t) {
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("the call has not ended after two minutes: %+v", s)
		}
		time.Sleep(500 * time.Millisecond)
	}
	if out := j.operate(t, "queue", "dead", "list"); !strings.Contains(out, "no dead letters") {
		t.Errorf("dead list: %s", out)
	}
	if out := j.operate(t, "status"); !strings.Contains(out, "queue") {
		t.Errorf("status: %s", out)
	}
}

func (j *journey) drainQueue(t *testing.T) {
	j.operate(t, "queue", "drain")
	j.call(t, j.key, "demo/hello?output=void", "text/plain", "Neo", 503, "takes no new asynchronous calls")
	j.call(t, j.key, "demo/hello", "text/plain", "Neo", 200, "Hello Neo")
	if s := j.queueStatus(t); !s.Draining {
		t.Errorf("status of a drained queue: %+v", s)
	}
	j.operate(t, "queue", "drain", "--off")
	j.call(t, j.key, "demo/hello?output=void", "text/plain", "Neo", 200, `"async":"void"`)
}

func (j *journey) backUpQueue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.backup")
	var s queue.Summary
	if out := j.operate(t, "queue", "backup", file, "-o", "json"); json.Unmarshal([]byte(out), &s) != nil || s.Results < 1 || s.LaunchID != j.launchID {
		t.Errorf("backup: %s", out)
	}
	if _, err := os.Stat(file + ".part"); !os.IsNotExist(err) {
		t.Errorf("a part of the backup is left: %v", err)
	}
	j.refused(t, 2, "is there already", j.satelliteID, j.launchID, "queue", "backup", file)
	j.refused(t, 2, "give --yes", j.satelliteID, j.launchID, "queue", "restore", file)
	var r queue.Restored
	if out := j.operate(t, "queue", "restore", file, "--yes", "-o", "json"); json.Unmarshal([]byte(out), &r) != nil || r.Added != 0 || r.Skipped != s.Items {
		t.Errorf("restore where all is there: %s; want nothing added of %d", out, s.Items)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	j.refused(t, 5, "not restored", j.satelliteID, j.launchID, "queue", "restore", file, "--yes")
}
