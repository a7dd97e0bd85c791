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

// missing are the schedules: what a satellite that was away makes of a run that
// was due within the last minute is the same for all, since that run is not late.
var missing = []apiv1.Schedule{
	{Name: "each-skip", Cron: "* * * * *", Missed: "skip"},
	{Name: "each-once", Cron: "* * * * *", Missed: "once"},
	{Name: "third-skip", Cron: "*/3 * * * *", Missed: "skip"},
	{Name: "third-once", Cron: "*/3 * * * *", Missed: "once"},
}

func (d *durable) deploySchedules(t *testing.T) {
	d.deployPython(t)
	next := apiv1.SatelliteVersionCreate{Algorithms: []apiv1.SatelliteAlgorithm{{Algorithm: d.hello, VanityURL: slow, Replicas: slowReplicas}}}
	for _, s := range missing {
		s.VanityURL, s.Input = slow, fmt.Sprintf(`{"warn":"run %s."}`, s.Name)
		next.Schedules = append(next.Schedules, s)
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

// made returns how often each schedule's call ran.
func (d *durable) made(t *testing.T) map[string]int {
	t.Helper()
	logs, all := d.logs(t, "algo-"), map[string]int{}
	for _, s := range missing {
		all[s.Name] = strings.Count(logs, "run "+s.Name+".")
	}
	return all
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

// inThird waits until so much of the three minutes has passed after each of which
// the third schedules are due.
func inThird(passed time.Duration) {
	const round = 3 * time.Minute
	at := time.Now().Truncate(round).Add(passed)
	if at.Before(time.Now()) {
		at = at.Add(round)
	}
	time.Sleep(time.Until(at))
}

// missesRuns has the satellite away while the third schedules are due once and the
// others three times at the least. It is back when the run of the third ones is
// later than a minute, and the last one of the others is not.
func (d *durable) missesRuns(t *testing.T) {
	d.until(t, "all ran", 4*time.Minute, func() bool {
		ran := d.made(t)
		return ran["each-skip"] > 0 && ran["each-once"] > 0 && ran["third-skip"] > 0 && ran["third-once"] > 0
	})
	inThird(20 * time.Second)
	begun := time.Now()
	d.scaleEngines(t, 0)
	before := d.made(t)
	time.Sleep(time.Until(begun.Add(3 * time.Minute)))
	inThird(65 * time.Second)
	away := time.Since(begun)
	d.scaleEngines(t, 2)
	d.until(t, "the sheet tells of what was missed", 2*time.Minute, func() bool {
		at := d.told(t)
		return at["each-skip"] > 0 && at["each-once"] > 0 && at["third-skip"] > 0 && at["third-once"] > 0
	})
	first := d.told(t)
	inThird(30 * time.Second) // all were due again, and ran
	d.until(t, "a report after that", 2*time.Minute, func() bool { return time.Since(begun) > away+4*time.Minute })
	after, ran := d.told(t), d.made(t)
	for name := range ran {
		ran[name] -= before[name]
	}
	t.Logf("away for %.0f s: missed %v; then ran %v times", away.Seconds(), after, ran)
	for _, s := range missing {
		least, most := int64(3), int64(5)
		if strings.HasPrefix(s.Name, "third") {
			least, most = 1, 1
		}
		if first[s.Name] != after[s.Name] || after[s.Name] < least || after[s.Name] > most {
			t.Errorf("%s: %d missed runs are told, and %d later, want the same %d to %d", s.Name, first[s.Name], after[s.Name], least, most)
		}
	}
	if ran["third-once"] != ran["third-skip"]+1 || ran["third-skip"] == 0 {
		t.Errorf("skip ran %d times and once %d times, want one more to stand for what was missed", ran["third-skip"], ran["third-once"])
	}
	if ran["each-skip"] == 0 || ran["each-skip"] != ran["each-once"] {
		t.Errorf("of the schedules of each minute skip ran %d times and once %d times, want the same", ran["each-skip"], ran["each-once"])
	}
}
