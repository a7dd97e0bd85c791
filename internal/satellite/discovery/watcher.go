package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// Watcher knows the endpoints of every service in one namespace. While the API
// server is away it answers with what it knew last.
type Watcher struct {
	cluster Cluster
	log     *slog.Logger
	store   atomic.Pointer[store] // nil until the API to watch is known
}

// NewWatcher returns a watcher of the cluster's namespace, which knows nothing
// before Run.
func NewWatcher(cluster Cluster, log *slog.Logger) *Watcher {
	return &Watcher{cluster: cluster, log: log}
}

// Cluster returns the cluster that is watched.
func (w *Watcher) Cluster() Cluster { return w.cluster }

// Synced reports whether the first list is complete.
func (w *Watcher) Synced() bool {
	s := w.store.Load()
	return s != nil && s.listed.Load()
}

// Ready returns the addresses of a service's pods that take calls, sorted.
func (w *Watcher) Ready(service string) []string {
	return w.addresses(service, func(s *source) func(any) []string { return s.ready })
}

// Alive returns the addresses of a service's pods that are not terminating,
// ready or not, sorted.
func (w *Watcher) Alive(service string) []string {
	return w.addresses(service, func(s *source) func(any) []string { return s.alive })
}

func (w *Watcher) addresses(service string, which func(*source) func(object any) []string) []string {
	s := w.store.Load()
	if s == nil {
		return nil
	}
	objects, err := s.ByIndex(byService, service)
	if err != nil {
		return nil
	}
	var hosts []string
	for _, object := range objects {
		hosts = append(hosts, which(s.source)(object)...)
	}
	return oneFamily(hosts)
}

// launchLabel is on every Service that the installer makes. The cluster copies
// it to what holds the Service's endpoints; before Kubernetes 1.20 not to
// EndpointSlices.
const launchLabel = "constellation/launch"

// IsPod reports whether a canonical host is that of a pod, ready or not or
// terminating, behind a service that is wanted by its name or by its launch.
func (w *Watcher) IsPod(host string, wanted func(service, launch string) bool) bool {
	s := w.store.Load()
	if s == nil {
		return false
	}
	objects, err := s.ByIndex(byAddress, host)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(objects, func(object any) bool {
		o, ok := object.(metav1.Object)
		return ok && wanted(s.source.service(object), o.GetLabels()[launchLabel])
	})
}

const (
	discoverTimeout = 10 * time.Second
	discoverEvery   = 2 * time.Second
	// Between two tries to list and watch. client-go's own informer waits up to a
	// minute when watches break one after the other, and meanwhile knows of no
	// replica that came or went.
	watchBackoffMin = 200 * time.Millisecond
	watchBackoffMax = 2 * time.Second
)

// Run watches until ctx ends. It calls changed with the name of each service
// whose endpoints may have changed.
func (w *Watcher) Run(ctx context.Context, changed func(service string)) {
	src := w.discover(ctx)
	if src == nil {
		return
	}
	s := newStore(src, changed)
	w.store.Store(s)
	w.log.Info("watching endpoints", "api", src.api, "namespace", w.cluster.Namespace)
	reflector := cache.NewReflectorWithOptions(src, src.object, s, cache.ReflectorOptions{Name: "endpoints", Backoff: &wait.Backoff{
		Duration: watchBackoffMin, Cap: watchBackoffMax, Steps: 10, Factor: 2, Jitter: 0.5,
	}})
	reflector.RunWithContext(klog.NewContext(ctx, logr.FromSlogHandler(w.log.Handler())))
}

// discover waits for the API server and returns the newest source that it
// serves, nil when ctx ends first.
func (w *Watcher) discover(ctx context.Context) *source {
	for {
		src, err := w.tryDiscover(ctx)
		if err == nil {
			return src
		}
		w.log.Warn("the API server does not say which endpoints API it has; trying again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(discoverEvery):
		}
	}
}

func (w *Watcher) tryDiscover(ctx context.Context) (*source, error) {
	config := rest.CopyConfig(w.cluster.Config)
	config.Timeout = discoverTimeout
	server, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("create a discovery client: %w", err)
	}
	api, err := chooseAPI(ctx, server)
	if err != nil {
		return nil, err
	}
	return newSource(w.cluster.Config, w.cluster.Namespace, api)
}
