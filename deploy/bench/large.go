package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// large measures what a blob of several gigabytes takes.
func large(ctx context.Context, binary string, out io.Writer) error {
	return withBench(ctx, binary, out, func(b *bench) error { return b.large(ctx) })
}

// large moves a blob of 4 GB and watches the installer's memory, and kills a
// get of a blob of 1 GB at its half.
func (b *bench) large(ctx context.Context) error {
	four, err := b.oneLayer(ctx, "large", 20, 4e9)
	if err != nil {
		return err
	}
	root := filepath.Join(b.dir, "large")
	got, err := b.get(ctx, four, root)
	if err != nil {
		return err
	}
	registry, err := b.startRegistry(ctx, "distribution v3", filepath.Join(b.dir, "registry"))
	if err != nil {
		return err
	}
	defer registry.stop()
	if _, err := b.measure(ctx, b.binary, "algo-install", "satellite", four.satellite, four.id, "configure", "--deployment-dir", root,
		"stage.container_registry="+registry.host+"/team", "stage.registry.insecure=true"); err != nil {
		return err
	}
	pushed, err := b.measure(ctx, b.binary, "algo-install", "satellite", four.satellite, four.id, "push", "--deployment-dir", root)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n| a blob of 4 GB | s | peak MB |\n|---|---|---|\n| algo-install get | %.1f | %d |\n| algo-install push (distribution v3) | %.1f | %d |\n",
		got.seconds, got.peak/1e6, pushed.seconds, pushed.peak/1e6)
	return b.killAtHalf(ctx)
}

func (b *bench) oneLayer(ctx context.Context, name string, seed byte, size int64) (*moved, error) {
	layer, err := newFileLayer(b.dir, seed, size)
	if err != nil {
		return nil, err
	}
	image, err := imageOf(layer)
	if err != nil {
		return nil, err
	}
	version, err := b.publish(ctx, name, 1, image)
	if err != nil {
		return nil, err
	}
	return b.launch(ctx, name, []apiv1.SatelliteAlgorithm{{Algorithm: version, VanityURL: "bench/" + name, Replicas: 1}})
}

// killAtHalf ends a get with SIGKILL and counts what the next one fetches.
func (b *bench) killAtHalf(ctx context.Context) error {
	const size = int64(1e9)
	l, err := b.oneLayer(ctx, "half", 21, size)
	if err != nil {
		return err
	}
	root := filepath.Join(b.dir, "half")
	work := store.Folder{Root: root, SatelliteID: l.satellite, LaunchID: l.id}.Path("work")
	cmd := exec.CommandContext(ctx, b.binary, "algo-install", "satellite", l.satellite, l.id, "get", "--mothership", b.mothership.URL, "--deployment-dir", root)
	cmd.Env = append(os.Environ(), "ALGO_ADMIN_API_KEY="+b.key)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("get: %w", err)
	}
	var at int64
	for at < size/2 {
		parts, err := filepath.Glob(filepath.Join(work, "*.part"))
		if err != nil {
			return err
		}
		at = 0
		for _, part := range parts {
			if info, err := os.Stat(part); err == nil {
				at = max(at, info.Size())
			}
		}
		time.Sleep(time.Millisecond)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()                                           // it was killed
	parts, _ := filepath.Glob(filepath.Join(work, "*.part")) //nolint:errcheck // of a good pattern
	var kept int64
	for _, part := range parts {
		if info, err := os.Stat(part); err == nil {
			kept += info.Size()
		}
	}
	out, err := exec.CommandContext(ctx, "env", "ALGO_ADMIN_API_KEY="+b.key, b.binary, "algo-install", "satellite", l.satellite, l.id, "get", "-o", "json",
		"--mothership", b.mothership.URL, "--deployment-dir", root).Output()
	if err != nil {
		return fmt.Errorf("get again: %w", err)
	}
	fmt.Fprintf(b.out, "\na get of 1 GB killed at half: %d bytes were kept; the next run's result:\n%s", kept, out)
	return nil
}
