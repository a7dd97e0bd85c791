package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// verifyConcurrency is how many blobs are hashed at a time.
const verifyConcurrency = 4

// checked is what was found to be right.
type checked struct {
	files  int
	bytes  int64
	hashed bool // a file whose stamp is worth noting
}

// VerifyAll hashes every file of the launch.
func (l *Launch) VerifyAll(ctx context.Context, report *progress.Reporter) (files int, bytes int64, err error) {
	found, err := l.verifyBlobs(ctx, nil, report)
	if err != nil {
		return 0, 0, err
	}
	return found.files, found.bytes, nil
}

// Unsigned names what else lies in the launch's folder.
func (l *Launch) Unsigned() ([]string, error) {
	signed := map[string]bool{"launch.json": true, "launch.json.sig": true, "bundle/oci-layout": true, "bundle/index.json": true}
	for digest := range l.digests() {
		signed[inBundle(digest)] = true
	}
	list := []string{}
	for _, dir := range []string{".", "bundle", "bundle/blobs", blobDir} {
		entries, err := l.Folder.Original().readDir(dir)
		if err != nil {
			return nil, unreadable(err, l.Folder.Path())
		}
		for _, entry := range entries {
			name := path.Join(dir, entry.Name())
			if !signed[name] && name != "bundle" && name != "bundle/blobs" && name != blobDir {
				list = append(list, name)
			}
		}
	}
	slices.Sort(list)
	return list, nil
}

// Verify holds the launch to its signature and its hashes before it is used: a large file that is as when it was last
// hashed on this machine is not hashed again.
// Reads says that the launch is only looked at: see Trust.Check.
func (l *Launch) Verify(ctx context.Context, confirmed string, reads bool, report *progress.Reporter) error {
	if _, err := l.VerifySignature(confirmed, reads, report); err != nil {
		return err
	}
	result, err := l.verifyBlobs(ctx, readStamps(l.Folder), report)
	if err != nil || !result.hashed {
		return err
	}
	return l.RememberVerified()
}

// VerifySignature holds the launch to a key that this machine trusts; it gives
// the key's ID. One that the operator confirms is pinned, and so is one that a
// pinned one was rotated to. Reads says that the launch is only looked at.
func (l *Launch) VerifySignature(confirmed string, reads bool, report *progress.Reporter) (string, error) {
	var signature bundle.Signature
	if err := json.Unmarshal(l.Signature, &signature); err != nil {
		return "", fault.Wrap(err, fault.CodeIntegrity, "%s is damaged; get the launch again", l.Folder.Path("launch.json.sig"))
	}
	t, err := l.Folder.ReadTrust()
	if err != nil {
		return "", err
	}
	trusted, err := t.Check(l.RootBytes, signature, "", confirmed, time.Now(), reads)
	if err != nil {
		return "", err
	}
	if trusted.Changed {
		if err := l.Folder.WriteTrust(t); err != nil && !reads { // the next one that writes goes the same way
			return "", err
		}
	}
	if trusted.Line != "" {
		report.Line("%s", trusted.Line)
	}
	return bundle.KeyID(signature.PublicKey), nil
}

// verifyBlobs hashes every file of the launch but those whose stamps spare it.
func (l *Launch) verifyBlobs(ctx context.Context, seen map[string]stamp, report *progress.Reporter) (*checked, error) {
	if err := l.Complete(); err != nil {
		return nil, err
	}
	result := &checked{}
	var todo []string
	var size int64
	for digest := range l.digests() {
		info, err := l.Folder.Stat(inBundle(digest))
		if err != nil {
			return nil, fault.Wrap(err, fault.CodeIntegrity, "a file of the launch is missing; get it again")
		}
		result.files++
		result.bytes += info.Size()
		if !seen[digest].spares(info) {
			todo = append(todo, digest)
			size += info.Size()
			result.hashed = result.hashed || info.Size() > trustedStamp
		}
	}
	t := report.Transfer("verify", len(todo), size, nil)
	defer t.End()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifyConcurrency)
	var mu sync.Mutex
	var wrong []string
	for _, digest := range todo {
		group.Go(func() error {
			defer t.Done()
			err := verifyFile(ctx, l.Folder.Tree(blobDir), inBundle(digest), digest, t)
			if fault.IsDamaged(err) {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, digest)
			}
			return err
		})
	}
	err := group.Wait()
	if len(wrong) > 0 {
		forget(l.Folder, wrong)
	}
	return result, err
}

// buffers are for bytes on their way between two files or connections.
var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// verifyFile hashes a file; the error is damaged when its bytes are
// wrong. t, which may be nil, is told of each piece.
func verifyFile(ctx context.Context, in Tree, name, digest string, t *progress.Transfer) error {
	file, err := in.openFile(name, os.O_RDONLY)
	if err != nil {
		return fault.Wrap(err, fault.CodeIntegrity, "read a file of the launch")
	}
	defer file.Close() //nolint:errcheck // read only
	got, err := hashOf(ctx, file, t)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fault.Wrap(err, fault.CodeIntegrity, "read %s", in.Path(name))
	case got != digest:
		return damagedFile(in.Path(name), got)
	}
	return nil
}

// hashOf returns the digest of what from holds. t, which may be nil, is told of
// each piece.
func hashOf(ctx context.Context, from io.Reader, t *progress.Transfer) (string, error) {
	sum, buffer := sha256.New(), buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(*buffer)
		sum.Write((*buffer)[:n])
		if t != nil {
			t.Add(int64(n))
		}
		switch {
		case err == io.EOF:
			return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
		case err != nil:
			return "", err
		case ctx.Err() != nil:
			return "", ctx.Err()
		}
	}
}
