package queue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

func TestPlanRescue(t *testing.T) {
	t.Parallel()
	whole := operate.Disk{Node: "queue-2", Complete: true, Running: true, Streams: []operate.DiskStream{
		{Name: "call", Messages: 5}, {Name: "dead", Messages: 2}, {Name: "work", Messages: 7, Last: 90, LastAt: time.Unix(1, 0)},
	}}
	stopped := operate.Disk{Node: "queue-2", Complete: true, Reason: "its disk is broken"}
	first, second := operate.Disk{Node: "queue-0"}, operate.Disk{Node: "queue-1", Rescue: "queue-2", Running: true}
	for _, test := range []struct {
		name    string
		disks   []operate.Disk
		noted   *health.Queue
		missing uint64
		says    string // why there is nothing to rescue
	}{
		{"one is left", []operate.Disk{first, second, whole}, &health.Queue{LastSeq: 97}, 7, ""},
		{"one is left, and has all", []operate.Disk{first, second, whole}, &health.Queue{LastSeq: 80}, 0, ""},
		{"nothing is noted", []operate.Disk{first, second, whole}, nil, 0, ""},
		{"two are left", []operate.Disk{first, {Node: "queue-1", Complete: true}, whole}, nil, 0, "2 of 3 nodes have what was accepted"},
		{"none is left", []operate.Disk{first, second, {Node: "queue-2"}}, nil, 0, "the queue begins anew by itself"},
		{"the one that is left does not run", []operate.Disk{first, second, stopped}, nil, 0, "does not run: its disk is broken"},
	} {
		r, err := queue.PlanRescue(test.disks, test.noted)
		if test.says != "" {
			if err == nil || fault.CodeOf(err) != fault.CodeFailed || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: PlanRescue = %v, want %q", test.name, err, test.says)
			}
			continue
		}
		if err != nil || r.From.Node != "queue-2" || strings.Join(r.Empty, " ") != "queue-0 queue-1" || r.Missing != test.missing || r.Calls().Messages != 7 || r.Records() != 7 {
			t.Errorf("%s: PlanRescue = %+v, %v", test.name, r, err)
		}
	}
}
