package install

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
)

// GetOptions are what get needs besides the launch's folder.
type GetOptions struct {
	Mothership string // host[:port] or URL; "" is the last one used
	Key        string
	TLS        TLS
	Trust      string // id of a new mothership key that the operator accepts
	Progress   *Progress
	FreeSpace  func(dir string) (int64, error) // nil asks the file system
	Idle       time.Duration                   // 0 is 30 s
	Backoff    func(attempt int) time.Duration // nil is 0.5 s doubling to 15 s
}

// GetResult is what get did.
type GetResult struct {
	Path             string `json:"path"`
	SatelliteVersion int    `json:"satellite_version"`
	Algorithms       int    `json:"algorithms"`
	Blobs            int    `json:"blobs"`
	Bytes            int64  `json:"bytes"`
	Fetched          int64  `json:"bytes_fetched"` // that were not on this machine yet
	Unchanged        bool   `json:"unchanged"`
}

// Get downloads a launch into its folder. launch.json is written first and
// index.json last: a folder with a matching index.json is complete. When all
// is there already it costs one request.
func Get(ctx context.Context, f Folder, o GetOptions) (*GetResult, error) {
	result, err := get(ctx, f, o)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = &Error{Code: CodeFailed, Err: noRoom{err}, Message: fmt.Sprintf("no room is left in %s; make room and get again, which goes on where it stopped, or choose another folder with --deployment-dir", f.Root)}
	}
	return result, interrupted(ctx, err, "the download")
}

// noRoom is a full disk, without the path of the file that met it.
type noRoom struct{ error }

// Error gives the system's words.
func (e noRoom) Error() string {
	var number syscall.Errno
	if errors.As(e.error, &number) {
		return number.Error()
	}
	return e.error.Error()
}

func (e noRoom) Unwrap() error { return e.error }

func get(ctx context.Context, f Folder, o GetOptions) (*GetResult, error) {
	if err := f.make(); err != nil {
		return nil, err
	}
	unlock, err := f.lock(ctx, "get", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	m, err := o.mothership(f.Root)
	if err != nil {
		return nil, err
	}
	defer m.client.CloseIdleConnections()
	etag := ""
	current, currentErr := openLaunch(f)
	if currentErr == nil && current.complete() == nil {
		etag = bundle.Digest(current.rootBytes)
	}
	signed, err := m.plan(ctx, f, etag)
	if err != nil {
		return nil, err
	}
	if signed == nil || etag == bundle.Digest([]byte(signed.Launch)) {
		return current.result(f, true), rememberLast(f.Root, m.base.String())
	}
	launch, err := accept(f, o, m, signed)
	if err != nil {
		return nil, err
	}
	return download(ctx, f, o, m, signed, launch)
}

func (o GetOptions) mothership(root string) (*mothership, error) {
	address := o.Mothership
	if address == "" {
		last, err := LastMothership(root)
		if err != nil {
			return nil, err
		}
		if address = last; last == "" {
			return nil, errorf(CodeUsage, "which mothership? give --mothership https://HOST, or set ALGO_MOTHERSHIP; the launch's page shows the whole command")
		}
	}
	base, note, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	if note != "" {
		o.Progress.Line("%s", note)
	}
	transport, err := o.TLS.transport()
	if err != nil {
		return nil, err
	}
	m := &mothership{base: base, key: o.Key, client: &http.Client{Transport: transport}, report: o.Progress.Line, delay: o.Backoff}
	if m.delay == nil {
		m.delay = backoff
	}
	return m, nil
}

// accept checks what the mothership sent, and writes launch.json.
func accept(f Folder, o GetOptions, m *mothership, signed *apiv1.SignedPlan) (*launch, error) {
	var signature bundle.Signature
	if err := json.Unmarshal(signed.Signature, &signature); err != nil {
		return nil, wrap(err, CodeIntegrity, "read the launch's signature")
	}
	t, err := readTrust(f.Root)
	if err != nil {
		return nil, err
	}
	note, err := t.check([]byte(signed.Launch), signature, m.base.String(), o.Trust)
	if err != nil {
		return nil, err
	}
	l, err := parseLaunch(f, []byte(signed.Launch), []byte(signed.Plan))
	if err != nil {
		return nil, err
	}
	t.Last = m.base.String()
	if err := writeJSON(trustFile(f.Root), t); err != nil {
		return nil, wrap(err, CodeFailed, "remember the mothership")
	}
	if note != "" {
		o.Progress.Line("%s", note)
	}
	l.signature = signed.Signature
	return l, nil
}

func rememberLast(root, address string) error {
	t, err := readTrust(root)
	if err != nil || t.Last == address {
		return err
	}
	t.Last = address
	return writeJSON(trustFile(root), t)
}

// download fetches what is missing, and commits.
func download(ctx context.Context, f Folder, o GetOptions, m *mothership, signed *apiv1.SignedPlan, l *launch) (*GetResult, error) {
	repository, _, ok := strings.Cut(signed.Bundle, ":")
	if !ok {
		return nil, errorf(CodeIntegrity, "the mothership names no bundle")
	}
	missing, need := l.missing()
	if err := o.room(f, missing, need); err != nil {
		return nil, err
	}
	if err := errors.Join(writeFile(f.Path("launch.json"), l.rootBytes), writeFile(f.Path("launch.json.sig"), l.signature),
		writeFile(f.blob(l.root.Plan.Digest), l.planBytes), writeFile(f.blob(bundle.Digest(l.rootBytes)), l.rootBytes)); err != nil {
		return nil, wrap(err, CodeFailed, "write the launch")
	}
	d := &downloader{mothership: m, folder: f, repository: repository, idle: o.Idle}
	if d.idle == 0 {
		d.idle = idleTimeout
	}
	o.Progress.Line("downloading version %d of satellite %s: %d of %d blobs, %s", l.root.Version, l.plan.Satellite.Name, len(missing), len(l.root.Blobs), Size(need))
	d.transfer = o.Progress.transfer("download", len(missing), need)
	err := d.all(ctx, missing)
	d.transfer.end()
	if err != nil {
		return nil, err
	}
	if err := d.commit(ctx, l, signed.Index); err != nil {
		return nil, err
	}
	result := l.result(f, false)
	result.Fetched = need
	return result, nil
}

// all fetches blobs, largest first. One that fails does not stop the others;
// a refused key does.
func (d *downloader) all(ctx context.Context, blobs []bundle.Descriptor) error {
	slices.SortFunc(blobs, func(a, b bundle.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(downloadWidth)
	var mu sync.Mutex
	var failed []error
	for _, blob := range blobs {
		group.Go(func() error {
			err := d.fetch(ctx, blob)
			switch {
			case err == nil:
				d.transfer.done()
				return nil
			case codeOf(err) == CodeAuth || ctx.Err() != nil || isDiskError(err):
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, err)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(failed) > 1 {
		return wrap(failed[0], codeOf(failed[0]), "%d of %d blobs could not be downloaded; what arrived is kept; the first", len(failed), len(blobs))
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return nil
}

// room checks the disk before the first byte: what is needed and 1% for the
// file system.
func (o GetOptions) room(f Folder, missing []bundle.Descriptor, need int64) error {
	for _, blob := range missing {
		if info, err := os.Stat(f.Path("work", hexOf(blob.Digest)+".part")); err == nil {
			need -= info.Size()
		} else if info, err := os.Stat(f.shared(blob.Digest)); err == nil {
			need -= info.Size()
		}
	}
	free := o.FreeSpace
	if free == nil {
		free = freeSpace
	}
	have, err := free(f.Path())
	if err != nil {
		return wrap(err, CodeFailed, "ask how much of the disk is free")
	}
	if need += need / 100; need > have {
		return errorf(CodeFailed, "there is not enough room in %s: the download needs %s more and %s are free; make room, or choose another folder with --deployment-dir", f.Root, Size(need), Size(have))
	}
	return nil
}

// commit fetches the bundle's own two documents, checks them against the
// signed root, and writes index.json, last.
func (d *downloader) commit(ctx context.Context, l *launch, indexDigest string) error {
	index, err := d.document(ctx, indexDigest)
	if err != nil {
		return err
	}
	if err := l.checkIndex(index, func(digest string) ([]byte, error) { return d.document(ctx, digest) }); err != nil {
		return err
	}
	layout, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []any{map[string]any{
			"mediaType": "application/vnd.oci.image.index.v1+json", "digest": indexDigest, "size": len(index),
			"annotations": map[string]string{"org.opencontainers.image.ref.name": d.folder.LaunchID},
		}},
	})
	if err != nil {
		return wrap(err, CodeFailed, "write index.json")
	}
	f := d.folder
	err = errors.Join(
		writeFile(f.blob(bundle.Digest([]byte("{}"))), []byte("{}")),
		writeFile(f.Path("bundle", "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`)),
		syncDir(f.Path("bundle", "blobs", "sha256")),
		writeFile(f.Path("bundle", "index.json"), layout),
	)
	if err != nil {
		return wrap(err, CodeFailed, "write the bundle")
	}
	l.index = indexDigest
	d.sweep(l)
	return errors.Join(rememberVerified(f, l))
}

// document fetches a small manifest and stores it.
func (d *downloader) document(ctx context.Context, digest string) ([]byte, error) {
	var data []byte
	err := d.retry(ctx, "download "+short(digest), blobAttempts, func() error {
		response, err := d.get(ctx, "/v2/"+d.repository+"/manifests/"+digest, http.Header{
			"Accept": {"application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"},
		})
		if err != nil {
			return err
		}
		defer response.Body.Close() //nolint:errcheck // read only
		if response.StatusCode != http.StatusOK {
			return d.refused(response)
		}
		if data, err = readLimited(response.Body); err != nil {
			return d.unreachable(ctx, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if got := bundle.Digest(data); got != digest {
		return nil, errorf(CodeIntegrity, "manifest %s came as %s", digest, got)
	}
	return data, writeFile(d.folder.blob(digest), data)
}

// sweep removes blobs that the launch no longer has, and shared ones that no
// launch has. What it cannot remove costs only room.
func (d *downloader) sweep(l *launch) {
	wanted := l.digests()
	drop := func(dir string, keep func(fs.DirEntry) bool) {
		entries, _ := os.ReadDir(dir) //nolint:errcheck // see above
		for _, entry := range entries {
			if !keep(entry) {
				_ = os.Remove(filepath.Join(dir, entry.Name()))
			}
		}
	}
	f := d.folder
	drop(f.Path("bundle", "blobs", "sha256"), func(e fs.DirEntry) bool { return wanted["sha256:"+e.Name()] })
	drop(filepath.Join(f.Root, "blobs", "sha256"), func(e fs.DirEntry) bool { return linked(e) })
	drop(f.Path("work"), func(e fs.DirEntry) bool { return !strings.Contains(e.Name(), ".part") })
}
