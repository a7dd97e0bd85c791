package control

import (
	"errors"
	"fmt"
	"testing"

	"github.com/constellation-serving/constellation/internal/postgres"
)

// TestLaunchesAreReadTogether: who asks for a launch that waits to be read waits
// with the others, a reader takes them all at once, and what changed while they
// were read is not remembered.
func TestLaunchesAreReadTogether(t *testing.T) {
	t.Parallel()
	h := newHeartbeats()
	h.listening = true
	first, isReader := h.ask("1")
	if !isReader {
		t.Fatal("the first has no reader")
	}
	if again, isReader := h.ask("1"); again != first || isReader {
		t.Error("a launch that waits is read twice")
	}
	one := h.takeBatch()
	if len(one.reads) != 1 {
		t.Errorf("the first batch has %d launches, want 1", len(one.reads))
	}
	if again, isReader := h.ask("1"); again == first || !isReader {
		t.Error("who asks while a launch is read is told what was before")
	}
	waits := map[string]*launchRead{}
	for i := range launchesPerRead + 10 {
		id := fmt.Sprint("many-", i)
		if waits[id], isReader = h.ask(id); isReader {
			t.Error("there are more readers than launchReaders")
		}
	}
	many, rest := h.takeBatch(), h.takeBatch()
	if len(many.reads) != launchesPerRead || len(rest.reads) != 11 {
		t.Errorf("batches of %d and %d launches, want %d and 11", len(many.reads), len(rest.reads), launchesPerRead)
	}
	h.evict("changed")
	found := map[string]*cachedLaunch{}
	for id := range many.reads {
		found[id] = &cachedLaunch{Reporter: postgres.Reporter{LaunchID: id, SatelliteID: "kept"}}
	}
	var changed, gone string
	for id := range many.reads {
		if changed == "" {
			changed = id
			found[id].SatelliteID = "changed"
		} else if gone == "" {
			gone = id
			delete(found, id)
		}
	}
	h.remember(many, found, nil)
	h.remember(one, nil, nil)
	h.remember(rest, nil, errors.New("the database is away"))
	for id, read := range many.reads {
		<-read.done
		if id == gone {
			if read.err == nil {
				t.Error("a launch that is not there is read")
			}
			continue
		}
		if read.launch != found[id] || read.err != nil {
			t.Errorf("%s is read as %v, %v", id, read.launch, read.err)
		}
		if remembered := h.launches[id] != nil; remembered == (id == changed) {
			t.Errorf("%s is remembered: %v", id, remembered)
		}
	}
	for id, read := range rest.reads {
		if <-read.done; read.err == nil {
			t.Errorf("%s is read without a database", id)
		}
	}
	for range launchReaders {
		if h.takeBatch() != nil {
			t.Error("a launch waits still")
		}
	}
	if h.reads.readers != 0 || len(h.reads.batches) != 0 {
		t.Errorf("%d readers and %d batches are left", h.reads.readers, len(h.reads.batches))
	}
}
