package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/constellation-serving/constellation/internal/kube/cluster/transport"
	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Cluster is one namespace of one Kubernetes cluster.
type Cluster struct {
	Namespace string
	Server    string // the API server's address
	Version   string // such as v1.32.2
	APIs      render.APIs

	Dynamic dynamic.Interface
	Typed   kubernetes.Interface
	budget  time.Duration // of requests that the API server does not answer
	config  *rest.Config  // without retries
}

// RetryPolicy is how long requests to an API server that is away are retried.
type RetryPolicy = transport.RetryPolicy

// ErrUnreachable is wrapped by the error of every request that the API server
// does not answer: such an error is no refusal.
var ErrUnreachable = transport.ErrUnreachable

// Connect reaches the cluster of a kubeconfig's context and asks for its
// version and APIs. The Cluster's requests are retried by the same policy. A
// kubeconfig of no use is a kubeconfig.ErrUnusable.
func Connect(ctx context.Context, path, contextName, namespace string, policy RetryPolicy) (*Cluster, error) {
	config, err := kubeconfig.Load(path, contextName)
	if err != nil {
		return nil, err
	}
	config.UserAgent = render.FieldManager
	config.ContentType = "application/json" // of which it is seen whether it is whole
	config.QPS = -1                         // the server has its own fairness
	config.WarningHandler = rest.NoWarnings{}
	plain := rest.CopyConfig(config)
	config.Wrap(policy.Wrap)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("use kubeconfig %s: %w: %w", path, err, kubeconfig.ErrUnusable)
	}
	// An API server sends no request on, and client-go would give its
	// credentials to wherever an answer points.
	client.CheckRedirect = func(request *http.Request, _ []*http.Request) error {
		return fmt.Errorf("it sends requests on to %s://%s, which is not followed; is %s an API server?", request.URL.Scheme, request.URL.Host, config.Host)
	}
	typed, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("use kubeconfig %s: %w: %w", path, err, kubeconfig.ErrUnusable)
	}
	untyped, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("use kubeconfig %s: %w: %w", path, err, kubeconfig.ErrUnusable)
	}
	c := &Cluster{Namespace: namespace, Server: config.Host, Dynamic: untyped, Typed: typed, budget: policy.Budget, config: plain}
	if c.APIs, c.Version, err = discover(ctx, typed.Discovery()); err != nil {
		var status apierrors.APIStatus
		if errors.As(err, &status) {
			return nil, fmt.Errorf("%s: %w", config.Host, err)
		}
		var none *transport.NoAnswer
		if errors.As(err, &none) {
			return nil, fmt.Errorf("%s: %w", config.Host, none) // without the URL
		}
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err
		}
		return nil, fmt.Errorf("%s: %w: %w", config.Host, ErrUnreachable, err)
	}
	return c, ctx.Err()
}

// Resource returns the client of an object's kind.
func (c *Cluster) Resource(apiVersion, kind string) (dynamic.ResourceInterface, error) {
	gvr, err := c.APIs.Resource(apiVersion, kind)
	if err != nil {
		return nil, err
	}
	return c.client(gvr, kind), nil
}

func (c *Cluster) client(gvr schema.GroupVersionResource, kind string) dynamic.ResourceInterface {
	if kind == "Namespace" {
		return c.Dynamic.Resource(gvr)
	}
	return c.Dynamic.Resource(gvr).Namespace(c.Namespace)
}

// Get reads an object as it is on the cluster; nil when there is none.
func (c *Cluster) Get(ctx context.Context, apiVersion, kind, name string) (*unstructured.Unstructured, error) {
	client, err := c.Resource(apiVersion, kind)
	if err != nil {
		return nil, err
	}
	object, err := client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s/%s: %w", kind, name, err)
	}
	return object, nil
}

// In is another namespace of the same cluster.
func (c *Cluster) In(namespace string) *Cluster {
	other := *c
	other.Namespace = namespace
	return &other
}

// NamespaceMissing reports whether the namespace is known not to exist.
func (c *Cluster) NamespaceMissing(ctx context.Context) (bool, error) {
	namespace, err := c.Get(ctx, "v1", "Namespace", c.Namespace)
	if apierrors.IsForbidden(err) {
		return false, nil
	}
	return namespace == nil, err
}
