package render

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// APIs says in which versions a server serves what a launch needs, and which
// fields it knows.
type APIs struct {
	Minor         int    // of Kubernetes 1.x
	Ingress       string // networking.k8s.io/v1 or v1beta1; "" is none
	PDB           string // policy/v1 or v1beta1
	EndpointSlice string // discovery.k8s.io/v1 or v1beta1; "" is Endpoints alone

	ServiceMonitor string // monitoring.coreos.com/v1; "" is none
	PodMonitor     string // the same
	FQDNPolicy     string // of policies that know names, cilium.io/v2 or projectcalico.org/v3; "" is none
}

// LatestAPIs are those of a current server, for rendering without a cluster.
func LatestAPIs() APIs {
	return APIs{Minor: 37, Ingress: "networking.k8s.io/v1", PDB: "policy/v1", EndpointSlice: "discovery.k8s.io/v1", ServiceMonitor: MonitorAPI, PodMonitor: MonitorAPI}
}

// kindResources are the plural names of every kind that a launch has: a fixed
// table needs no discovery, so no rights for it and no time.
var kindResources = map[string]string{
	"Namespace":           "namespaces",
	"ServiceAccount":      "serviceaccounts",
	"Role":                "roles",
	"RoleBinding":         "rolebindings",
	"ConfigMap":           "configmaps",
	"Secret":              "secrets",
	"Service":             "services",
	"NetworkPolicy":       "networkpolicies",
	"PodDisruptionBudget": "poddisruptionbudgets",
	"Deployment":          "deployments",
	"StatefulSet":         "statefulsets",

	"PersistentVolumeClaim": "persistentvolumeclaims",
	"Ingress":               "ingresses",
	MonitorKind:             "servicemonitors",
	PodMonitorKind:          "podmonitors",
	FQDNPolicyKind:          "ciliumnetworkpolicies",
}

// Resource returns the resource of a kind; the version served now replaces
// the one noted in an older inventory.
func (a APIs) Resource(apiVersion, kind string) (schema.GroupVersionResource, error) {
	switch kind {
	case "Ingress":
		apiVersion = a.Ingress
	case "PodDisruptionBudget":
		apiVersion = a.PDB
	}
	resource, ok := kindResources[kind]
	gv, err := schema.ParseGroupVersion(apiVersion)
	if !ok || err != nil || apiVersion == "" {
		return schema.GroupVersionResource{}, fmt.Errorf("this cluster serves no %s", kind)
	}
	return gv.WithResource(resource), nil
}
