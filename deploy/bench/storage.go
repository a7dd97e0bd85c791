package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

// gettingFromStores measures get from motherships that keep their images in a
// folder, in a bucket, and in a bucket to which they send who asks, beside crane
// from the first; and how soon each is ready, and what it takes when idle.
func gettingFromStores(ctx context.Context, binary string, out io.Writer) error {
	dir, remove, err := tempDir()
	if err != nil {
		return err
	}
	defer remove()
	in, stop, err := startBucket(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var tools []tool
	var first *bench
	for _, kind := range []struct {
		name  string
		flags []string
	}{
		{"files", nil},
		{"S3, through the mothership", []string{"--storage", in("through")}},
		{"S3, by redirect", []string{"--storage", in("redirect"), "--storage-redirect"}},
	} {
		place := filepath.Join(dir, fmt.Sprint(len(tools)))
		if err := os.Mkdir(place, 0o755); err != nil { //nolint:gosec // PostgreSQL's user passes through it
			return fmt.Errorf("make a folder: %w", err)
		}
		b, err := newBench(ctx, place, binary, out, kind.flags...)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		defer func() { _ = b.mothership.Stop() }()
		l, _, err := b.fourImages(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		if err := b.again(ctx, kind.name, kind.flags...); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		if first == nil {
			first = b
			pull := slices.Concat([]string{b.crane, "pull", "--insecure", "--format=oci"}, l.references)
			tools = append(tools, tool{"crane pull --format=oci; sync, of files", func(ctx context.Context, place string) (sample, error) {
				return b.durably(ctx, place, append(slices.Clip(pull), place)...)
			}})
		}
		tools = append(tools, tool{"algo-install get, of " + kind.name, func(ctx context.Context, place string) (sample, error) { return b.get(ctx, l, place) }})
	}
	return first.compare(ctx, "get by storage: four images, 400 MB, 160 MB of it shared", tools, wantedRounds())
}

// again starts the mothership again, and says how soon it is ready and what it
// takes then.
func (b *bench) again(ctx context.Context, name string, flags ...string) error {
	if err := b.mothership.Stop(); err != nil {
		return err
	}
	begun := time.Now()
	m, err := stack.StartMothership(ctx, b.binary, filepath.Join(b.dir, "mothership"), b.mothership.Host, flags...)
	if err != nil {
		return err
	}
	took := time.Since(begun)
	b.mothership = m
	time.Sleep(settle)
	memory, err := residentKB(m.PID())
	fmt.Fprintf(b.out, "serve, %s: ready after %.2f s, resident when idle %d MB\n", name, took.Seconds(), memory/1024)
	return err
}
