package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
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

// Stop removes the dev cluster and all it made; a user's own cluster stays.
func (c *Cluster) Stop(ctx context.Context, progress io.Writer) error {
	if c == nil || c.devcluster == "" {
		return nil
	}
	_, err := Command{Args: []string{c.devcluster, "down", "--name", c.Name}, Progress: progress}.Run(ctx)
	return err
}
