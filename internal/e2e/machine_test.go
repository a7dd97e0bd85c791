package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// killAPIServer kills the kube-apiserver whose files are under dir.
func killAPIServer(dir string) error {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, line := range lines {
		data, err := os.ReadFile(line)
		if err != nil || !bytes.Contains(data, []byte("kube-apiserver")) || !bytes.Contains(data, []byte(dir)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}
	return errors.New("no kube-apiserver runs under " + dir)
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
