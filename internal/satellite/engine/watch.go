package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// podNamespaceFile is where a pod finds its namespace.
const podNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace" //nolint:gosec // a path, no credential

// watchCluster makes the watcher, when routes or flags ask for a cluster.
func (e *Engine) watchCluster(routes *config.Routes) error {
	service := firstService(routes)
	config, namespace, err := clusterConfig(e.opts.Kubeconfig, e.opts.Namespace)
	switch {
	case err == nil:
		e.watcher = newWatcher(config, namespace, e.log)
		return nil
	case service == "" && e.opts.Kubeconfig == "":
		return nil // nothing to look up: a cluster is not needed
	case errors.Is(err, rest.ErrNotInCluster):
		return noCluster(service)
	}
	return err
}

func noCluster(service string) error {
	return constellation.Errorf(constellation.KindInvalid,
		"routes.json names the service %s and there is no cluster to look it up in: run in a pod, give --kubeconfig, or list endpoints", service)
}

// clusterConfig finds the API server and the namespace; rest.ErrNotInCluster
// when there is neither a kubeconfig nor a pod around us.
func clusterConfig(kubeconfig, namespace string) (*rest.Config, string, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, "", err
		}
		if namespace == "" {
			data, err := os.ReadFile(podNamespaceFile)
			if err != nil {
				return nil, "", fmt.Errorf("read the pod's namespace: %w", err)
			}
			namespace = strings.TrimSpace(string(data))
		}
		return config, namespace, nil
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	if namespace == "" {
		if namespace, _, err = loader.Namespace(); err != nil {
			return nil, "", fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
		}
	}
	return config, namespace, nil
}

// watcher knows the ready endpoints of every service in one namespace. When
// the API server is away it goes on with what it knows.
type watcher struct {
	config    *rest.Config
	namespace string
	log       *slog.Logger
	running   atomic.Pointer[watching]
}

// watching is what a watcher has once it knows which API to watch.
type watching struct {
	source  *source
	indexer cache.Indexer
	synced  cache.InformerSynced // of our handler, not only of the store
}

func newWatcher(config *rest.Config, namespace string, log *slog.Logger) *watcher {
	return &watcher{config: config, namespace: namespace, log: log}
}

// synced says whether the first list is complete.
func (w *watcher) synced() bool {
	running := w.running.Load()
	return running != nil && running.synced()
}

// hosts gives the ready addresses of a service, sorted. Pods of a dual-stack
// service have two; the IPv4 ones are enough.
func (w *watcher) hosts(service string) []string {
	running := w.running.Load()
	if running == nil {
		return nil
	}
	objects, err := running.indexer.ByIndex(byService, service)
	if err != nil {
		return nil
	}
	var hosts []string
	for _, object := range objects {
		hosts = append(hosts, running.source.ready(object)...)
	}
	return oneFamily(hosts)
}

// engines gives the addresses of a service's pods that are not about to end,
// ready or not: an engine that starts is linked before it is ready.
func (w *watcher) engines(service string) []string {
	running := w.running.Load()
	if running == nil {
		return nil
	}
	objects, err := running.indexer.ByIndex(byService, service)
	if err != nil {
		return nil
	}
	var hosts []string
	for _, object := range objects {
		hosts = append(hosts, running.source.staying(object)...)
	}
	return oneFamily(hosts)
}

const (
	byService     = "service"
	discoverEvery = 2 * time.Second
)

// run watches until ctx ends and calls changed with a service's name whenever
// its endpoints may have changed.
func (w *watcher) run(ctx context.Context, changed func(service string)) {
	src := w.discover(ctx)
	if src == nil {
		return
	}
	informer := cache.NewSharedIndexInformer(src, src.object, 0, cache.Indexers{
		byService: func(object any) ([]string, error) { return []string{src.service(object)}, nil },
	})
	notify := func(object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if service := src.service(object); service != "" {
			changed(service)
		}
	}
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    notify,
		UpdateFunc: func(_, object any) { notify(object) },
		DeleteFunc: notify,
	})
	if err != nil {
		w.log.Error("watch endpoints", "error", err)
		return
	}
	w.running.Store(&watching{source: src, indexer: informer.GetIndexer(), synced: handler.HasSynced})
	w.log.Info("watching endpoints", "api", src.api, "namespace", w.namespace)
	informer.RunWithContext(klog.NewContext(ctx, logr.FromSlogHandler(w.log.Handler())))
}

// discover waits for the API server and gives the newest source it serves,
// nil when ctx ends first.
func (w *watcher) discover(ctx context.Context) *source {
	for {
		src, err := w.newSource(ctx)
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

func (w *watcher) newSource(ctx context.Context) (*source, error) {
	config := rest.CopyConfig(w.config)
	config.Timeout = 10 * time.Second
	server, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a discovery client: %w", err)
	}
	api, err := chooseAPI(ctx, server)
	if err != nil {
		return nil, err
	}
	return newEndpointsSource(w.config, w.namespace, api)
}
