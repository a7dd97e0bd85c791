package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// OldestMinor is the oldest Kubernetes 1.x that a satellite runs on: the first
// with server-side apply on by default for what we use.
const OldestMinor = 18

// DiscoverAPIs reads a server's version and its list of API groups (/version
// and /apis). It does not judge how old the server is.
func DiscoverAPIs(server *version.Info, groups *metav1.APIGroupList) (render.APIs, error) {
	minor, err := minorOf(server)
	if err != nil {
		return render.APIs{}, err
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
	apis := render.APIs{
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
func discover(ctx context.Context, client discovery.DiscoveryInterface) (render.APIs, string, error) {
	server, groups := new(version.Info), new(metav1.APIGroupList)
	for path, into := range map[string]any{"/version": server, "/apis": groups} {
		data, err := client.RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(ctx)
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			return render.APIs{}, "", fmt.Errorf("ask the cluster for %s: %w", path, err)
		}
	}
	apis, err := DiscoverAPIs(server, groups)
	if err != nil {
		return apis, server.GitVersion, err
	}
	for _, other := range []struct {
		into          *string
		api, resource string
	}{
		{&apis.ServiceMonitor, render.MonitorAPI, "servicemonitors"},
		{&apis.PodMonitor, render.MonitorAPI, "podmonitors"},
		{&apis.FQDNPolicy, render.FQDNPolicyAPI, "ciliumnetworkpolicies"},
	} {
		if *other.into, err = served(ctx, client, groups, other.api, other.resource); err != nil {
			return apis, server.GitVersion, err
		}
	}
	if apis.FQDNPolicy == "" {
		apis.FQDNPolicy, err = domainPolicies(ctx, client, groups)
	}
	return apis, server.GitVersion, err
}

// served returns an API that is not Kubernetes' own, "" where the server does not
// have it, or has it without a resource.
func served(ctx context.Context, client discovery.DiscoveryInterface, groups *metav1.APIGroupList, api, resource string) (string, error) {
	if !slices.ContainsFunc(groups.Groups, func(g metav1.APIGroup) bool {
		return slices.ContainsFunc(g.Versions, func(v metav1.GroupVersionForDiscovery) bool { return v.GroupVersion == api })
	}) {
		return "", nil
	}
	data, err := client.RESTClient().Get().AbsPath("/apis/"+api).SetHeader("Accept", "application/json").DoRaw(ctx)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", nil
	}
	var list metav1.APIResourceList
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return "", fmt.Errorf("ask the cluster for /apis/%s: %w", api, err)
	}
	if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource }) {
		return "", nil
	}
	return api, nil
}
