package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is where the satellite goes.
type Cluster struct {
	Name        string `json:"name"`
	Kubeconfig  string `json:"kubeconfig"`
	HostAddress string `json:"host_address"` // of this machine, as pods reach it
	IngressURL  string `json:"ingress_url"`

	devcluster string // the program that started it, "" for the user's own
}

// CustomerPort is where the customer's registry listens on the dev cluster's
// host address; the cluster's containerd is told that it speaks plain HTTP.
const CustomerPort = "5001"

// StartCluster starts a dev cluster of that name with its state under dir.
func StartCluster(ctx context.Context, devcluster, name, dir string, progress io.Writer) (*Cluster, error) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return nil, errors.New("the dev cluster needs Linux and root; elsewhere set KUBECONFIG to a cluster of yours and DEMO_REGISTRY to a registry that it can pull from")
	}
	c, state := &Cluster{devcluster: devcluster, Name: name}, filepath.Join(dir, "cluster")
	_, err := Command{
		Args:     []string{devcluster, "up", "--name", name, "--state", state, "--insecure-registry", ":" + CustomerPort},
		Progress: progress,
	}.Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the dev cluster: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(state, "cluster.json"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the dev cluster: %w", err), c.Stop(ctx, progress))
	}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, errors.Join(fmt.Errorf("start the dev cluster: read cluster.json: %w", err), c.Stop(ctx, progress))
	}
	return c, nil
}

// RemoveCluster removes a dev cluster of that name, whatever state it is in;
// none is fine.
func RemoveCluster(ctx context.Context, devcluster, name string, progress io.Writer) error {
	return (&Cluster{devcluster: devcluster, Name: name}).Stop(ctx, progress)
}

// FindIngress learns where the user's own cluster answers for the satellite's
// Ingress, from that object's status; it waits for the controller to say.
func (c *Cluster) FindIngress(ctx context.Context, namespace string) error {
	if c.IngressURL != "" {
		return nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		ingress, err := kube.NetworkingV1().Ingresses(namespace).Get(ctx, "execution-engine", metav1.GetOptions{})
		if err == nil && len(ingress.Status.LoadBalancer.Ingress) > 0 {
			at := ingress.Status.LoadBalancer.Ingress[0]
			c.IngressURL = "http://" + cmp.Or(at.Hostname, at.IP)
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("the cluster's ingress controller gave the Ingress execution-engine no address"), err)
		case <-tick.C:
		}
	}
}

// Stop removes the dev cluster and all it made; a user's own cluster stays.
func (c *Cluster) Stop(ctx context.Context, progress io.Writer) error {
	if c == nil || c.devcluster == "" {
		return nil
	}
	_, err := Command{Args: []string{c.devcluster, "down", "--name", c.Name}, Progress: progress}.Run(ctx)
	return err
}
