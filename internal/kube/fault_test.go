package kube_test

import (
	"context"
	"encoding/json"
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

	"github.com/constellation-serving/constellation/internal/kube"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// edited is the next version: one algorithm has another image, the other fewer
// replicas.
func edited() kube.Input {
	in := testInput()
	in.Plan.Satellite.Version = 2
	in.Plan.Algorithms[0].Replicas = 1
	in.Plan.Algorithms[1].Image.Digest = digest("a")
	return in
}

func (s *space) through(t *testing.T, kubeconfig string, patience kube.Patience) *space {
	t.Helper()
	cluster, err := kube.Connect(t.Context(), kubeconfig, "", s.namespace, patience)
	if err != nil {
		t.Fatal(err)
	}
	copied := *s
	copied.Cluster = cluster
	return &copied
}

// A deploy with nothing to change only reads.
func TestRolloutWithNothingToChangeWritesNothing(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		proxy := kubetest.NewProxy(t, s.kubeconfig)
		p := s.through(t, proxy.Kubeconfig, kube.Patience{})
		p.mustRollout(t, testInput())
		if len(proxy.Writes()) == 0 {
			t.Fatal("the proxy saw no write of the first rollout")
		}
		proxy.Away(nil)
		in := testInput()
		in.Plan.Satellite.Name = "edge" // as it is
		p.mustRollout(t, in)
		if problems := kube.Problems(preflight(t, p.Cluster, in)); len(problems) > 1 { // there is no ingress class
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
	eachServer(t, func(t *testing.T, s *space) {
		proxy := kubetest.NewProxy(t, s.kubeconfig)
		var mu sync.Mutex
		var said []string
		p := s.through(t, proxy.Kubeconfig, kube.Patience{For: time.Minute, Report: func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, fmt.Sprintf(format, args...))
		}})
		writes, refused := 0, 0
		proxy.Away(func(_ int, r *http.Request) bool {
			if kubetest.IsWrite(r) {
				writes++
			}
			if writes < 3 || refused == 12 {
				return false
			}
			refused++
			return true
		})
		p.mustRollout(t, testInput())
		if text := strings.Join(said, "\n"); refused != 12 || !strings.Contains(text, "trying again for up to 1m0s") || !strings.Contains(text, "answers again") {
			t.Errorf("with %d requests refused the operator was told %q", refused, text)
		}
		s.complete(t, 1)
	})
}

// Rights that are taken away in the middle leave the version before serving,
// and the message says which.
func TestRolloutWithoutRightsInTheMiddle(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "installer"}, Rules: kube.Rules(s.APIs)}
		binding := &rbacv1.RoleBinding{ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "powerless", Namespace: s.namespace}}}
		if _, err := s.admin.RbacV1().Roles(s.namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		bind := func() {
			if _, err := s.admin.RbacV1().RoleBindings(s.namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		bind()
		p := s.through(t, s.powerless(t), kube.Patience{})
		in := testInput()
		s.eventually(t, "the role holds", func() bool { return problem(preflight(t, p.Cluster, in), "permissions") == "" })
		p.mustRollout(t, in) // these rights are enough
		defer s.controller(t)()
		r := p.of(t, edited())
		var first sync.Once
		r.Changed = func(kube.Change) {
			first.Do(func() {
				_ = s.admin.RbacV1().RoleBindings(s.namespace).Delete(t.Context(), binding.Name, metav1.DeleteOptions{})
				s.eventually(t, "the role is gone", func() bool {
					_, err := p.Inventory(t.Context())
					return err != nil
				})
			})
		}
		_, err := p.Rollout(t.Context(), r)
		if err == nil || !strings.Contains(err.Error(), "forbidden") || !strings.Contains(err.Error(), "version 1 keeps serving") {
			t.Fatalf("Rollout = %v, want what is forbidden and what serves", err)
		}
		s.complete(t, 1)
		bind()
		s.eventually(t, "the role holds again", func() bool { _, err := p.Inventory(t.Context()); return err == nil })
		r.Changed = nil
		s.eventually(t, "the next rollout is through", func() bool {
			_, err := p.Rollout(t.Context(), r)
			return err == nil
		})
		s.complete(t, 2)
	})
}

// Ended at every request that it makes, a deploy leaves one whole version in
// the routes, and the next one brings the same end.
func TestRolloutEndedAtEveryStep(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		proxy := kubetest.NewProxy(t, s.kubeconfig)
		p := s.through(t, proxy.Kubeconfig, kube.Patience{})
		p.LookEvery, s.LookEvery = 20*time.Millisecond, 20*time.Millisecond // nobody else is there
		defer s.controller(t)()
		versions := []kube.Input{testInput(), edited()}
		p.mustRollout(t, versions[0])
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
			_, err := p.Rollout(ctx, p.of(t, in))
			cancel()
			proxy.Settle()
			s.complete(t, s.routed(t))
			if _, err := s.Rollout(t.Context(), s.of(t, in)); err != nil {
				t.Fatalf("ended at write %d, then again: %v", ended, err)
			}
			s.complete(t, in.Plan.Satellite.Version)
			if err == nil {
				t.Logf("%d writes", ended-1)
				return
			}
		}
	})
}

// A rollout during which another one begins, from another machine, stops and
// names it; the other one's end is whole.
func TestRolloutOvertaken(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		defer s.controller(t)()
		s.mustRollout(t, testInput())
		r := s.of(t, edited())
		var first sync.Once
		r.Changed = func(kube.Change) {
			first.Do(func() {
				if _, err := s.Rollout(t.Context(), s.of(t, testInput())); err != nil {
					t.Errorf("the other rollout: %v", err)
				}
			})
		}
		_, err := s.Rollout(t.Context(), r)
		var overtaken *kube.OvertakenError
		if !errors.As(err, &overtaken) {
			t.Fatalf("Rollout = %v, want an OvertakenError", err)
		}
		s.complete(t, 1)
		r.Changed = nil
		s.eventually(t, "the next rollout is through", func() bool {
			_, err := s.Rollout(t.Context(), r)
			return err == nil
		})
		s.complete(t, 2)
	})
}

// Of two first rollouts at once, from two machines, the later one knows what
// the earlier one makes.
func TestTwoFirstRollouts(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		proxy := kubetest.NewProxy(t, s.kubeconfig)
		p := s.through(t, proxy.Kubeconfig, kube.Patience{})
		defer s.controller(t)()
		var other sync.Once
		proxy.Away(func(_ int, r *http.Request) bool {
			if kubetest.IsWrite(r) && !strings.Contains(r.URL.RawQuery, "dryRun") {
				other.Do(func() { s.mustRollout(t, testInput()) })
			}
			return false
		})
		p.mustRollout(t, edited())
		s.complete(t, 2)
		list, err := s.admin.AppsV1().Deployments(s.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		inventory, err := s.Inventory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list.Items {
			if !slices.ContainsFunc(inventory.Objects, func(o kube.Object) bool { return o.Kind == "Deployment" && o.Name == d.Name }) {
				t.Errorf("Deployment/%s is in no inventory", d.Name)
			}
		}
	})
}

// routed is the satellite version of the routes.
func (s *space) routed(t *testing.T) int {
	t.Helper()
	version, err := s.RoutedVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// complete wants a version in the routes, and behind each route a Service and
// a Deployment with the image and the replicas of that version.
func (s *space) complete(t *testing.T, version int) {
	t.Helper()
	if got := s.routed(t); got != version {
		t.Errorf("version %d is routed, want %d", got, version)
	}
	var routes config.Routes
	if err := json.Unmarshal([]byte(s.routes(t)), &routes); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]string{"foo/bar": digest("a"), "Deep/Thought_1": digest("b")}
	if version == 2 {
		wanted["Deep/Thought_1"] = digest("a")
	}
	for _, route := range routes.Algorithms {
		if _, err := s.admin.CoreV1().Services(s.namespace).Get(t.Context(), route.Service, metav1.GetOptions{}); err != nil {
			t.Errorf("the route of %s: %v", route.VanityURL, err)
		}
		d, err := s.admin.AppsV1().Deployments(s.namespace).Get(t.Context(), route.Service, metav1.GetOptions{})
		if err != nil {
			t.Errorf("behind %s: %v", route.VanityURL, err)
			continue
		}
		if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, wanted[route.VanityURL]) {
			t.Errorf("behind %s of version %d runs %s", route.VanityURL, version, image)
		}
		if int(*d.Spec.Replicas) < route.Replicas {
			t.Errorf("behind %s of version %d run %d replicas, want %d", route.VanityURL, version, *d.Spec.Replicas, route.Replicas)
		}
	}
}

// eventually looks until a condition holds.
func (s *space) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not after a minute: %s", what)
		case <-ticker.C:
		}
	}
}
