package install

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/kube"
)

// StatusResult is what of a launch is where.
type StatusResult struct {
	Satellite   string        `json:"satellite"`
	Namespace   string        `json:"namespace"`
	Downloaded  int           `json:"downloaded_version"`
	Wanted      int           `json:"wanted_version"`    // of the last deploy begun; 0 is none
	Installed   int           `json:"installed_version"` // of the last deploy done; 0 is none
	ExpiresAt   time.Time     `json:"expires_at"`
	Deployments []kube.Health `json:"deployments"`
}

// Status asks the cluster how a launch does.
func Status(ctx context.Context, f Folder) (*StatusResult, error) {
	l, err := openLaunch(f)
	if err != nil {
		return nil, err
	}
	c, err := readConfig(f)
	if err != nil {
		return nil, err
	}
	if err := c.complete(f); err != nil {
		return nil, err
	}
	s := &session{launch: l, config: c}
	cluster, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	result := &StatusResult{Satellite: l.plan.Satellite.Name, Namespace: cluster.Namespace, Downloaded: l.root.Version, ExpiresAt: l.plan.Satellite.ExpiresAt}
	inventory, err := cluster.Inventory(ctx)
	switch {
	case err != nil:
		return nil, refusedByCluster(err)
	case inventory == nil || inventory.LaunchID != f.LaunchID:
		return result, nil
	}
	result.Wanted, result.Installed = inventory.Wanted, inventory.Installed
	if result.Deployments, err = cluster.Health(ctx, f.LaunchID, nil); err != nil {
		return nil, refusedByCluster(err)
	}
	return result, nil
}

// Listed is a launch on this machine.
type Listed struct {
	SatelliteID string `json:"satellite_id"`
	LaunchID    string `json:"launch_id"`
	Satellite   string `json:"satellite"`
	Launch      string `json:"launch"`
	Version     int    `json:"satellite_version"`
	State       string `json:"state"` // ready, incomplete or damaged
	Path        string `json:"path"`
}

// List finds the launches under a deployment folder.
func List(root string) ([]Listed, error) {
	paths, err := filepath.Glob(filepath.Join(root, "current", "satellite", "*", "*", "launch.json"))
	if err != nil {
		return nil, wrap(err, CodeFailed, "look into %s", root)
	}
	if _, err := os.Stat(root); err != nil && !os.IsNotExist(err) {
		return nil, wrap(err, CodeFailed, "look into %s", root)
	}
	list := []Listed{}
	for _, path := range paths {
		dir := filepath.Dir(path)
		f := Folder{Root: root, SatelliteID: filepath.Base(filepath.Dir(dir)), LaunchID: filepath.Base(dir)}
		item := Listed{SatelliteID: f.SatelliteID, LaunchID: f.LaunchID, State: "damaged", Path: dir}
		if l, err := openLaunch(f); err == nil {
			item.Satellite, item.Launch, item.Version, item.State = l.plan.Satellite.Name, l.plan.Launch.Name, l.root.Version, "ready"
			if l.complete() != nil {
				item.State = "incomplete"
			}
		}
		list = append(list, item)
	}
	slices.SortFunc(list, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(a.Satellite, b.Satellite), cmp.Compare(a.Launch, b.Launch), cmp.Compare(a.Path, b.Path))
	})
	return list, nil
}
