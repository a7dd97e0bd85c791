package install

import (
	"context"

	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/install/store"
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
