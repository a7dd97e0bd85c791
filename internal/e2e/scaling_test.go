package e2e

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/stack"
)

// TestScaling lets an algorithm's replicas follow its load in a real cluster: from
// none, up, held back by a quota, past a hand, and down again.
func TestScaling(t *testing.T) {
	j := start(t)
	j.walk(t, []step{
		{"deploy without a replica", (*journey).deployScaled},
		{"calls wait for the first replica", (*journey).fromZero},
		{"a load is followed", (*journey).followsLoad},
		{"a count set by hand is taken over", (*journey).overHand},
		{"a deploy leaves the count", (*journey).deployLeavesCount},
		{"a quota is told as the reason", (*journey).heldBack},
		{"replicas come back", (*journey).comesBack},
	})
}

func (j *journey) deployScaled(t *testing.T) {
	var err error
	if j.hello, err = j.PushExample(t.Context(), "python", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	j.deployNew(t, "Scaled", nil, []string{"stage.resources.pipe/python.memory=96Mi", "stage.resources.pipe/python.cpu=250m"},
		stack.Route{Vanity: "pipe/python", Algorithm: j.hello, Least: new(0), Most: 3})
	if d := j.scaledDeployment(t); *d.Spec.Replicas != 0 {
		t.Errorf("%d replicas after the deploy, want none", *d.Spec.Replicas)
	}
}

func (j *journey) scaledDeployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	list, err := j.kube.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range list.Items {
		if d.Annotations[render.AnnotationVanityURL] == "pipe/python" {
			return &list.Items[i]
		}
	}
	t.Fatal("the algorithm has no Deployment")
	return nil
}

// scaledUntil waits until the Deployment is as it is wanted.
func (j *journey) scaledUntil(t *testing.T, within time.Duration, what string, done func(*appsv1.Deployment) bool) {
	t.Helper()
	begun := time.Now()
	for {
		d := j.scaledDeployment(t)
		if *d.Spec.Replicas > 3 {
			t.Fatalf("%d replicas are asked for, want 3 at most", *d.Spec.Replicas)
		}
		if done(d) {
			t.Logf("%s after %.1f s", what, time.Since(begun).Seconds())
			return
		}
		if time.Since(begun) > within {
			_, status, err := j.Call(t.Context(), j.key, "pipe/python", "text/plain", "why")
			t.Fatalf("not within %v: %s; %d replicas are asked for, %d ready; a call: %s %v", within, what, *d.Spec.Replicas, d.Status.ReadyReplicas, status, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// fromZero: fifty calls at once, through both engines, are all answered.
func (j *journey) fromZero(t *testing.T) {
	begun := time.Now()
	var first atomic.Int64
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			j.call(t, j.key, "pipe/python", "text/plain", fmt.Sprint("call ", i), 200, fmt.Sprintf("Hello call %d", i))
			first.CompareAndSwap(0, int64(time.Since(begun)))
		})
	}
	calls.Wait()
	t.Logf("from none, the first of 50 calls was answered after %v, the last after %v", time.Duration(first.Load()), time.Since(begun))
}

// load makes three calls at once, each of a second, until it is stopped.
func (j *journey) load(t *testing.T) (stop func()) {
	t.Helper()
	var over atomic.Bool
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for !over.Load() {
				if status, answer, err := j.Call(t.Context(), j.key, "pipe/python", "application/json", `{"sleep":1}`); err != nil || status != 200 {
					t.Errorf("call = %d %s, %v", status, answer, err)
					return
				}
			}
		})
	}
	return func() { over.Store(true); callers.Wait() }
}

func (j *journey) followsLoad(t *testing.T) {
	stop := j.load(t)
	defer stop()
	j.scaledUntil(t, 2*time.Minute, "three replicas take calls", func(d *appsv1.Deployment) bool { return d.Status.ReadyReplicas == 3 })
}

func (j *journey) overHand(t *testing.T) {
	stop := j.load(t)
	defer stop()
	deployments, name := j.kube.AppsV1().Deployments(namespace), j.scaledDeployment(t).Name
	scale, err := deployments.GetScale(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 1
	if _, err := deployments.UpdateScale(t.Context(), name, scale, metav1.UpdateOptions{FieldManager: "kubectl"}); err != nil {
		t.Fatal(err)
	}
	j.scaledUntil(t, time.Minute, "three replicas are asked for again", func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 3 })
}

func (j *journey) deployLeavesCount(t *testing.T) {
	stop := j.load(t) // or the engines would take replicas away meanwhile
	defer stop()
	before := *j.scaledDeployment(t).Spec.Replicas
	j.operate(t, "deploy")
	if after := *j.scaledDeployment(t).Spec.Replicas; before == 0 || after != before {
		t.Errorf("%d replicas after a deploy, want the %d of before", after, before)
	}
}

// heldBack: the quota leaves room for what there is; a pod that ends is not
// replaced.
func (j *journey) heldBack(t *testing.T) {
	quotas := j.kube.CoreV1().ResourceQuotas(namespace)
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}},
	}
	if _, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pods, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + j.scaledDeployment(t).Name})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("the algorithm's pods: %v, %v", pods, err)
	}
	if err := j.kube.CoreV1().Pods(namespace).Delete(t.Context(), pods.Items[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	stop := j.load(t)
	defer stop()
	j.launchUntil(t, 2*time.Minute, "held back by a quota", func(l *apiv1.LaunchDetail) bool {
		return l.Report != nil && len(l.Report.Algorithms) == 1 && strings.Contains(l.Report.Algorithms[0].Reason, "exceeded quota: small")
	})
	if err := quotas.Delete(t.Context(), "small", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (j *journey) comesBack(t *testing.T) {
	j.scaledUntil(t, 3*time.Minute, "fewer replicas than under load", func(d *appsv1.Deployment) bool { return *d.Spec.Replicas < 3 })
	j.call(t, j.key, "pipe/python", "text/plain", "Neo", 200, "Hello Neo")
}
