package main

import (
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// TestCollectByTwoServersSurvivesKills has two servers of one database and one bucket
// take pushes and removals, while garbage collections run beside each of them and are
// killed with SIGKILL, and each of the servers in turn too.
func TestCollectByTwoServersSurvivesKills(t *testing.T) {
	t.Parallel()
	f, store := newFleet(t), storagetest.New(t)
	f.account(t)
	stored := func() int64 { return store.Bytes(t, "registry/docker/registry/v2/blobs/") }
	args := []string{"--storage", store.Text("registry")}
	addresses := freeAddresses(t, 2)
	servers := make([]*replica, len(addresses))
	crashers := make([]*gcCrasher, len(addresses))
	first := newGCCrasher(t, &crasher{dir: f.dir, args: args, Written: loadtest.NewWritten(loadtest.Client{URL: "http://" + addresses[0], Key: f.key})})
	for i, address := range addresses {
		servers[i] = f.begin(t, "", address, args...).ready(t)
		crashers[i] = &gcCrasher{
			crasher: &crasher{dir: f.dir, args: args, Written: loadtest.NewWritten(loadtest.Client{URL: "http://" + address, Key: f.key})},
			layers:  first.layers, env: []string{"DATABASE_URL=" + f.database},
		}
	}
	crashers[0].gcWhole(t)
	before := stored()
	for round := range crashRounds(t) {
		for _, g := range crashers {
			g.Check(t, 0, 10)
		}
		dies := round % len(servers)
		var workers sync.WaitGroup
		for i, g := range crashers {
			workers.Go(func() { g.round(t, i == dies, servers[i].kill) })
		}
		workers.Wait()
		servers[dies] = f.begin(t, "", addresses[dies], args...).ready(t)
	}
	pushed, removed := 0, 0
	for _, g := range crashers {
		g.Check(t, 0, 0)
		pushed, removed = pushed+g.pushed, removed+g.removed
	}
	t.Logf("%d versions pushed, %d removed, %d stay and are whole", pushed, removed, len(crashers[0].Images)+len(crashers[1].Images))
	if pushed == 0 || removed == 0 {
		t.Error("nothing was pushed or removed between the kills, so nothing was tested")
	}
	crashers[1].removeAll(t)
	// Two at once to their ends: one has the work, the other waits for it.
	var ending sync.WaitGroup
	for _, g := range crashers {
		ending.Go(func() { g.gcWhole(t) })
	}
	ending.Wait()
	crashers[0].gcWhole(t)
	if after := stored(); after != before {
		t.Errorf("%d bytes of blobs are stored after all versions went; %d were before", after, before)
	}
}
