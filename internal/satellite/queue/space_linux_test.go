package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// smallDisk is a disk of 128 MiB.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount small disks")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

const smallStore = 96 << 20

// TestNodesWithoutAByteLeft: no node can write anything for a while, though the
// queue itself is far from full.
func TestNodesWithoutAByteLeft(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallStore)
	var dirs []string
	for _, n := range c.nodes {
		smallDisk(t, n.opts.Dir)
		t.Cleanup(n.kill)
		dirs = append(dirs, n.opts.Dir)
	}
	c.start()
	q := connect(t, Options{Servers: c.servers(), Replicas: 3, Size: smallStore, StoreTimeout: 2 * time.Second, AskTimeout: 5 * time.Second})
	withoutAByte(t, q, dirs)
	c.ready()
}

func TestANodeWithoutAByteLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	smallDisk(t, dir)
	n := startNode(t, node.Options{Dir: dir, Size: smallStore})
	q := connect(t, Options{Node: n, Size: smallStore, StoreTimeout: 2 * time.Second, AskTimeout: 5 * time.Second})
	withoutAByte(t, q, []string{dir})
}

// withoutAByte fills the disks with something else for a while.
func withoutAByte(t *testing.T, q *Queue, dirs []string) {
	t.Helper()
	publishMany(t, q, 0, 50)
	for _, dir := range dirs {
		fillDisk(t, filepath.Join(dir, "something-else"))
	}
	failed := 0
	for i := range 10 { // nothing new is taken, and what runs has its results to store
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := q.Set(ctx, BucketCall, fmt.Sprint("call-", i), make([]byte, 100<<10)); err != nil {
			failed++
		}
		cancel()
	}
	if failed == 0 {
		t.Fatal("there was room for every result")
	}
	eventually(t, "the disk is told as the reason", func() error {
		if err := q.Ready(); !errors.Is(err, ErrFull) {
			return fmt.Errorf("ready: %w", err)
		}
		return nil
	})
	for _, dir := range dirs {
		if err := os.Remove(filepath.Join(dir, "something-else")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		set(t, q, BucketCall, fmt.Sprint("call-", i), make([]byte, 100<<10))
	}
	publishMany(t, q, 50, 50)
	holds(t, q, 100)
}

// fillDisk writes a file until its disk takes no more.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, block := range [][]byte{make([]byte, 64<<10), {0}} {
		for err = nil; err == nil; {
			_, err = file.Write(block)
		}
	}
}
