package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// killAPIServer kills the kube-apiserver of the dev cluster whose state is in
// dir; the dev cluster starts it again.
func killAPIServer(dir string) error { return signalAPIServer(dir, syscall.SIGKILL) }

// signalAPIServer sends it a signal.
func signalAPIServer(dir string, signal syscall.Signal) error {
	found, err := processes(dir, "kube-apiserver\x00")
	if err == nil && len(found) == 0 {
		err = errors.New("no kube-apiserver runs in the cluster")
	}
	if err != nil {
		return err
	}
	return syscall.Kill(found[0], signal)
}

// clusterPID returns the process that the dev cluster with its state in dir runs below.
func clusterPID(dir string) (int, error) {
	var cluster struct{ PID int }
	data, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if err == nil {
		err = json.Unmarshal(data, &cluster)
	}
	return cluster.PID, err
}

// processes returns those of the dev cluster whose command lines have all words.
func processes(dir string, words ...string) ([]int, error) {
	cluster, err := clusterPID(dir)
	if err != nil {
		return nil, err
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, line := range lines {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(line)
		lacks := func(word string) bool { return !bytes.Contains(data, []byte(word)) }
		if err == nil && !slices.ContainsFunc(words, lacks) && descends(pid, cluster) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// descends reports whether a process is another's, or a child's of it.
func descends(pid, ancestor int) bool {
	for pid > 1 && pid != ancestor {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			return false
		}
	}
	return pid == ancestor
}

// lineWatch tells when a line is written.
type lineWatch struct {
	io.Writer
	line  string
	found chan struct{}
	once  sync.Once
}

// Write looks for the line.
func (w *lineWatch) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.line)) {
		w.once.Do(func() { close(w.found) })
	}
	return w.Writer.Write(p)
}
