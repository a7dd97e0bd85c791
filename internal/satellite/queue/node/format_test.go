package node

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheDisksFormat(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	start := func(dir string) error {
		n, err := Start(ctx, Options{Name: "queue-0", Dir: dir, Log: log})
		if err != nil {
			return err
		}
		if err := n.Close(ctx); err != nil {
			t.Fatal(err)
		}
		return nil
	}
	dir := t.TempDir()
	if err := start(dir); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, formatFile)); err != nil || string(text) != "1\n" {
		t.Fatalf("the format file says %q, %v", text, err)
	}
	if err := start(dir); err != nil {
		t.Errorf("a second start: %v", err)
	}
	for text, want := range map[string]string{
		"2\n": "format 2", "999999": "newer version", "": "does not say", "x": "does not say", "0": "does not say", "-1": "does not say",
	} {
		if err := os.WriteFile(filepath.Join(dir, formatFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := start(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("format %q: %v, want %q", text, err, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, formatFile)); err != nil {
		t.Fatal(err)
	}
	if err := start(dir); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("a store without a format: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(file); err == nil {
		t.Error("starts on a file")
	}
}
