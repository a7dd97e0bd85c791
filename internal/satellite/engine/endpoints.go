package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	discoveryv1beta1 "k8s.io/api/discovery/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryv1client "k8s.io/client-go/kubernetes/typed/discovery/v1"
	discoveryv1beta1client "k8s.io/client-go/kubernetes/typed/discovery/v1beta1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// groupLister is the part of the discovery client that chooseAPI asks.
type groupLister interface {
	ServerResourcesForGroupVersionWithContext(ctx context.Context, groupVersion string) (*metav1.APIResourceList, error)
}

// The APIs that tell a service's endpoints, the best first. Kubernetes 1.21
// on has the first, 1.17 on the second.
const (
	apiSliceV1      = "discovery.k8s.io/v1"
	apiSliceV1beta1 = "discovery.k8s.io/v1beta1"
	apiEndpoints    = "v1"
)

// chooseAPI gives the best of the three that the server has.
func chooseAPI(ctx context.Context, server groupLister) (string, error) {
	for _, api := range []string{apiSliceV1, apiSliceV1beta1} {
		list, err := server.ServerResourcesForGroupVersionWithContext(ctx, api)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("discover %s: %w", api, err)
		}
		if slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == "endpointslices" }) {
			return api, nil
		}
	}
	return apiEndpoints, nil
}

// source lists and watches one of the three kinds, and reads its objects.
type source struct {
	*cache.ListWatch
	api     string
	object  runtime.Object
	service func(object any) string   // whose endpoints it holds
	ready   func(object any) []string // the addresses that take calls
	staying func(object any) []string // the addresses that are not terminating
}

// IsWatchListSemanticsUnSupported makes the reflector list and then watch:
// servers before 1.27 ignore a request for a streamed list and never end it.
func (*source) IsWatchListSemanticsUnSupported() bool { return true }

// newEndpointsSource makes the source for an API that chooseAPI gave.
func newEndpointsSource(config *rest.Config, namespace, api string) (*source, error) {
	switch api {
	case apiSliceV1:
		client, err := discoveryv1client.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("make a client of %s: %w", api, err)
		}
		slices := client.EndpointSlices(namespace)
		return &source{
			api: api, object: &discoveryv1.EndpointSlice{}, service: sliceService, ready: sliceV1(takesCalls), staying: sliceV1(stays),
			ListWatch: listWatch(discoveryv1.LabelServiceName,
				func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return slices.List(ctx, o) }, slices.Watch),
		}, nil
	case apiSliceV1beta1:
		client, err := discoveryv1beta1client.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("make a client of %s: %w", api, err)
		}
		slices := client.EndpointSlices(namespace)
		return &source{
			api: api, object: &discoveryv1beta1.EndpointSlice{}, service: sliceService, ready: sliceV1beta1(takesCalls), staying: sliceV1beta1(stays),
			ListWatch: listWatch(discoveryv1beta1.LabelServiceName,
				func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return slices.List(ctx, o) }, slices.Watch),
		}, nil
	}
	client, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", api, err)
	}
	endpoints := client.Endpoints(namespace)
	return &source{
		api: api, object: &corev1.Endpoints{}, service: endpointsService, ready: readyEndpoints, staying: allEndpoints, //nolint:staticcheck // for old clusters
		ListWatch: listWatch("",
			func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return endpoints.List(ctx, o) }, endpoints.Watch),
	}, nil
}

// listWatch lists and watches what has the label, all when it is "".
func listWatch(label string,
	list func(context.Context, metav1.ListOptions) (runtime.Object, error),
	watchFrom func(context.Context, metav1.ListOptions) (watch.Interface, error),
) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = label
			return list(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = label
			return watchFrom(ctx, o)
		},
	}
}

func sliceService(object any) string {
	if o, ok := object.(metav1.Object); ok {
		return o.GetLabels()[discoveryv1.LabelServiceName]
	}
	return ""
}

func endpointsService(object any) string {
	if o, ok := object.(metav1.Object); ok {
		return o.GetName()
	}
	return ""
}

// sliceV1 gives the addresses that are to be taken. For calls those are ready (or not said, which
// counts as ready) and not terminating, even where a Service publishes
// addresses that are not ready. Only the first address of an endpoint counts,
// as the API's documentation has it.
func sliceV1(take func(ready, terminating *bool) bool) func(any) []string {
	return func(object any) []string {
		slice, ok := object.(*discoveryv1.EndpointSlice)
		if !ok || slice.AddressType == discoveryv1.AddressTypeFQDN {
			return nil
		}
		var hosts []string
		for _, e := range slice.Endpoints {
			if take(e.Conditions.Ready, e.Conditions.Terminating) && len(e.Addresses) > 0 {
				hosts = append(hosts, e.Addresses[0])
			}
		}
		return hosts
	}
}

func sliceV1beta1(take func(ready, terminating *bool) bool) func(any) []string {
	return func(object any) []string {
		slice, ok := object.(*discoveryv1beta1.EndpointSlice)
		if !ok || slice.AddressType == discoveryv1beta1.AddressTypeFQDN {
			return nil
		}
		var hosts []string
		for _, e := range slice.Endpoints {
			if take(e.Conditions.Ready, e.Conditions.Terminating) && len(e.Addresses) > 0 {
				hosts = append(hosts, e.Addresses[0])
			}
		}
		return hosts
	}
}

func takesCalls(ready, terminating *bool) bool {
	return (ready == nil || *ready) && (terminating == nil || !*terminating)
}

func stays(_, terminating *bool) bool { return terminating == nil || !*terminating }

// readyEndpoints gives the ready addresses; Kubernetes keeps terminating pods
// out of them.
func readyEndpoints(object any) []string {
	endpoints, ok := object.(*corev1.Endpoints) //nolint:staticcheck // for old clusters
	if !ok {
		return nil
	}
	var hosts []string
	for _, subset := range endpoints.Subsets {
		for _, a := range subset.Addresses {
			hosts = append(hosts, a.IP)
		}
	}
	return hosts
}

// allEndpoints gives the addresses that are not ready, too.
func allEndpoints(object any) []string {
	hosts := readyEndpoints(object)
	if endpoints, ok := object.(*corev1.Endpoints); ok { //nolint:staticcheck // for old clusters
		for _, subset := range endpoints.Subsets {
			for _, a := range subset.NotReadyAddresses {
				hosts = append(hosts, a.IP)
			}
		}
	}
	return hosts
}

// oneFamily sorts hosts, drops doubles, and keeps the IPv4 ones if there are
// any, else the IPv6 ones: a dual-stack pod is one replica, not two.
func oneFamily(hosts []string) []string {
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	isIPv6 := func(host string) bool { return strings.Contains(host, ":") }
	if slices.ContainsFunc(hosts, func(host string) bool { return !isIPv6(host) }) {
		hosts = slices.DeleteFunc(hosts, isIPv6)
	}
	return hosts
}
