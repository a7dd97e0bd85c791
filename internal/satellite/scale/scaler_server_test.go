package scale

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

const deployment = "algo-foo-bar"

// satellite is a Deployment on a real API server, and what its algorithm carries.
// Nothing runs its pods.
type satellite struct {
	t      *testing.T
	client *kubernetes.Clientset
	config *rest.Config

	mu      sync.Mutex
	targets []Target
	load    Load
	now     time.Time
}

func (s *satellite) Targets() []Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targets
}

func (s *satellite) Loads() map[string]Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]Load{"foo/bar": s.load}
}

func (s *satellite) carry(l Load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load = l
}

func (s *satellite) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// pass lets a second pass, and the scaler decide.
func (s *satellite) pass(sc *Scaler) {
	s.mu.Lock()
	s.now = s.now.Add(time.Second)
	s.mu.Unlock()
	sc.tick(s.t.Context())
	sc.work.Wait()
}

// replicas returns how many the Deployment asks for.
func (s *satellite) replicas() int {
	d, err := s.client.AppsV1().Deployments("default").Get(s.t.Context(), deployment, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return int(*d.Spec.Replicas)
}

// awaitReplica waits until a replica is asked for.
func (s *satellite) awaitReplica() {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); s.replicas() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("no replica is asked for")
		}
	}
}

// byHand scales as kubectl does.
func (s *satellite) byHand(n int32) {
	scale, err := s.client.AppsV1().Deployments("default").GetScale(s.t.Context(), deployment, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	scale.Spec.Replicas = n
	if _, err := s.client.AppsV1().Deployments("default").UpdateScale(s.t.Context(), deployment, scale, metav1.UpdateOptions{FieldManager: "kubectl"}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *satellite) scaler(holds bool, c *rest.Config) *Scaler {
	s.t.Helper()
	deployments, err := NewCluster(c, "default")
	if err != nil {
		s.t.Fatal(err)
	}
	return New(Options{
		Source: s, Deployments: deployments, HoldsLease: func() bool { return holds }, Now: s.clock,
		Log: slog.New(slog.DiscardHandler), Policy: Policy{Idle: time.Minute},
	})
}

func newSatellite(t *testing.T, replicas int32, target Target) *satellite {
	t.Helper()
	c, err := clientcmd.BuildConfigFromFlags("", kubetest.StartAPIServer(t))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"app": deployment}
	_, err = client.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: deployment},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "algorithm", Image: "example.invalid/x"}}},
			},
		},
	}, metav1.CreateOptions{FieldManager: "algo-install"})
	if err != nil {
		t.Fatal(err)
	}
	target.VanityURL, target.Deployment = "foo/bar", deployment
	return &satellite{t: t, client: client, config: c, targets: []Target{target}, now: simStart}
}

// The scale subresource of a real Deployment follows the load, comes back, and is
// taken over from a hand.
func TestScalerSetsTheDeployment(t *testing.T) {
	s := newSatellite(t, 1, Target{Min: 1, Max: 6, Concurrency: 2})
	sc := s.scaler(true, s.config)
	s.carry(Load{Calls: 2, Ready: 1})
	for range 3 {
		s.pass(sc)
	}
	if got := s.replicas(); got != 1 {
		t.Fatalf("%d replicas, want 1", got)
	}
	s.carry(Load{Calls: 100, Ready: 1})
	for range 20 {
		s.pass(sc)
	}
	if got := s.replicas(); got != 6 {
		t.Errorf("%d replicas under load, want 6", got)
	}
	d, err := s.client.AppsV1().Deployments("default").Get(t.Context(), deployment, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if by := fieldOwner(d); by != config.ScaleManager {
		t.Errorf("the replicas are set by %q, want %q", by, config.ScaleManager)
	}

	s.byHand(2)
	for range 15 {
		s.pass(sc)
	}
	if got := s.replicas(); got != 6 {
		t.Errorf("%d replicas after a hand set 2, want 6", got)
	}
	if state := sc.State("foo/bar"); state == nil || !strings.Contains(state.Manual, "kubectl set 2 replicas") {
		t.Errorf("state = %+v, want it to say who set the replicas", state)
	}

	s.carry(Load{Ready: 6})
	for range 150 {
		s.pass(sc)
	}
	if got := s.replicas(); got != 1 {
		t.Errorf("%d replicas after the load, want 1", got)
	}
}

// A call that waits where there is no replica has one asked for by the engine that
// it waits at, which does not decide; the one that decides leaves it.
func TestWakeFromZero(t *testing.T) {
	s := newSatellite(t, 0, Target{Min: 0, Max: 3, Concurrency: 1})
	decides, other := s.scaler(true, s.config), s.scaler(false, s.config)
	for range 100 {
		s.pass(decides)
		s.pass(other)
	}
	if got := s.replicas(); got != 0 {
		t.Fatalf("%d replicas without calls, want 0", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	other.mu.Lock()
	other.life = ctx // as in Run, without its clock
	other.mu.Unlock()
	s.carry(Load{Calls: 1, Waiting: 1})
	other.Wake("foo/bar")
	other.Wake("foo/bar")
	other.Wake("nobody/knows")
	s.awaitReplica()
	stop()
	other.stop()
	s.carry(Load{}) // the caller left, and the other engine heard nothing of it
	for range 30 {
		s.pass(decides)
	}
	if got := s.replicas(); got != 1 {
		t.Errorf("%d replicas, want the one that was asked for", got)
	}
	if state := decides.State("foo/bar"); state.Manual != "" {
		t.Errorf("state = %+v: an engine's own count is no hand", state)
	}
	for range 60 {
		s.pass(decides)
	}
	if got := s.replicas(); got != 0 {
		t.Errorf("%d replicas after the idle time, want 0", got)
	}
}

// A call may come before the scaler knows its algorithm, and is then found by the
// scaler's first look, in an engine that does not decide too.
func TestWakeBeforeTheFirstLook(t *testing.T) {
	s := newSatellite(t, 0, Target{Min: 0, Max: 3, Concurrency: 1})
	other := s.scaler(false, s.config)
	s.carry(Load{Calls: 1, Waiting: 1})
	other.Wake("foo/bar")
	ctx, stop := context.WithCancel(t.Context())
	other.mu.Lock()
	other.life = ctx // as in Run, without its clock
	other.mu.Unlock()
	other.tick(ctx)
	s.awaitReplica()
	stop()
	other.stop()
}

// What the cluster refuses is told, from the Deployment or from its pods; so is an
// API server that is away, and that is tried again.
func TestScalerSaysWhyReplicasDoNotCome(t *testing.T) {
	s := newSatellite(t, 1, Target{Min: 1, Max: 4, Concurrency: 1})
	var away atomic.Bool
	sc := s.scaler(true, gate(t, s.config, &away))
	s.carry(Load{Calls: 4, Ready: 1})
	for range 20 {
		s.pass(sc)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "nobody"}}
	if _, err := s.client.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pods := s.client.CoreV1().Pods("default")
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{"app": deployment}},
		Spec:       corev1.PodSpec{ServiceAccountName: "nobody", Containers: []corev1.Container{{Name: "algorithm", Image: "example.invalid/x"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reason := func() string {
		for range 12 {
			s.pass(sc)
		}
		return sc.State("foo/bar").Reason
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available: 3 Insufficient cpu."}}
	if pod, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := reason(), "no node has room for a replica: 0/3 nodes are available: 3 Insufficient cpu."; got != want {
		t.Errorf("reason = %q, want %q", got, want)
	}
	pod.Status.Conditions = nil
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "algorithm", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}}}
	if _, err := pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := reason(), "a replica does not start: ImagePullBackOff: no such image"; got != want {
		t.Errorf("reason = %q, want %q", got, want)
	}
	d, err := s.client.AppsV1().Deployments("default").Get(t.Context(), deployment, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota: small",
	}}
	if _, err := s.client.AppsV1().Deployments("default").UpdateStatus(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := reason(), "the cluster refuses pods: exceeded quota: small"; got != want {
		t.Errorf("reason = %q, want %q", got, want)
	}
	away.Store(true)
	if got := reason(); !strings.Contains(got, "cannot be scaled") {
		t.Errorf("reason = %q, want that the API server is away", got)
	}
	away.Store(false)
	s.carry(Load{Calls: 4, Ready: 4})
	for range 40 {
		s.pass(sc)
	}
	if got := sc.State("foo/bar"); got.Reason != "" || got.Desired != 4 {
		t.Errorf("state = %+v once all is well, want no reason", got)
	}
}

// A write names the version that it changes: of two, the second is refused.
func TestSetRefusesAnOlderVersion(t *testing.T) {
	s := newSatellite(t, 1, Target{Min: 1, Max: 9, Concurrency: 1})
	c, err := NewCluster(s.config, "default")
	if err != nil {
		t.Fatal(err)
	}
	read, err := c.Read(t.Context(), deployment)
	if err != nil || read.Replicas != 1 || read.SetBy != "algo-install" {
		t.Fatalf("Read = %+v, %v", read, err)
	}
	if err := c.Set(t.Context(), read, 2); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), read, 3); !errors.Is(err, ErrChanged) {
		t.Errorf("Set over an older version = %v, want %v", err, ErrChanged)
	}
	if _, err := c.Read(t.Context(), "nothing"); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("Read of what is not there = %v", err)
	}
}

// gate returns the way to an API server that can be cut.
func gate(t *testing.T, c *rest.Config, away *atomic.Bool) *rest.Config {
	t.Helper()
	way, err := rest.TransportFor(c)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(c.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = way
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}
