package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/stack"
)

const (
	soakShort = time.Minute // in the test suite; make soak takes 20 minutes
	soakAway  = 15 * time.Second
	killEvery = 20 * time.Second
)

// soakFor reads how long something takes from the environment.
func soakFor(t *testing.T, name string, otherwise time.Duration) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(os.Getenv(name), otherwise.String()))
	if err != nil {
		t.Fatalf("%s is a duration such as 20m: %v", name, err)
	}
	return d
}

// TestSoak: mixed load at 80% of what the replicas can do, an engine's or an
// algorithm's pod killed every 20 s, a rolling update of both in the middle,
// and at the end the API server away. No answer is wrong; errors are 429 and
// 503 with Retry-After, or what the reference says of a call that was killed,
// and those no more than calls ran on killed pods. Each call that was stored ends
// with its result, though nodes of the queue are killed too. An engine that is killed at
// once takes its callers' connections with it, which is the ingress's 502.
func TestSoak(t *testing.T) {
	j := start(t)
	length, away := soakFor(t, "CONSTELLATION_SOAK", soakShort), soakFor(t, "CONSTELLATION_SOAK_AWAY", soakAway)
	if !t.Run("deploy", j.deployMix) {
		j.explain(t)
		t.FailNow()
	}
	l := newLoad(t.Context(), j)
	stored := newStoredCalls(t.Context(), l)
	memory := j.watchMemory(t)
	kills := &kills{hard: map[string]int{}}
	if !t.Run("kills and a rolling update", func(t *testing.T) { j.soak(t, length, kills) }) {
		j.explain(t)
	}
	l.phase(t, fmt.Sprintf("%s of kills and a rolling update", length))
	t.Run("the API server is away", func(t *testing.T) { j.apiServerAway(t, away) })
	l.phase(t, fmt.Sprintf("the API server away for %s", away))
	l.end()
	l.check(t, kills)
	stored.check(t)
	memory(t, length/3)
}

var mixReplicas = map[string]int{"mix/hello": 3, "mix/shout": 2, "mix/python": 2}

func (j *journey) deployMix(t *testing.T) {
	j.push(t)
	python, err := j.PushExample(t.Context(), "python", "neo", stack.HashA)
	if err != nil {
		t.Fatal(err)
	}
	mix := func(hello string) []stack.Route {
		return []stack.Route{
			{Vanity: "mix/hello", Algorithm: hello, Replicas: mixReplicas["mix/hello"]},
			{Vanity: "mix/shout", Algorithm: j.shout, Replicas: mixReplicas["mix/shout"]},
			{Vanity: "mix/python", Algorithm: python, Replicas: mixReplicas["mix/python"]},
		}
	}
	if j.satelliteID, err = j.CreateSatellite(t.Context(), "Soak", mix(j.hello)...); err != nil {
		t.Fatal(err)
	}
	if j.key, err = j.CreateCallerKey(t.Context(), j.satelliteID, "load"); err != nil {
		t.Fatal(err)
	}
	if j.launchID, err = j.CreateLaunch(t.Context(), j.satelliteID, 1, "soak"); err != nil {
		t.Fatal(err)
	}
	j.operate(t, "get", j.AdminKey)
	j.operate(t, append([]string{"configure", "stage.kubernetes.create_namespace=true"}, j.Configure(namespace)...)...)
	j.operate(t, "deploy")
	for _, vanity := range []string{"mix/hello", "mix/shout", "mix/python"} {
		j.call(t, j.key, vanity, "text/plain", "Neo", 200, `"result":"`)
	}
	if _, err := j.EditSatellite(t.Context(), j.satelliteID, mix(j.helloB)...); err != nil { // for the update
		t.Fatal(err)
	}
}

// kills are the pods that were ended with no time to drain. Of an algorithm,
// each may take the calls that ran on it with it; an engine takes the
// connections of the callers that it had in that moment, and no other call.
type kills struct {
	all     int
	hard    map[string]int // by algorithm
	engines []time.Time
}

// endsWithin is how long the cluster takes to end a pod at once.
const endsWithin = 2 * time.Second

// cut reports whether an engine's end can have cut a call.
func (k *kills) cut(begun, ended time.Time) bool {
	return slices.ContainsFunc(k.engines, func(at time.Time) bool {
		return begun.Before(at.Add(endsWithin)) && ended.After(at)
	})
}

// soak kills pods for a time, and updates everything half way.
func (j *journey) soak(t *testing.T, length time.Duration, k *kills) {
	begun := time.Now()
	updated := make(chan bool)
	time.AfterFunc(length/2, func() { defer close(updated); j.update(t) })
	tick := time.NewTicker(killEvery)
	defer tick.Stop()
	for time.Since(begun) < length {
		select {
		case <-t.Context().Done():
			return
		case <-tick.C:
			j.kill(t, k)
		}
	}
	select {
	case <-updated:
	case <-time.After(10 * time.Minute):
		t.Error("the rolling update does not end")
	}
}

const (
	engineName = "execution-engine"
	queueName  = "queue"
)

// victims are who is killed by turns: with their time to drain, as every
// eviction gives it, and at once, as when a node fails or the kernel needs
// memory.
var victims = []struct {
	name string // begins with
	hard bool
}{
	{engineName, false},
	{"algo-mix-hello", true},
	{queueName, true},
	{"algo-mix-python", false},
	{engineName, true},
	{"algo-mix-shout", true},
	{queueName, false},
	{"algo-mix-hello", false},
}

func (j *journey) kill(t *testing.T, k *kills) {
	victim := victims[k.all%len(victims)]
	k.all++
	pods, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Errorf("list pods: %v", err)
		return
	}
	var newest *corev1.Pod // the others show how memory grows
	for i, pod := range pods.Items {
		if strings.HasPrefix(pod.Name, victim.name) && pod.DeletionTimestamp == nil && (newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp)) {
			newest = &pods.Items[i]
		}
	}
	if newest == nil {
		t.Errorf("there is no pod of %s to kill", victim.name)
		return
	}
	var grace *int64
	if victim.hard {
		grace = new(int64)
	}
	switch {
	case victim.hard && victim.name == engineName:
		k.engines = append(k.engines, time.Now())
	case victim.name == queueName: // no call runs there
	case victim.hard:
		k.hard[strings.Replace(strings.TrimPrefix(victim.name, "algo-"), "-", "/", 1)]++
	}
	if err := j.kube.CoreV1().Pods(namespace).Delete(t.Context(), newest.Name, metav1.DeleteOptions{GracePeriodSeconds: grace}); err != nil {
		t.Errorf("kill %s: %v", newest.Name, err)
	}
	t.Logf("killed %s (at once: %v)", newest.Name, victim.hard)
}

// update deploys the next version, and then replaces the engines.
func (j *journey) update(t *testing.T) {
	version := 2
	if _, _, err := j.Client.UpdateLaunch(t.Context(), j.satelliteID, j.launchID, "", apiv1.LaunchUpdate{SatelliteVersion: &version}); err != nil {
		t.Error(err)
		return
	}
	for _, args := range [][]string{{"get", j.AdminKey}, {"deploy"}} {
		if _, err := j.Operate(t.Context(), j.satelliteID, j.launchID, args...); err != nil {
			t.Errorf("%s under load: %v", args[0], err)
		}
	}
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339))
	if _, err := j.kube.AppsV1().Deployments(namespace).Patch(t.Context(), engineName, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Errorf("restart the engines: %v", err)
	}
	t.Log("updated the algorithms, and restarts the engines")
}

// apiServerAway stops the API server, so that it neither answers nor refuses,
// and lets it go on.
func (j *journey) apiServerAway(t *testing.T, length time.Duration) {
	j.settled(t)
	dir := filepath.Join(j.Dir, "cluster")
	if err := signalAPIServer(dir, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-t.Context().Done():
	case <-time.After(length):
	}
	if err := signalAPIServer(dir, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	j.settled(t)
}

// enginesKnow reports whether every engine knows every replica: the cluster tells
// it of one some time after it says that the replica is ready.
func (j *journey) enginesKnow(ctx context.Context) bool {
	pods, err := j.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + engineName})
	if err != nil {
		return false
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil {
			continue
		}
		for algorithm, replicas := range mixReplicas {
			n, ok := metric(ctx, pod.Status.PodIP, `constellation_engine_replicas_ready{algorithm="`+algorithm+`"}`)
			if !ok || int(n) != replicas {
				return false
			}
		}
	}
	return true
}

// settled waits until every pod that is wanted is ready and known to the
// engines, and no other is left but those that drain.
func (j *journey) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := j.kube.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
		ready := err == nil && len(list.Items) >= 4
		if ready {
			for _, d := range list.Items {
				ready = ready && d.Status.ReadyReplicas == *d.Spec.Replicas && d.Status.UpdatedReplicas == *d.Spec.Replicas && d.Status.ObservedGeneration == d.Generation
			}
		}
		if ready && j.enginesKnow(ctx) {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("the pods are not ready again: %v", err)
			return
		case <-tick.C:
		}
	}
}
