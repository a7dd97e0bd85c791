package engine

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	apps "k8s.io/client-go/kubernetes/typed/apps/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// scaledDeployment makes the Deployment of foo/bar, without replicas, on a real
// API server, and returns the route and the Deployments.
func scaledDeployment(t *testing.T, kubeconfig string) (config.Route, apps.DeploymentInterface) {
	t.Helper()
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	route := lsRoute("foo/bar")
	route.Service, route.Port, route.Deployment = "algo-foo-bar", 9999, "algo-foo-bar"
	route.Replicas, route.MinReplicas, route.MaxReplicas = 1, new(0), 3
	route.Queue.Limit = 100
	labels := map[string]string{"app": route.Deployment}
	deployments := cluster.AppsV1().Deployments("default")
	_, err = deployments.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: route.Deployment},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "algorithm", Image: "example.invalid/x"}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return route, deployments
}

// Calls that come to two engines where there is no replica wait, have one asked
// for though neither engine decides, and are all answered once it is there.
func TestCallsWaitForTheFirstReplica(t *testing.T) {
	kubeconfig := kubetest.StartAPIServer(t)
	route, deployments := scaledDeployment(t, kubeconfig)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	listeners := []string{}
	first, second := listenTest(t), listenTest(t)
	listeners = append(listeners, first.Addr().String(), second.Addr().String())
	opts := Options{Kubeconfig: kubeconfig, Peers: listeners, TokenFile: token}
	routes := config.Routes{Algorithms: []config.Route{route}}
	engines := []*testEngine{startEngineOn(t, first, opts, routes), startEngineOn(t, second, opts, routes)}
	linked(t, 1, engines...)
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			body := fmt.Sprint("call ", i)
			if got := engines[i%2].do(request{body: body}); got.status != http.StatusOK || !strings.Contains(got.body, body) {
				t.Errorf("call = %d %s, want %q", got.status, got.body, body)
			}
		})
	}
	eventually(t, "a replica is asked for", func() bool {
		d, err := deployments.Get(t.Context(), route.Deployment, metav1.GetOptions{})
		return err == nil && *d.Spec.Replicas > 0
	})
	eventually(t, "all calls wait", func() bool {
		return engines[0].Totals().Algorithms[0].Queued == 50
	})
	d, err := deployments.Get(t.Context(), route.Deployment, metav1.GetOptions{})
	if err != nil || *d.Spec.Replicas > 3 {
		t.Errorf("%d replicas are asked for, %v; want 3 at most", *d.Spec.Replicas, err)
	}
	ready, replica := time.Now(), newStrict(t, nil)
	for _, e := range engines { // as the cluster's endpoints say it
		e.table.Load().ByVanityURL["foo/bar"].Pool.SetReplicas([]string{replica.addr})
	}
	calls.Wait()
	t.Logf("50 calls were answered %v after the replica was ready", time.Since(ready))
}

// A call that waits in vain says why: what the cluster refuses is told with 503
// when its time is over, and in the satellite's status.
func TestACallThatWaitsInVainSaysWhy(t *testing.T) {
	kubeconfig := kubetest.StartAPIServer(t)
	route, deployments := scaledDeployment(t, kubeconfig)
	e := startEngineWith(t, Options{Kubeconfig: kubeconfig}, config.Routes{Algorithms: []config.Route{route}})
	call := request{path: "/v1/algo/foo/bar?timeout=1"}
	if got := e.do(call); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "no replica of foo/bar is ready") {
		t.Errorf("call = %d %s, want 503 once its time is over", got.status, got.body)
	}
	eventually(t, "a replica is asked for", func() bool {
		d, err := deployments.Get(t.Context(), route.Deployment, metav1.GetOptions{})
		if err != nil {
			return false
		}
		if *d.Spec.Replicas == 0 { // the call was over before the engine had found its Deployment
			e.do(call)
			return false
		}
		d.Status.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota: small",
		}}
		_, err = deployments.UpdateStatus(t.Context(), d, metav1.UpdateOptions{})
		return err == nil
	})
	const why = "the cluster refuses pods: exceeded quota: small"
	eventually(t, "the call says why", func() bool {
		got := e.do(call)
		return got.status == http.StatusServiceUnavailable && strings.Contains(got.body, why)
	})
	status := e.do(request{method: http.MethodGet, path: "/v1/status"})
	if !strings.Contains(status.body, why) || !strings.Contains(status.body, `"max":3`) {
		t.Errorf("status = %s, want %q", status.body, why)
	}
	if got := e.Report().Algorithms[0]; got.Reason != why || got.Desired == nil || *got.Desired == 0 || got.MaxReplicas != 3 {
		t.Errorf("the heartbeat has %+v, want %q", got, why)
	}
	if got := e.metric(`constellation_engine_scaling_held_back{algorithm="foo/bar"}`); got != "1" {
		t.Errorf("held back = %q, want 1", got)
	}
}

// Durable calls have replicas asked for, too: the first at once, as many as the
// backlog needs within the bounds then; and each has its result.
func TestDurableCallsAskForReplicas(t *testing.T) {
	kubeconfig := kubetest.StartAPIServer(t)
	route, deployments := scaledDeployment(t, kubeconfig)
	e := startDurable(t, Options{Kubeconfig: kubeconfig}, route)
	var ids []string
	for i := range 20 {
		ids = append(ids, e.void(request{body: fmt.Sprint("call ", i)}))
	}
	eventually(t, "the backlog has the most replicas", func() bool {
		d, err := deployments.Get(t.Context(), route.Deployment, metav1.GetOptions{})
		if err == nil && *d.Spec.Replicas > 3 {
			t.Fatalf("%d replicas are asked for, want 3 at most", *d.Spec.Replicas)
		}
		return err == nil && *d.Spec.Replicas == 3
	})
	e.table.Load().ByVanityURL["foo/bar"].Pool.SetReplicas([]string{newStrict(t, nil).addr})
	for i, id := range ids {
		if got := e.ended(id); got["state"] != "succeeded" {
			t.Errorf("call %d = %v, want its result", i, got)
		}
	}
}
