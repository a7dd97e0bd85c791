package discovery

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

// groupLister is the part of the discovery client that chooseAPI needs.
type groupLister interface {
	ServerResourcesForGroupVersionWithContext(ctx context.Context, groupVersion string) (*metav1.APIResourceList, error)
}

// The APIs that serve a service's endpoints, the best first. Kubernetes has the
// first since 1.21 and the second since 1.17.
const (
	apiSliceV1      = "discovery.k8s.io/v1"
	apiSliceV1beta1 = "discovery.k8s.io/v1beta1"
	apiEndpoints    = "v1"
)

// chooseAPI returns the best of the three that the server has.
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
	service func(object any) string   // whose endpoints the object holds
	ready   func(object any) []string // the addresses that take calls
	alive   func(object any) []string // the addresses that are not terminating
	all     func(object any) []string // the addresses in whatever state
}

// IsWatchListSemanticsUnSupported makes the reflector list and then watch:
// servers before 1.27 ignore a request for a streamed list and never end it.
func (*source) IsWatchListSemanticsUnSupported() bool { return true }

// newSource returns the source for an API that chooseAPI returned.
func newSource(config *rest.Config, namespace, api string) (*source, error) {
	switch api {
	case apiSliceV1:
		client, err := discoveryv1client.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("create a client of %s: %w", api, err)
		}
		slices := client.EndpointSlices(namespace)
		return &source{
			api: api, object: &discoveryv1.EndpointSlice{}, service: sliceService, ready: sliceV1(isReady), alive: sliceV1(notTerminating), all: sliceV1(always),
			ListWatch: listWatch(discoveryv1.LabelServiceName,
				func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return slices.List(ctx, o) }, slices.Watch),
		}, nil
	case apiSliceV1beta1:
		client, err := discoveryv1beta1client.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("create a client of %s: %w", api, err)
		}
		slices := client.EndpointSlices(namespace)
		return &source{
			api: api, object: &discoveryv1beta1.EndpointSlice{}, service: sliceService, ready: sliceV1beta1(isReady), alive: sliceV1beta1(notTerminating), all: sliceV1beta1(always),
			ListWatch: listWatch(discoveryv1beta1.LabelServiceName,
				func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return slices.List(ctx, o) }, slices.Watch),
		}, nil
	}
	client, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("create a client of %s: %w", api, err)
	}
	endpoints := client.Endpoints(namespace)
	return &source{
		api: api, object: &corev1.Endpoints{}, service: endpointsService, ready: readyEndpoints, alive: allEndpoints, all: allEndpoints, //nolint:staticcheck // for old clusters
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

// sliceV1 returns a function that returns the addresses of a slice whose
// conditions match. Only the first address of an endpoint counts, as the API's
// documentation has it.
func sliceV1(match func(ready, terminating *bool) bool) func(any) []string {
	return func(object any) []string {
		slice, ok := object.(*discoveryv1.EndpointSlice)
		if !ok || slice.AddressType == discoveryv1.AddressTypeFQDN {
			return nil
		}
		var hosts []string
		for _, e := range slice.Endpoints {
			if match(e.Conditions.Ready, e.Conditions.Terminating) && len(e.Addresses) > 0 {
				hosts = append(hosts, e.Addresses[0])
			}
		}
		return hosts
	}
}

func sliceV1beta1(match func(ready, terminating *bool) bool) func(any) []string {
	return func(object any) []string {
		slice, ok := object.(*discoveryv1beta1.EndpointSlice)
		if !ok || slice.AddressType == discoveryv1beta1.AddressTypeFQDN {
			return nil
		}
		var hosts []string
		for _, e := range slice.Endpoints {
			if match(e.Conditions.Ready, e.Conditions.Terminating) && len(e.Addresses) > 0 {
				hosts = append(hosts, e.Addresses[0])
			}
		}
		return hosts
	}
}

// isReady reports whether an endpoint takes calls. Not known to be unready counts
// as ready. A terminating one does not, even where a Service publishes addresses
// that are not ready.
func isReady(ready, terminating *bool) bool {
	return (ready == nil || *ready) && (terminating == nil || !*terminating)
}

func notTerminating(_, terminating *bool) bool { return terminating == nil || !*terminating }

func always(_, _ *bool) bool { return true }

// readyEndpoints returns the ready addresses; Kubernetes keeps terminating pods
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

// allEndpoints returns the ready addresses and those that are not.
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

// oneFamily sorts hosts, drops duplicates, and keeps the IPv4 ones if there are
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
