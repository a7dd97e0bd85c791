package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// killAPIServer kills the kube-apiserver of the dev cluster whose state is in
// dir; the dev cluster starts it again.
func killAPIServer(dir string) error { return signalAPIServer(dir, syscall.SIGKILL) }

// signalAPIServer sends it a signal: of those that run, to the one among the
// descendants of the dev cluster's process.
func signalAPIServer(dir string, signal syscall.Signal) error {
	var cluster struct{ PID int }
	data, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if err == nil {
		err = json.Unmarshal(data, &cluster)
	}
	if err != nil {
		return err
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, line := range lines {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if err != nil {
			return err
		}
		if data, err := os.ReadFile(line); err != nil || !bytes.Contains(data, []byte("kube-apiserver\x00")) {
			continue
		}
		if descends(pid, cluster.PID) {
			return syscall.Kill(pid, signal)
		}
	}
	return fmt.Errorf("no kube-apiserver runs below process %d", cluster.PID)
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
