package rollout_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// noAnswers are what comes in place of a server's answer.
var noAnswers = map[string]kubetest.Fault{
	"refused":      kubetest.Refused,
	"lost":         kubetest.Lost,
	"cut":          kubetest.Cut,
	"cut quietly":  kubetest.CutQuietly,
	"a page":       kubetest.Page,
	"busy":         kubetest.Status(http.StatusTooManyRequests, 0, "the server has received too many requests and has asked us to try again later"),
	"no leader":    kubetest.Status(http.StatusInternalServerError, 0, "etcdserver: leader changed"),
	"slow webhook": kubetest.Status(http.StatusInternalServerError, 0, `Internal error occurred: failed calling webhook "x": context deadline exceeded`),
	"unavailable":  kubetest.Status(http.StatusServiceUnavailable, 0, "apiserver is shutting down"),
}

// Whatever comes in place of an answer, at every request of every verb, each
// of them ends as it does without.
func TestEveryRequestIsRetried(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		for name, fault := range noAnswers {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				broken := launchtest.NewSpace(t, strings.Split(t.Name(), "/")[1])
				proxy := kubetest.NewProxy(t, broken.Kubeconfig)
				proxy.Befall(kubetest.EachTwice(fault))
				throughAllVerbs(t, broken, proxy)
			})
		}
	})
}

func throughAllVerbs(t *testing.T, s *launchtest.Space, proxy *kubetest.Proxy) {
	t.Helper()
	p := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{Budget: time.Minute, Report: t.Logf})
	p.OwnerPoll = 20 * time.Millisecond
	defer s.Controller(t)()
	for _, c := range launchtest.Preflight(t, p.Cluster, launchtest.Input()) {
		if strings.Contains(c.Message, cluster.ErrUnreachable.Error()) {
			t.Errorf("preflight: %+v", c)
		}
	}
	for version, in := range []render.Input{launchtest.Input(), launchtest.Edited()} {
		if _, err := p.RolloutOf(t, in).Run(t.Context()); err != nil {
			t.Fatalf("deploy version %d: %v", version+1, err)
		}
		s.WantComplete(t, version+1)
	}
	inventory, err := apply.ReadInventory(t.Context(), p.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	r := p.RolloutOf(t, launchtest.Input())
	if r.Objects, err = apply.LoadVersion(t.Context(), p.Cluster, r.Plan, inventory, 1); err != nil {
		t.Fatalf("read version 1: %v", err)
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatalf("roll back: %v", err)
	}
	s.WantComplete(t, 1)
	deployments, err := health.Deployments(t.Context(), p.Cluster, r.Plan.Launch.ID, nil)
	if err != nil || len(deployments) != 3 {
		t.Errorf("Health = %+v, %v; want three Deployments", deployments, err)
	}
	_, errRouted := health.RoutedVersion(t.Context(), p.Cluster)
	_, errHeartbeat := health.LastHeartbeat(t.Context(), p.Cluster)
	if err := errors.Join(errRouted, errHeartbeat); err != nil {
		t.Errorf("status: %v", err)
	}
	if inventory, err = apply.ReadInventory(t.Context(), p.Cluster); err != nil || inventory.Installed != 1 || inventory.RolloutID != "" {
		t.Fatalf("Inventory = %+v, %v; want version 1 installed and nothing running", inventory, err)
	}
	owned, err := apply.Owned(t.Context(), p.Cluster, inventory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Remove(t.Context(), owned); err != nil {
		t.Fatalf("remove: %v", err)
	}
	if left, err := apply.ReadInventory(t.Context(), s.Cluster); err != nil || left != nil {
		t.Errorf("after the removal the inventory is %+v, %v", left, err)
	}
}

// When the retry budget is spent, the error is no refusal, and says what came.
func TestNoAnswerIsNoRefusal(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		for name, fault := range noAnswers {
			proxy := kubetest.NewProxy(t, s.Kubeconfig)
			var mu sync.Mutex
			said := 0
			p := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{Budget: time.Second, Report: func(string, ...any) { mu.Lock(); said++; mu.Unlock() }})
			proxy.Befall(func(int, *http.Request) kubetest.Fault { return fault })
			_, err := p.RolloutOf(t, launchtest.Input()).Run(t.Context())
			var status apierrors.APIStatus
			if !errors.Is(err, cluster.ErrUnreachable) || errors.As(err, &status) {
				t.Errorf("%s: Rollout = %v, want an ErrUnreachable and no status", name, err)
			}
			if strings.Contains(err.Error(), "refuse") && name != "refused" {
				t.Errorf("%s: Rollout = %v, which reads as a refusal", name, err)
			}
			if mu.Lock(); said > 1 {
				t.Errorf("%s: one outage was told %d times", name, said)
			}
			mu.Unlock()
		}
	})
}
