package node

import (
	"context"
	"testing"
	"time"
)

// TestWhatANodeAcknowledgesIsSynced: a server that acknowledges what is in the page
// cache alone loses it with its machine, which no kill of its process shows.
func TestWhatANodeAcknowledgesIsSynced(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const size = 1 << 30
	n, err := Start(ctx, Options{Name: "queue-0", Dir: t.TempDir(), Size: size})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close(context.WithoutCancel(ctx)) }()
	config := n.server.JetStreamConfig()
	if config == nil || !config.SyncAlways {
		t.Errorf("the server runs with %+v, want each write synced", config)
	}
	if config != nil && config.MaxStore > size*fullPart/100 {
		t.Errorf("streams may store %d bytes of %d, want room for the replication's log beside them", config.MaxStore, int64(size))
	}
	if name := n.server.Name(); name != "queue-0" {
		t.Errorf("the server is %s, want the name of its pod", name)
	}
}

// fullPart of a volume, in percent, is when no new work is taken.
const fullPart = 85
