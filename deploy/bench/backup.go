package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"golang.org/x/sync/errgroup"
)

// What is backed up: so many versions of images that share nothing, and then more.
const (
	backedUp     = 1000
	backedUpMore = 50
	backedUpSize = 1_500_000
)

// backups measures backups of 1,000 versions of images that share nothing, and what
// brings them back.
func backups(ctx context.Context, binary string, out io.Writer) error {
	dir, remove, err := tempDir()
	if err != nil {
		return err
	}
	defer remove()
	b := &backupBench{bench: &bench{dir: dir, binary: binary, out: out, docker: filepath.Join(dir, "docker")}, folder: filepath.Join(dir, "backups")}
	if err := b.start(ctx); err != nil {
		return err
	}
	return errors.Join(b.run(ctx), b.mothership.Stop())
}

type backupBench struct {
	*bench
	folder string
	whole  int64 // bytes of the first backup
}

func (b *backupBench) run(ctx context.Context) error {
	data, tar := b.mothership.DataDir, filepath.Join(b.dir, "one.tar")
	s3, stop, err := startBucket(ctx)
	if err != nil {
		return err
	}
	defer stop()
	begun := time.Now()
	if err := b.distinct(ctx, 0, backedUp); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n%d versions of %.1f MB pushed in %.0f s\n", backedUp, backedUpSize/1e6, time.Since(begun).Seconds())
	fmt.Fprintf(b.out, "\n| backup of %d versions that share nothing | s | MB | MB/s | peak MB |\n|---|---|---|---|---|\n", backedUp)
	if err := b.row(ctx, "the first, to a folder", b.folder, "backup", b.folder, "--data-dir", data); err != nil {
		return err
	}
	b.whole = bytesOf(b.folder)
	return errors.Join(
		b.row(ctx, "again, with nothing new", b.folder, "backup", b.folder, "--data-dir", data),
		b.row(ctx, "the first, to a tar", tar, "backup", tar, "--data-dir", data),
		b.row(ctx, "the first, to a bucket", "", "backup", s3("backups"), "--data-dir", data),
		b.row(ctx, "verify the folder's two", "", "backup", "verify", b.folder),
		b.restore(ctx, "restore the folder to files", "to-files"),
		b.restore(ctx, "restore the folder to a bucket", "to-bucket", "--storage", s3("images")),
		b.distinct(ctx, backedUp, backedUpMore),
		b.row(ctx, fmt.Sprintf("again, with %d versions more", backedUpMore), b.folder, "backup", b.folder, "--data-dir", data),
	)
}

// row measures one command; it moves what path has more afterwards, or, where path is
// "", what the first backup has.
func (b *backupBench) row(ctx context.Context, what, path string, args ...string) error {
	before := bytesOf(path)
	took, err := b.measure(ctx, append([]string{b.binary}, args...)...)
	if err != nil {
		return err
	}
	moved := b.whole
	if path != "" {
		moved = bytesOf(path) - before
	}
	fmt.Fprintf(b.out, "| %s | %.1f | %.0f | %.0f | %d |\n", what, took.seconds, float64(moved)/1e6, float64(moved)/1e6/took.seconds, took.peak/1e6)
	return nil
}

func (b *backupBench) restore(ctx context.Context, what, name string, more ...string) error {
	key, err := os.ReadFile(filepath.Join(b.mothership.DataDir, "secret.key"))
	if err != nil {
		return fmt.Errorf("read the secret key: %w", err)
	}
	to := filepath.Join(b.dir, name)
	if err := errors.Join(os.Mkdir(to, 0o711), os.WriteFile(filepath.Join(to, "secret.key"), key, 0o600)); err != nil { //nolint:gosec // PostgreSQL's user passes through
		return fmt.Errorf("make a data dir: %w", err)
	}
	return b.row(ctx, what, "", append([]string{"restore", b.folder, "--data-dir", to}, more...)...)
}

// distinct pushes versions of images that share nothing with others.
func (b *backupBench) distinct(ctx context.Context, from, n int) error {
	pushing, ctx := errgroup.WithContext(ctx)
	pushing.SetLimit(4)
	for number := from; number < from+n; number++ {
		pushing.Go(func() error {
			content := make([]byte, backedUpSize)
			if _, err := rand.NewChaCha8([32]byte{byte(number), byte(number >> 8), 1}).Read(content); err != nil {
				return fmt.Errorf("make a layer: %w", err)
			}
			image, err := imageOf(static.NewLayer(content, types.OCIUncompressedLayer))
			if err != nil {
				return err
			}
			_, err = b.publishAs(ctx, fmt.Sprintf("many-%d", number%20), fmt.Sprintf("%040x", number+1), image)
			return err
		})
	}
	return pushing.Wait()
}

// startBucket starts an object store in this process's memory, and returns the
// locations of prefixes in it.
func startBucket(ctx context.Context) (text func(prefix string) string, stop func(), err error) {
	const bucket = "bench"
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		return nil, nil, fmt.Errorf("make a bucket: %w", err)
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true"} {
		if err := os.Setenv(name, value); err != nil {
			return nil, nil, fmt.Errorf("tell the bucket's credentials: %w", err)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("find a port: %w", err)
	}
	server := &http.Server{Handler: gofakes3.New(backend).Server(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // until it is closed
	return func(prefix string) string {
		return "s3://" + bucket + "/" + prefix + "?region=us-east-1&endpoint=http://" + listener.Addr().String()
	}, func() { _ = server.Close() }, nil
}

// bytesOf adds up the files of a folder, or is the size of a file.
func bytesOf(path string) (total int64) {
	_ = filepath.WalkDir(path, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // it is not there yet
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
