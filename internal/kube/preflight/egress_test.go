package preflight

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Names are what the installer's machine finds, so this asks the check itself.
func TestPreflightOfEgress(t *testing.T) {
	t.Parallel()
	found := egress.Addresses{All: []netip.Addr{netip.MustParseAddr("93.184.216.34")}}
	for _, test := range []struct {
		vanity, api string
		names       map[string]egress.Addresses
		want        string
	}{
		{"foo/bar", "", map[string]egress.Addresses{"a.example": found}, "ok: foo/bar reaches, by NetworkPolicy: a.example:443 at 93.184.216.34"},
		{"foo/bar", render.FQDNPolicyAPI, nil, "ok: foo/bar reaches, by CiliumNetworkPolicy: a.example:443"},
		{"foo/bar", render.DomainPolicyAPI, nil, "ok: foo/bar reaches, by NetworkPolicy.projectcalico.org: a.example:443"},
		{"foo/bar", "", map[string]egress.Addresses{"a.example": {Problem: "this machine cannot look up a.example: no such host"}}, "problem: this machine cannot look up a.example: no such host"},
		{"gone/now", "", map[string]egress.Addresses{"a.example": found}, "warning: stage.egress.gone/now is for an algorithm that this launch does not have"},
	} {
		list, err := egress.Parse("a.example:443")
		if err != nil {
			t.Fatal(err)
		}
		in := render.Input{Plan: &bundle.Plan{Algorithms: []bundle.Algorithm{{VanityURL: "foo/bar"}}}, APIs: render.APIs{FQDNPolicy: test.api}}
		in.Settings.Egress, in.Settings.EgressNames = map[string][]egress.Entry{test.vanity: list}, test.names
		in.Settings.Monitor.On = test.api != ""
		policies := "cilium.io"
		if test.api == render.DomainPolicyAPI {
			policies = "projectcalico.org"
		}
		if in.Settings.Monitor.On {
			in.APIs.ServiceMonitor = render.MonitorAPI
		}
		p := &preflight{input: in, cluster: &cluster.Cluster{APIs: in.APIs}}
		p.egress()
		for _, group := range []string{policies, "monitoring.coreos.com"} {
			if asked := slices.ContainsFunc(p.rules(), func(r rbacv1.PolicyRule) bool { return r.APIGroups[0] == group }); asked != (test.api != "") {
				t.Errorf("%+v: rights of %s are asked for: %v", test, group, asked)
			}
		}
		var got []string
		for _, c := range p.checks {
			got = append(got, string(c.State)+": "+c.Message)
		}
		if text := strings.Join(got, "\n"); text != test.want {
			t.Errorf("%+v: %q, want %q", test, text, test.want)
		}
	}
}
