//go:build durability

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// TestDurabilityLoss wipes all disks of the queue at once.
func TestDurabilityLoss(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{{"deploy", (*durable).deployPython}, {"all disks are wiped", (*durable).allDisks}})
}

// allDisks loses everything: how much is told in every place.
func (d *durable) allDisks(t *testing.T) {
	const calls = 60
	d.acceptMany(t, "gone", calls, 3600)
	d.until(t, "the calls wait", time.Minute, func() bool { s := d.queueStatus(t); return s.Waiting+s.Running == calls })
	d.wipe(t, queueNames...)
	d.nodesReady(t, 3)
	d.until(t, "the loss is told", 2*time.Minute, func() bool {
		// It ends with an error as long as the queue takes no calls.
		out, _ := d.Operate(t.Context(), d.satelliteID, d.launchID, "queue", "status", "-o", "json")
		var s operate.Status
		return json.Unmarshal([]byte(out), &s) == nil && s.State == operate.StateOK && s.LostCalls() > 0
	})
	d.lost(t, calls)
	for _, pod := range d.pods(t, engineName) {
		d.until(t, "the metric has it", time.Minute, func() bool {
			n, ok := metric(t.Context(), pod.Status.PodIP, "constellation_queue_lost_calls_total")
			return ok && n == calls
		})
	}
	if out := d.operate(t, "status"); !strings.Contains(out, fmt.Sprint(calls)) || !strings.Contains(out, "lost") {
		t.Errorf("status does not tell of the loss: %s", out)
	}
	d.launchUntil(t, 2*time.Minute, "the heartbeat tells of the loss", func(l *apiv1.LaunchDetail) bool {
		return l.Report != nil && l.Report.Queue != nil && len(l.Report.Queue.Lost) == 1 && l.Report.Queue.Lost[0].Calls == calls
	})
}
