package cluster_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// The documents in testdata are taken from the releases' sources, since old
// servers do not compile any more; where one does, it answers the same.
func TestDiscoveryIsWhatServersServe(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		groups, err := s.Admin.Discovery().ServerGroups()
		if err != nil {
			t.Fatal(err)
		}
		minor := strings.Join(strings.Split(path.Base(t.Name()), ".")[:2], ".")
		file := launchtest.Discovered(t, minor)
		if diff := cmp.Diff(groupVersions(groups), groupVersions(&file.APIs)); diff != "" {
			t.Errorf("testdata/%s.json is not what the server answers (-server +file):\n%s", minor, diff)
		}
	})
}

// Every Calico has the kind, and only one whose rules have domains opens names.
func TestDomainPoliciesAreToldByTheirSchema(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		if s.APIs.FQDNPolicy != "" {
			t.Fatalf("without Calico: %q", s.APIs.FQDNPolicy)
		}
		s.ServeDomainPolicies(t, false)
		connected := func() render.APIs { return launchtest.Connect(t, s.Kubeconfig, s.Namespace).APIs }
		s.Eventually(t, "the server shows the schema", func() bool {
			data, err := s.Admin.Discovery().RESTClient().Get().AbsPath("/openapi/v3/apis/" + render.DomainPolicyAPI).DoRaw(t.Context())
			return err == nil && strings.Contains(string(data), `"nets"`)
		})
		if got := connected().FQDNPolicy; got != "" {
			t.Errorf("where rules have no domains, names are opened by %q", got)
		}
		s.ServeDomainPolicies(t, true)
		s.Eventually(t, "names are opened by Calico's policies", func() bool { return connected().FQDNPolicy == render.DomainPolicyAPI })
		s.ServeFQDNPolicies(t)
		if got := connected().FQDNPolicy; got != render.FQDNPolicyAPI {
			t.Errorf("where both are, names are opened by %q, want Cilium's", got)
		}
	})
}

// groupVersions returns every GROUP/VERSION in order, but the core's and those that
// another test of this package has the server serve.
func groupVersions(list *metav1.APIGroupList) []string {
	var all []string
	for _, g := range list.Groups {
		if strings.HasPrefix(render.DomainPolicyAPI, g.Name+"/") || strings.HasPrefix(render.FQDNPolicyAPI, g.Name+"/") {
			continue
		}
		for _, v := range g.Versions {
			if g.Name != "" {
				all = append(all, v.GroupVersion)
			}
		}
	}
	slices.Sort(all)
	return all
}
