package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
)

// OldestMinor is the oldest Kubernetes 1.x that a satellite runs on: the first
// with server-side apply on by default for what we use.
const OldestMinor = 18

// APIs says in which versions a server serves what a launch needs, and which
// fields it knows.
type APIs struct {
	Minor         int    // of Kubernetes 1.x
	Ingress       string // networking.k8s.io/v1 or v1beta1; "" is none
	PDB           string // policy/v1 or v1beta1
	EndpointSlice string // discovery.k8s.io/v1 or v1beta1; "" is Endpoints alone
}

// LatestAPIs are those of a current server, for rendering without a cluster.
func LatestAPIs() APIs {
	return APIs{Minor: 37, Ingress: "networking.k8s.io/v1", PDB: "policy/v1", EndpointSlice: "discovery.k8s.io/v1"}
}

// DiscoverAPIs reads a server's version and its list of API groups (/version
// and /apis). It does not judge how old the server is.
func DiscoverAPIs(server *version.Info, groups *metav1.APIGroupList) (APIs, error) {
	minor, err := minorOf(server)
	if err != nil {
		return APIs{}, err
	}
	served := map[string]bool{}
	for _, group := range groups.Groups {
		for _, v := range group.Versions {
			served[v.GroupVersion] = true
		}
	}
	first := func(candidates ...string) string {
		for _, c := range candidates {
			if served[c] {
				return c
			}
		}
		return ""
	}
	apis := APIs{
		Minor:         minor,
		Ingress:       first("networking.k8s.io/v1", "networking.k8s.io/v1beta1"),
		PDB:           first("policy/v1", "policy/v1beta1"),
		EndpointSlice: first("discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"),
	}
	// networking.k8s.io/v1 had NetworkPolicy alone before 1.19.
	if minor < 19 && apis.Ingress == "networking.k8s.io/v1" {
		apis.Ingress = first("networking.k8s.io/v1beta1")
	}
	return apis, nil
}

var leadingDigits = regexp.MustCompile(`^[0-9]+`)

func minorOf(server *version.Info) (int, error) {
	minor, err := strconv.Atoi(leadingDigits.FindString(server.Minor)) // EKS and GKE write "27+"
	if err != nil || server.Major != "1" {
		return 0, fmt.Errorf("read the server's version %q.%q of %q: it is no Kubernetes 1.x", server.Major, server.Minor, server.GitVersion)
	}
	return minor, nil
}

// discover asks the server.
func discover(ctx context.Context, client discovery.DiscoveryInterface) (APIs, string, error) {
	server, groups := new(version.Info), new(metav1.APIGroupList)
	for path, into := range map[string]any{"/version": server, "/apis": groups} {
		data, err := client.RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(ctx)
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			return APIs{}, "", fmt.Errorf("ask the cluster for %s: %w", path, err)
		}
	}
	apis, err := DiscoverAPIs(server, groups)
	return apis, server.GitVersion, err
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
	"Ingress":             "ingresses",
}

// resourceOf gives the resource of a kind; the version served now replaces
// the one noted in an older inventory.
func (a APIs) resourceOf(apiVersion, kind string) (schema.GroupVersionResource, error) {
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
