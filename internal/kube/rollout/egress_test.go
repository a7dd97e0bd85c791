package rollout_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// reaching is the example launch whose foo/bar may reach a list.
func reaching(t *testing.T, in render.Input, list string) render.Input {
	t.Helper()
	entries, err := egress.Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	in.Settings.Egress = map[string][]egress.Entry{"foo/bar": entries}
	in.Settings.EgressNames = map[string]egress.Addresses{"api.example.com": {All: []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("2606:2800::1")}}}
	return in
}

// reached is what the cluster says that foo/bar reaches.
func reached(t *testing.T, s *launchtest.Space) []egress.Told {
	t.Helper()
	inventory, err := apply.ReadInventory(t.Context(), s.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	told, err := health.Egress(t.Context(), s.Cluster, inventory.Named("NetworkPolicy"), []string{"foo/bar"})
	if err != nil {
		t.Fatal(err)
	}
	return told
}

// A list that changes is changed where it is: no pod is replaced for it. A real
// server takes what is rendered, a range of everything too, and a list that is
// gone is closed again.
func TestEgressChangesInPlace(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		s.APIs.FQDNPolicy = "" // other tests may have the server serve it
		s.MustDeploy(t, launchtest.Input())
		pods := deploymentNamed(t, s, "algo-foo-bar")
		for _, list := range []string{"0.0.0.0/0:443,[::/0]:*", "api.example.com:443,10.0.0.0/8:5432/udp"} {
			for object, action := range s.MustDeploy(t, reaching(t, launchtest.Input(), list)) {
				if changed := object == "NetworkPolicy/algo-foo-bar"; changed != (action == apply.Changed) {
					t.Errorf("%s: %s is %s, want the NetworkPolicy changed and nothing else", list, object, action)
				}
			}
		}
		policies, err := s.Admin.NetworkingV1().NetworkPolicies(s.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=algorithm"})
		if err != nil {
			t.Fatal(err)
		}
		var blocks []string
		for _, policy := range policies.Items {
			for _, rule := range policy.Spec.Egress {
				for _, peer := range rule.To {
					if peer.IPBlock != nil {
						blocks = append(blocks, peer.IPBlock.CIDR+" "+rule.Ports[0].Port.String()+" "+string(*rule.Ports[0].Protocol))
					}
				}
			}
		}
		if diff := cmp.Diff([]string{"93.184.216.34/32 443 TCP", "2606:2800::1/128 443 TCP", "10.0.0.0/8 5432 UDP"}, blocks); diff != "" {
			t.Errorf("ranges that the server's policies open (-want +got):\n%s", diff)
		}
		want := []egress.Told{{VanityURL: "foo/bar", Policy: "NetworkPolicy", Reaches: []string{"api.example.com:443 at 93.184.216.34 2606:2800::1", "10.0.0.0/8:5432/udp"}}}
		if diff := cmp.Diff(want, reached(t, s)); diff != "" {
			t.Errorf("what the cluster tells (-want +got):\n%s", diff)
		}
		s.MustDeploy(t, launchtest.Input())
		if told := reached(t, s); len(told) > 0 || deploymentNamed(t, s, "algo-foo-bar") != pods {
			t.Errorf("without the list: %v is told, and the pods are of %s, want those of %s", told, deploymentNamed(t, s, "algo-foo-bar"), pods)
		}
	})
}

// wantNamed wants a policy that knows the name of foo/bar's list, and the cluster
// to tell so; or none.
func wantNamed(t *testing.T, s *launchtest.Space, wanted bool) {
	t.Helper()
	client, err := s.Resource(render.FQDNPolicyAPI, render.FQDNPolicyKind)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	named := slices.ContainsFunc(list.Items, func(o unstructured.Unstructured) bool {
		return launchtest.At(&o, "spec.egress.1.toFQDNs.0.matchName") == "api.example.com" && launchtest.At(&o, "spec.egressDeny.0.toCIDR.0") == "169.254.0.0/16"
	})
	if named != wanted || len(list.Items) > 0 != wanted {
		t.Errorf("policies that know names: %v, want one: %v", list.Items, wanted)
	}
	if !wanted {
		return
	}
	want := []egress.Told{{VanityURL: "foo/bar", Policy: "CiliumNetworkPolicy", Reaches: []string{"api.example.com:443"}}}
	if diff := cmp.Diff(want, reached(t, s)); diff != "" {
		t.Errorf("what the cluster tells (-want +got):\n%s", diff)
	}
}

// Calico's policy is written beside the NetworkPolicy, with the rights that the guide
// prints, comes back with a version and goes with its list, its algorithm and the launch.
func TestDomainPolicies(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		ctx := t.Context()
		s.ServeDomainPolicies(t, true)
		operator := *s
		operator.Cluster = launchtest.Connect(t, s.As(t, "operator", launchtest.GuideRole(t, "../../..", s.Namespace)), s.Namespace)
		operator.APIs.FQDNPolicy = render.DomainPolicyAPI // other tests may have the server serve Cilium's
		wantDomain := func(wanted string) {
			t.Helper()
			client, err := s.Resource(render.DomainPolicyAPI, render.DomainPolicyKind)
			if err != nil {
				t.Fatal(err)
			}
			list, err := client.List(ctx, metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, o := range list.Items {
				got += launchtest.Stem(o.GetName()) + fmt.Sprint(launchtest.At(&o, "spec.egress.0.action"), launchtest.At(&o, "spec.egress.2.destination.domains"))
			}
			if got != wanted {
				t.Errorf("Calico's policies are %q, want %q", got, wanted)
			}
		}
		first, second := reaching(t, launchtest.Input(), "api.example.com:443"), launchtest.Edited()
		s.Eventually(t, "doctor finds every right", func() bool {
			return launchtest.ProblemOf(launchtest.Preflight(t, operator.Cluster, first), "permissions") == ""
		})
		operator.MustDeploy(t, first)
		wantDomain("default.algo-foo-barDeny[api.example.com]")
		want := []egress.Told{{VanityURL: "foo/bar", Policy: "NetworkPolicy.projectcalico.org", Reaches: []string{"api.example.com:443"}}}
		if diff := cmp.Diff(want, reached(t, s)); diff != "" {
			t.Errorf("what the cluster tells (-want +got):\n%s", diff)
		}
		actions := operator.MustDeploy(t, second)
		if actions["NetworkPolicy.projectcalico.org/default.algo-foo-bar"] != apply.Deleted || actions["NetworkPolicy/algo-foo-bar"] == apply.Deleted {
			t.Errorf("without the list: %v", actions)
		}
		wantDomain("")
		inventory, err := apply.ReadInventory(ctx, operator.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		r := operator.RolloutOf(t, first)
		if r.Objects, err = apply.LoadVersion(ctx, operator.Cluster, first.Plan, inventory, 1); err != nil {
			t.Fatal(err)
		}
		stop := s.Controller(t)
		defer stop()
		if _, err := r.Run(ctx); err != nil {
			t.Errorf("rollback: %v", err)
		}
		wantDomain("default.algo-foo-barDeny[api.example.com]")
		if inventory, err = apply.ReadInventory(ctx, operator.Cluster); err != nil {
			t.Fatal(err)
		}
		owned, err := apply.Owned(ctx, operator.Cluster, inventory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Remove(ctx, owned); err != nil {
			t.Errorf("Remove: %v", err)
		}
		wantDomain("")
	})
}
