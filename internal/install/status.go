package install

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/kube"
)

// StatusResult is what of a launch is where.
type StatusResult struct {
	Satellite   string        `json:"satellite"`
	Namespace   string        `json:"namespace"`
	Server      string        `json:"server"`
	Downloaded  int           `json:"downloaded_version"`
	Wanted      int           `json:"wanted_version"`    // of the last deploy begun; 0 is none
	Installed   int           `json:"installed_version"` // of the last deploy done; 0 is none
	Running     int           `json:"running_version"`   // whose routes the engines have; 0 is none
	Adopted     bool          `json:"adopted"`           // every engine said that it uses them
	ExpiresAt   time.Time     `json:"expires_at"`
	Expired     bool          `json:"expired"`
	Deployments []kube.Health `json:"deployments"`
	History     []kube.Past   `json:"history"` // versions that can be rolled back to
	Heartbeat   string        `json:"heartbeat"`
}

// Healthy says whether the version that was downloaded runs, all of it.
func (r *StatusResult) Healthy() bool {
	for _, h := range r.Deployments {
		if !h.Ready {
			return false
		}
	}
	return r.Installed > 0 && r.Installed == r.Wanted
}

// Status asks the cluster how a launch does.
func Status(ctx context.Context, f Folder) (*StatusResult, error) {
	s, cluster, err := look(ctx, f)
	if err != nil {
		return nil, err
	}
	satellite := s.launch.plan.Satellite
	result := &StatusResult{
		Satellite: satellite.Name, Namespace: cluster.Namespace, Server: cluster.Server, Downloaded: s.launch.root.Version,
		ExpiresAt: satellite.ExpiresAt, Expired: !satellite.ExpiresAt.IsZero() && time.Now().After(satellite.ExpiresAt),
		Deployments: []kube.Health{}, History: []kube.Past{},
	}
	inventory, err := cluster.Inventory(ctx)
	switch {
	case err != nil:
		return nil, refusedByCluster(err)
	case inventory == nil || inventory.LaunchID != f.LaunchID:
		return result, nil
	}
	result.Wanted, result.Installed, result.Adopted = inventory.Wanted, inventory.Installed, inventory.Config != ""
	result.History = append(result.History, inventory.History...)
	if result.Running, err = cluster.RoutedVersion(ctx); err != nil {
		return nil, refusedByCluster(err)
	}
	if result.Deployments, err = cluster.Health(ctx, f.LaunchID, nil); err != nil {
		return nil, refusedByCluster(err)
	}
	if result.Heartbeat, err = cluster.LastHeartbeat(ctx); err != nil {
		return nil, refusedByCluster(err)
	}
	return result, nil
}
