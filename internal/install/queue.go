package install

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/health"
)

// OpenQueue reaches the queue of a launch, for the verbs that look after it. Close
// ends it.
func OpenQueue(ctx context.Context, f store.Folder) (*queue.Client, error) {
	s, cluster, err := look(ctx, f)
	if err != nil {
		return nil, err
	}
	return queue.Open(ctx, cluster, f.LaunchID, s.launch.Plan.Launch.Token)
}

// RestoreQueue puts back what a backup of the launch's queue has and the queue has
// not. The file is one that queue.CheckBackup found whole.
func RestoreQueue(ctx context.Context, f store.Folder, file string, report *progress.Reporter) (*queue.Restored, error) {
	open := func(ctx context.Context) (*queue.Client, error) { return OpenQueue(ctx, f) }
	return queue.Restore(ctx, file, open, report)
}

// PlanQueueRescue returns what is left of a queue with two disks gone, and what a
// rescue may lose.
func PlanQueueRescue(ctx context.Context, f store.Folder) (*queue.Rescue, error) {
	s, cluster, err := look(ctx, f)
	if err != nil {
		return nil, err
	}
	nodes, err := queue.OpenNodes(ctx, cluster, f.LaunchID, s.launch.Plan.Launch.Token)
	if err != nil {
		return nil, err
	}
	defer nodes.Close()
	disks, err := nodes.Disks(ctx)
	if err != nil {
		return nil, err
	}
	noted, err := health.FindQueue(ctx, cluster)
	if err != nil {
		return nil, target.Refused(err)
	}
	return queue.PlanRescue(disks, noted)
}

// RescueQueue does what was planned, and waits until every node has what is left.
func RescueQueue(ctx context.Context, f store.Folder, r *queue.Rescue, timeout time.Duration, report *progress.Reporter) error {
	s, cluster, err := look(ctx, f)
	if err != nil {
		return err
	}
	open := func(ctx context.Context) (queue.Nodes, error) {
		return queue.OpenNodes(ctx, cluster, f.LaunchID, s.launch.Plan.Launch.Token)
	}
	nodes, err := open(ctx)
	if err != nil {
		return err
	}
	err = nodes.Rescue(ctx, r)
	nodes.Close()
	if err != nil {
		return err
	}
	report.Line("%s is what the queue goes on with", r.From.Node)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := queue.AwaitFilled(limited, open, report); err != nil {
		return err
	}
	r.Done = true
	return nil
}
