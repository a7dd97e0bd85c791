package cluster_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

func TestDiscoverAPIs(t *testing.T) {
	t.Parallel()
	const ingress, policy, discovery = "networking.k8s.io/", "policy/", "discovery.k8s.io/"
	want := map[string]render.APIs{
		"1.18": {Minor: 18, Ingress: ingress + "v1beta1", PDB: policy + "v1beta1", EndpointSlice: discovery + "v1beta1"},
		"1.19": {Minor: 19, Ingress: ingress + "v1", PDB: policy + "v1beta1", EndpointSlice: discovery + "v1beta1"},
		"1.20": {Minor: 20, Ingress: ingress + "v1", PDB: policy + "v1beta1", EndpointSlice: discovery + "v1beta1"},
		"1.21": {Minor: 21, Ingress: ingress + "v1", PDB: policy + "v1", EndpointSlice: discovery + "v1"},
		"1.22": {Minor: 22, Ingress: ingress + "v1", PDB: policy + "v1", EndpointSlice: discovery + "v1"},
		"1.24": {Minor: 24, Ingress: ingress + "v1", PDB: policy + "v1", EndpointSlice: discovery + "v1"},
		"1.25": {Minor: 25, Ingress: ingress + "v1", PDB: policy + "v1", EndpointSlice: discovery + "v1"},
		"1.29": {Minor: 29, Ingress: ingress + "v1", PDB: policy + "v1", EndpointSlice: discovery + "v1"},
		"1.32": {Minor: 32, Ingress: ingress + "v1", PDB: policy + "v1", EndpointSlice: discovery + "v1"},
		"1.37": {Minor: 37, Ingress: ingress + "v1", PDB: policy + "v1", EndpointSlice: discovery + "v1"},
	}
	for name, apis := range want {
		if diff := cmp.Diff(apis, launchtest.APIsOf(t, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDiscoverAPIsRefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, info := range []version.Info{{}, {Major: "2", Minor: "1"}, {Major: "1", Minor: "x"}} {
		if apis, err := cluster.DiscoverAPIs(&info, &metav1.APIGroupList{}); err == nil {
			t.Errorf("DiscoverAPIs(%+v) = %+v, want an error", info, apis)
		}
	}
}
