package main

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What the program may have: it travels to every satellite.
const (
	mostBytes      = 100_000_000
	mostCompressed = 30_000_000
)

// TestProgramSize weighs the program as make build makes it.
func TestProgramSize(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("CONSTELLATION_BIN")
	if dir == "" {
		t.Skip("needs CONSTELLATION_BIN, the folder of the built programs")
	}
	file, err := os.Open(filepath.Join(dir, "mothership")) //nolint:gosec // a test's own
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var compressed counted
	w, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	size, err := io.Copy(w, file)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d compressed", size, compressed)
	if size >= mostBytes || compressed >= mostCompressed {
		t.Errorf("the program has %d bytes, %d compressed; it may have %d and %d: see what the last dependency brought", size, compressed, mostBytes, mostCompressed)
	}
}

// counted counts what is written to it.
type counted int64

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	*c += counted(len(p))
	return len(p), nil
}
