package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
)

// A deploy with nothing to change only reads.
func TestRolloutWithNothingToChangeWritesNothing(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		proxy := kubetest.NewProxy(t, s.Kubeconfig)
		p := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{})
		p.MustDeploy(t, launchtest.Input())
		if len(proxy.Writes()) == 0 {
			t.Fatal("the proxy saw no write of the first rollout")
		}
		proxy.Away(nil)
		in := launchtest.Input()
		in.Plan.Satellite.Name = "edge" // as it is
		p.MustDeploy(t, in)
		if problems := preflight.Problems(launchtest.Preflight(t, p.Cluster, in)); len(problems) > 1 { // there is no ingress class
			t.Errorf("problems: %+v", problems)
		}
		if writes := proxy.Writes(); len(writes) > 0 {
			t.Errorf("a rollout with nothing to change wrote:\n%s", strings.Join(writes, "\n"))
		}
	})
}

// An API server that goes away in the middle of a deploy and comes back is
// waited for.
func TestRolloutOutlivesTheServer(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		proxy := kubetest.NewProxy(t, s.Kubeconfig)
		var mu sync.Mutex
		var said []string
		p := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{Budget: time.Minute, Report: func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, fmt.Sprintf(format, args...))
		}})
		told := func() string {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(said, "\n")
		}
		writes, refused := 0, 0
		proxy.Away(func(_ int, r *http.Request) bool { // from the third write on, until the operator is told
			if kubetest.IsWrite(r) {
				writes++
			}
			if writes < 3 || told() != "" {
				return false
			}
			refused++
			return true
		})
		p.MustDeploy(t, launchtest.Input())
		if text := told(); refused == 0 || !strings.Contains(text, "trying again for up to 1m0s") || !strings.Contains(text, "answers again") {
			t.Errorf("with %d requests refused the operator was told %q", refused, text)
		}
		s.WantComplete(t, 1)
	})
}

// Rights that are taken away in the middle leave the version before serving,
// and the message says which.
func TestRolloutWithoutRightsInTheMiddle(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "installer"}, Rules: preflight.Rules(s.APIs, true, true)}
		binding := &rbacv1.RoleBinding{ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "powerless", Namespace: s.Namespace}}}
		if _, err := s.Admin.RbacV1().Roles(s.Namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		bind := func() {
			if _, err := s.Admin.RbacV1().RoleBindings(s.Namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		bind()
		p := s.Through(t, s.As(t, "powerless", nil), cluster.RetryPolicy{})
		in := launchtest.Input()
		s.Eventually(t, "the role holds", func() bool { return launchtest.ProblemOf(launchtest.Preflight(t, p.Cluster, in), "permissions") == "" })
		p.MustDeploy(t, in) // these rights are enough
		defer s.Controller(t)()
		r := p.RolloutOf(t, launchtest.Edited())
		var first sync.Once
		launchtest.ObserverOf(r).OnChanged = func(apply.Change) {
			first.Do(func() {
				_ = s.Admin.RbacV1().RoleBindings(s.Namespace).Delete(t.Context(), binding.Name, metav1.DeleteOptions{})
				s.Eventually(t, "the role is gone", func() bool {
					_, err := apply.ReadInventory(t.Context(), p.Cluster)
					return err != nil
				})
			})
		}
		_, err := r.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "forbidden") || !strings.Contains(err.Error(), "version 1 keeps serving") {
			t.Fatalf("Rollout = %v, want what is forbidden and what serves", err)
		}
		s.WantComplete(t, 1)
		bind()
		s.Eventually(t, "the role holds again", func() bool { _, err := apply.ReadInventory(t.Context(), p.Cluster); return err == nil })
		launchtest.ObserverOf(r).OnChanged = nil
		s.Eventually(t, "the next rollout is through", func() bool {
			_, err := r.Run(t.Context())
			return err == nil
		})
		s.WantComplete(t, 2)
	})
}

// Ended at every request that it makes, a deploy leaves one whole version in
// the routes, and the next one brings the same end.
func TestRolloutEndedAtEveryStep(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		proxy := kubetest.NewProxy(t, s.Kubeconfig)
		p := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{})
		p.OwnerPoll, s.OwnerPoll = 20*time.Millisecond, 20*time.Millisecond // nobody else is there
		defer s.Controller(t)()
		versions := []render.Input{launchtest.Input(), launchtest.Edited()}
		p.MustDeploy(t, versions[0])
		for ended := 1; ; ended++ {
			in := versions[ended%2]
			ctx, cancel := context.WithCancel(t.Context())
			writes := 0
			proxy.Away(func(_ int, r *http.Request) bool {
				if kubetest.IsWrite(r) && !strings.Contains(r.URL.RawQuery, "dryRun") {
					writes++
				}
				if writes >= ended {
					cancel() // as kill -9: this request comes through, those in flight may
				}
				return writes > ended
			})
			_, err := p.RolloutOf(t, in).Run(ctx)
			cancel()
			proxy.Settle()
			s.WantComplete(t, s.RoutedVersion(t))
			if _, err := s.RolloutOf(t, in).Run(t.Context()); err != nil {
				t.Fatalf("ended at write %d, then again: %v", ended, err)
			}
			s.WantComplete(t, in.Plan.Satellite.Version)
			if err == nil {
				t.Logf("%d writes", ended-1)
				return
			}
		}
	})
}

// A rollout during which another one begins, from another machine, stops and
// names it; the other one's end is whole.
func TestRolloutSuperseded(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		defer s.Controller(t)()
		s.MustDeploy(t, launchtest.Input())
		r := s.RolloutOf(t, launchtest.Edited())
		var first sync.Once
		launchtest.ObserverOf(r).OnChanged = func(apply.Change) {
			first.Do(func() {
				if _, err := s.RolloutOf(t, launchtest.Input()).Run(t.Context()); err != nil {
					t.Errorf("the other rollout: %v", err)
				}
			})
		}
		_, err := r.Run(t.Context())
		var superseded *rollout.SupersededError
		if !errors.As(err, &superseded) {
			t.Fatalf("Rollout = %v, want an SupersededError", err)
		}
		s.WantComplete(t, 1)
		launchtest.ObserverOf(r).OnChanged = nil
		s.Eventually(t, "the next rollout is through", func() bool {
			_, err := r.Run(t.Context())
			return err == nil
		})
		s.WantComplete(t, 2)
	})
}

// Of two first rollouts at once, from two machines, the later one knows what
// the earlier one makes.
func TestTwoFirstRollouts(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		proxy := kubetest.NewProxy(t, s.Kubeconfig)
		p := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{})
		defer s.Controller(t)()
		var other sync.Once
		proxy.Away(func(_ int, r *http.Request) bool {
			if kubetest.IsWrite(r) && !strings.Contains(r.URL.RawQuery, "dryRun") {
				other.Do(func() { s.MustDeploy(t, launchtest.Input()) })
			}
			return false
		})
		p.MustDeploy(t, launchtest.Edited())
		s.WantComplete(t, 2)
		list, err := s.Admin.AppsV1().Deployments(s.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		inventory, err := apply.ReadInventory(t.Context(), s.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list.Items {
			if !slices.ContainsFunc(inventory.Objects, func(o apply.Object) bool { return o.Kind == "Deployment" && o.Name == d.Name }) {
				t.Errorf("Deployment/%s is in no inventory", d.Name)
			}
		}
	})
}
