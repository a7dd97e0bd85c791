//go:build durability

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// TestDurabilitySchedule has a satellite away while its schedules are due.
func TestDurabilitySchedule(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{{"deploy", (*durable).deploySchedules}, {"away for some minutes", (*durable).missesRuns}})
}

var missed = []string{"skip", "once"}

func (d *durable) deploySchedules(t *testing.T) {
	d.deployPython(t)
	next := apiv1.SatelliteVersionCreate{Algorithms: []apiv1.SatelliteAlgorithm{{Algorithm: d.hello, VanityURL: slow, Replicas: slowReplicas}}}
	for _, m := range missed {
		next.Schedules = append(next.Schedules, apiv1.Schedule{Name: m, Cron: "* * * * *", VanityURL: slow, Missed: m, Input: fmt.Sprintf(`{"warn":"run %s."}`, m)})
	}
	version, err := d.Client.CreateSatelliteVersionWith(t.Context(), d.satelliteID, "", next)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Client.UpdateLaunch(t.Context(), d.satelliteID, d.launchID, "", apiv1.LaunchUpdate{SatelliteVersion: &version.Number}); err != nil {
		t.Fatal(err)
	}
	d.operate(t, "get", d.AdminKey)
	d.operate(t, "deploy")
}

// scaleEngines sets how many engines there are, and waits until it is so.
func (d *durable) scaleEngines(t *testing.T, n int32) {
	t.Helper()
	scale, err := d.kube.AppsV1().Deployments(namespace).GetScale(t.Context(), engineName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = n
	if _, err := d.kube.AppsV1().Deployments(namespace).UpdateScale(t.Context(), engineName, scale, metav1.UpdateOptions{FieldManager: "kubectl"}); err != nil {
		t.Fatal(err)
	}
	d.until(t, "the engines are as many", 2*time.Minute, func() bool { return len(d.pods(t, engineName)) == int(n) })
	d.podsReady(t, engineName, int(n))
}

// made returns how often a schedule's call ran.
func (d *durable) made(t *testing.T, name string) int {
	return strings.Count(d.logs(t, "algo-"), "run "+name+".")
}

// told returns how many runs the launch's sheet has as missed, by schedule.
func (d *durable) told(t *testing.T) map[string]int64 {
	t.Helper()
	launch, _, err := d.Client.GetLaunch(t.Context(), d.satelliteID, d.launchID)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	if launch.Report != nil {
		for _, s := range launch.Report.Schedules {
			all[s.Name] = s.Missed
		}
	}
	return all
}

func (d *durable) missesRuns(t *testing.T) {
	const away = 5 * time.Minute
	d.until(t, "both ran", 3*time.Minute, func() bool { return d.made(t, "skip") > 0 && d.made(t, "once") > 0 })
	d.scaleEngines(t, 0)
	before, begun := map[string]int{}, time.Now()
	for _, m := range missed {
		before[m] = d.made(t, m)
	}
	time.Sleep(away)
	d.scaleEngines(t, 2)
	d.until(t, "the sheet tells of what was missed", 3*time.Minute, func() bool { at := d.told(t); return at["skip"] > 0 && at["once"] > 0 })
	first := d.told(t)
	d.until(t, "both run again", 3*time.Minute, func() bool { return d.made(t, "skip") > before["skip"] && d.made(t, "once") > before["once"]+1 })
	d.until(t, "a report after that", 2*time.Minute, func() bool { return time.Since(begun) > away+2*time.Minute })
	after := d.told(t)
	skip, once := d.made(t, "skip")-before["skip"], d.made(t, "once")-before["once"]
	t.Logf("away for %v: missed %v; then skip ran %d times and once %d times", away, after, skip, once)
	for _, m := range missed {
		if first[m] != after[m] || after[m] < 3 || after[m] > 5 {
			t.Errorf("%s: %d missed runs are told, and %d later", m, first[m], after[m])
		}
	}
	if once != skip+1 {
		t.Errorf("skip ran %d times and once %d times, want one more to stand for what was missed", skip, once)
	}
}
