package install

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/places"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
)

// StatusResult is what of a launch is where.
type StatusResult struct {
	Satellite    string              `json:"satellite"`
	Namespace    string              `json:"namespace"`
	Server       string              `json:"server"`
	Downloaded   int                 `json:"downloaded_version"`
	Wanted       int                 `json:"wanted_version"`    // of the last deploy begun; 0 is none
	Installed    int                 `json:"installed_version"` // of the last deploy done; 0 is none
	Running      int                 `json:"running_version"`   // whose routes the engines have; 0 is none
	Acknowledged bool                `json:"adopted"`           // every engine said that it uses them
	ExpiresAt    time.Time           `json:"expires_at"`
	Expired      bool                `json:"expired"`
	Deployments  []health.Deployment `json:"deployments"`
	History      []apply.PastVersion `json:"history"`   // versions that can be rolled back to
	Heartbeat    string              `json:"heartbeat"` // when the mothership took one last, as RFC 3339
	HeartbeatAge *int64              `json:"heartbeat_age_seconds,omitempty"`
	Problem      string              `json:"heartbeat_error,omitempty"`    // why it did not take the last one
	Mothership   int                 `json:"mothership_version,omitempty"` // that the mothership has, 0 unknown
	Reports      bool                `json:"heartbeats"`                   // they are not turned off
	Queue        *health.Queue       `json:"queue,omitempty"`              // what is known of it without asking it
	Egress       []egress.Told       `json:"egress,omitempty"`             // what algorithms may reach, by which policies
	Notes        []string            `json:"notes,omitempty"`              // what else the operator should know
}

// Healthy reports whether the version that was downloaded runs, all of it.
func (r *StatusResult) Healthy() bool {
	for _, h := range r.Deployments {
		if !h.Ready {
			return false
		}
	}
	return r.Installed > 0 && r.Installed == r.Wanted
}

// NotReady is nil when all that was deployed is ready, and else names what is
// not; status ends with its exit code.
func (r *StatusResult) NotReady() error {
	var parts []string
	for _, h := range r.Deployments {
		if !h.Ready {
			parts = append(parts, cmp.Or(h.Vanity, h.Name))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return fault.Errorf(fault.CodeFailed, "%d of %d parts are not ready: %s", len(parts), len(r.Deployments), strings.Join(parts, ", "))
}

// Behind is nil when what runs is the newest there is of the launch, and else says
// what is newer; status ends with its exit code.
func (r *StatusResult) Behind() error {
	switch {
	case r.Installed == 0 && r.Wanted == 0:
		return fault.Errorf(fault.CodePending, "not deployed yet")
	case r.Wanted != r.Installed:
		return fault.Errorf(fault.CodePending, "the deploy of version %d is not done", r.Wanted)
	case r.Downloaded != r.Installed:
		return fault.Errorf(fault.CodePending, "version %d is downloaded, and version %d is installed", r.Downloaded, r.Installed)
	case r.Mothership > r.Installed:
		return fault.Errorf(fault.CodePending, "the mothership has version %d, and version %d is installed: get and deploy it", r.Mothership, r.Installed)
	}
	return nil
}

// Status asks the cluster how a launch does.
func Status(ctx context.Context, f store.Folder) (*StatusResult, error) {
	s, cluster, err := look(ctx, f)
	if err != nil {
		return nil, err
	}
	satellite := s.launch.Plan.Satellite
	result := &StatusResult{
		Satellite: satellite.Name, Namespace: cluster.Namespace, Server: cluster.Server, Downloaded: s.launch.Root.Version,
		ExpiresAt: satellite.ExpiresAt, Expired: !satellite.ExpiresAt.IsZero() && time.Now().After(satellite.ExpiresAt),
		Reports:     s.config.Stage.Heartbeat != "off",
		Deployments: []health.Deployment{}, History: []apply.PastVersion{},
		Notes: places.Elsewhere(ctx, f, s.config.Stage, cluster.Server, cluster),
	}
	if told := reach.Mothership(ctx, s.config.Stage, s.launch.Plan.Mothership.URL); told != "" {
		result.Notes = append(result.Notes, told)
	}
	inventory, err := apply.ReadInventory(ctx, cluster)
	switch {
	case err != nil:
		return nil, target.Refused(err)
	case inventory == nil || inventory.LaunchID != f.LaunchID:
		return result, nil
	}
	result.Wanted, result.Installed, result.Acknowledged = inventory.Wanted, inventory.Installed, inventory.Config != ""
	result.History = append(result.History, inventory.History...)
	if result.Running, err = health.RoutedVersion(ctx, cluster); err != nil {
		return nil, target.Refused(err)
	}
	var wanted []string // that all have to be there
	if inventory.RolloutID == "" && inventory.Wanted == inventory.Installed {
		wanted = inventory.Deployments()
	}
	if result.Deployments, err = health.Deployments(ctx, cluster, f.LaunchID, wanted); err != nil {
		return nil, target.Refused(err)
	}
	if note, err := preflight.QueueNote(ctx, cluster, f.LaunchID); err != nil {
		return nil, target.Refused(err)
	} else if note != "" {
		result.Notes = append(result.Notes, note)
	}
	if result.Queue, err = health.FindQueue(ctx, cluster); err != nil {
		return nil, target.Refused(err)
	}
	if result.Egress, err = health.Egress(ctx, cluster, inventory.Named("NetworkPolicy"), slices.Sorted(maps.Keys(s.config.Stage.Egress))); err != nil {
		return nil, target.Refused(err)
	}
	heartbeat, err := health.LastHeartbeat(ctx, cluster)
	if err != nil {
		return nil, target.Refused(err)
	}
	result.heard(heartbeat, time.Now())
	return result, nil
}

// heard takes over what is known of the engines' reports.
func (r *StatusResult) heard(h health.Heartbeat, now time.Time) {
	r.Heartbeat, r.Problem, r.Mothership = h.Accepted, h.Problem, h.Wanted
	if age, known := h.Age(now); known {
		seconds := int64(age / time.Second)
		r.HeartbeatAge = &seconds
	}
}
