package queue

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestANodeThatAbandonsAStreamStartsAgain has a node's server find another
// content in a snapshot than when it began, as when another node's snapshot takes
// its place: it gives up following the stream, and never would be ready.
func TestANodeThatAbandonsAStreamStartsAgain(t *testing.T) {
	t.Parallel()
	c, q := startCluster(t, Options{})
	publishMany(t, q, 0, 20)
	c.ready()
	n := c.nodes[2]
	n.stop() // which makes snapshots
	found, err := filepath.Glob(filepath.Join(n.opts.Dir, "store", "jetstream", "$SYS", "_js_", "S-*", "snapshots", "snap.*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("snapshots: %q, %v", found, err)
	}
	second := readOnce(t, found[0])
	n.begin()
	n.started()
	select {
	case <-second:
	case <-time.After(testTimeout):
		t.Fatal("the snapshot is not read a second time")
	}
	if err := n.ready(); err == nil {
		t.Error("the node is ready without having read its snapshot")
	}
	eventually(t, "the node is ready", n.ready)
	holds(t, q, 20)
}

// readOnce has a file read as it is the first time, as an empty one the second,
// when it closes what it returns, and then again as it is.
func readOnce(t *testing.T, file string) <-chan struct{} {
	t.Helper()
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.Rename(file, kept); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	second := make(chan struct{})
	go func() {
		defer close(second)
		first, err := os.OpenFile(file, os.O_WRONLY, 0) // once there is a reader
		if err != nil {
			t.Error(err)
			return
		}
		_, err = first.Write(text)
		if err := errors.Join(err, first.Close()); err != nil {
			t.Error(err)
		}
		for !errors.Is(err, unix.ENXIO) { // until that reader is gone
			var fd int
			if fd, err = unix.Open(file, unix.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
				_ = unix.Close(fd)
			}
		}
		again, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err := errors.Join(err, os.Rename(kept, file), again.Close()); err != nil {
			t.Error(err)
		}
	}()
	return second
}
