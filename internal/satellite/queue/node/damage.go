package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue/integrity"
)

// A node reads all that it stores before its server does, and goes on without what
// is damaged. One of several sets its store aside: it is then a node with an empty
// disk, which is filled from the two others, or waits for them (see admit.go). Where
// no other node has anything that is whole, it takes its store back. Of such a store,
// and of that of a node that stands alone, each message that cannot be read is erased,
// so that all others are kept, and their number is told.

const (
	// asideFolder is a damaged store until the node has all that it has to have.
	asideFolder = "damaged"
	// erasedFile says what was erased of a damaged store.
	erasedFile = "erased"
	// erasedTold is for how long that is told to engines.
	erasedTold = 7 * 24 * time.Hour
	// callStream is the stream that accepted calls wait in.
	callStream = "work"
)

// Erased is what a node erased of a store that was damaged.
type Erased struct {
	// ID tells this time from others.
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// Calls is how many accepted calls could not be read.
	Calls uint64 `json:"calls"`
}

// inspect reads what the node stores. A store that is damaged it sets aside, or
// erases what cannot be read of it where there is no other node.
func (n *Node) inspect(ctx context.Context) error {
	report, err := integrity.Check(ctx, n.folder(storeFolder))
	if err != nil {
		return err
	}
	if report.Damaged() {
		n.opts.Log.Error("the queue's disk is damaged", "node", n.opts.Name, "where", report.String(), "calls", report.Messages(callStream))
		if len(n.opts.Peers) == 0 {
			err = n.erase(report)
		} else {
			err = n.setAside()
		}
	}
	if err == nil {
		err = n.readErased()
	}
	return err
}

func (n *Node) folder(name string) string { return filepath.Join(n.opts.Dir, name) }

// setAside makes the node one whose disk is empty. Without its mark it is that
// wherever this is interrupted.
func (n *Node) setAside() error {
	if err := n.forget(completeFile); err != nil {
		return err
	}
	if n.isAside() { // what it is filled with is damaged too: the others have it
		return n.forget(storeFolder)
	}
	if err := os.Rename(n.folder(storeFolder), n.folder(asideFolder)); err != nil {
		return fmt.Errorf("set the damaged store aside: %w", err)
	}
	return syncFolder(n.opts.Dir)
}

// isAside reports whether the node has set a damaged store aside.
func (n *Node) isAside() bool {
	_, err := os.Stat(n.folder(asideFolder))
	return err == nil
}

// isDamaged reports whether what the node has, or had, lacks something.
func (n *Node) isDamaged() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.damaged || n.isAside()
}

// takeBack has the node go on with what can be read of its damaged store.
func (n *Node) takeBack(ctx context.Context) error {
	report, err := integrity.Check(ctx, n.folder(asideFolder))
	if err == nil {
		err = n.erase(report)
	}
	if err == nil {
		err = n.readErased()
	}
	if err == nil {
		err = n.forget(storeFolder)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(n.folder(asideFolder), n.folder(storeFolder)); err != nil {
		return fmt.Errorf("take the damaged store back: %w", err)
	}
	n.mu.Lock()
	n.damaged = true
	n.mu.Unlock()
	return n.mark(sinceFilled)
}

// leaveRoom gives a damaged store up where there would be no room for a new one
// beside it. It is called once the others are known to have everything.
func (n *Node) leaveRoom() error {
	free, total, err := n.opts.Room(n.opts.Dir)
	if err != nil || free >= min(n.opts.Size, total)/100*storePercent {
		return err
	}
	return n.forget(asideFolder)
}

// filled is called when the node has everything.
func (n *Node) filled() {
	n.mu.Lock()
	n.damaged = false
	n.mu.Unlock()
	for _, name := range []string{rescueFile, asideFolder} {
		if err := n.forget(name); err != nil {
			n.opts.Log.Warn("clear up the queue's disk", "node", n.opts.Name, "error", err)
		}
	}
}

// forget takes a file or folder of the node away.
func (n *Node) forget(name string) error {
	if err := os.RemoveAll(n.folder(name)); err != nil {
		return fmt.Errorf("remove %s: %w", n.folder(name), err)
	}
	return syncFolder(n.opts.Dir)
}

// erase takes out what cannot be read, and notes first how many calls that are.
func (n *Node) erase(report integrity.Report) error {
	if calls := report.Messages(callStream); calls > 0 {
		text, err := json.Marshal(Erased{ID: rand.Text(), At: time.Now().UTC(), Calls: calls})
		if err != nil {
			return err
		}
		if err := writeSynced(n.folder(erasedFile), text); err != nil {
			return err
		}
	}
	return report.Erase()
}

// readErased reads what was erased lately.
func (n *Node) readErased() error {
	text, err := os.ReadFile(n.folder(erasedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what was erased of the queue: %w", err)
	}
	var e Erased
	if json.Unmarshal(text, &e) != nil || time.Since(e.At) > erasedTold {
		return n.forget(erasedFile)
	}
	n.mu.Lock()
	n.erased = &e
	n.mu.Unlock()
	return nil
}

// refillEvery is how often a node is filled anew at most.
const refillEvery = time.Hour

// refill fills the node anew from the others, which have something alike that its
// disk lost, as the comparison found. It is called every second.
func (n *Node) refill(ctx context.Context, lacks string) error {
	if lacks == "" || time.Since(n.refilled) < refillEvery {
		return nil
	}
	n.refilled = time.Now()
	n.opts.Log.Error("the queue's node is filled anew", "node", n.opts.Name, "reason", lacks)
	ns, _ := n.running()
	n.mu.Lock()
	n.server, n.waits = nil, lacks
	n.mu.Unlock()
	ns.Shutdown()
	ns.WaitForShutdown()
	if err := n.setAside(); err != nil {
		return errors.Join(err, n.serve(ctx))
	}
	if err := n.admit(ctx); err != nil {
		return err
	}
	return n.serve(ctx)
}
