package discovery

import (
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/kube/cluster/transport"
)

// podNamespaceFile is where a pod finds its namespace.
const podNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace" //nolint:gosec // a path, no credential

// requestRetry is how long one request to the API server is retried. Then
// its caller logs the error and starts over.
const requestRetry = 10 * time.Second

// Cluster is an API server and one namespace of it.
type Cluster struct {
	Config    *rest.Config
	Namespace string
}

// FindCluster returns the cluster of kubeconfig, or that of the pod around us
// when kubeconfig is "". An empty namespace is the kubeconfig's or the pod's.
// The error is [rest.ErrNotInCluster] when there is neither.
func FindCluster(kubeconfig, namespace string) (Cluster, error) {
	c := Cluster{Namespace: namespace}
	var err error
	if kubeconfig == "" {
		err = c.fromPod()
	} else {
		err = c.fromKubeconfig(kubeconfig)
	}
	if err != nil {
		return Cluster{}, err
	}
	c.Config.Wrap(transport.RetryPolicy{Budget: requestRetry}.Wrap)
	return c, nil
}

func (c *Cluster) fromPod() (err error) {
	if c.Config, err = rest.InClusterConfig(); err != nil {
		return err
	}
	if c.Namespace == "" {
		data, err := os.ReadFile(podNamespaceFile)
		if err != nil {
			return fmt.Errorf("read the pod's namespace: %w", err)
		}
		c.Namespace = strings.TrimSpace(string(data))
	}
	return nil
}

func (c *Cluster) fromKubeconfig(path string) (err error) {
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, &clientcmd.ConfigOverrides{})
	if c.Config, err = loader.ClientConfig(); err != nil {
		return fmt.Errorf("read kubeconfig %s: %w", path, err)
	}
	if c.Namespace == "" {
		if c.Namespace, _, err = loader.Namespace(); err != nil {
			return fmt.Errorf("read kubeconfig %s: %w", path, err)
		}
	}
	return nil
}
