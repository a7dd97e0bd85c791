package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// verifyWidth is how many blobs are hashed at a time.
const verifyWidth = 4

// VerifyResult is what verify found to be right.
type VerifyResult struct {
	Path  string `json:"path"`
	KeyID string `json:"key_id"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

// stamp is a file's size and time when its hash was last right.
type stamp struct {
	Size int64 `json:"size"`
	Time int64 `json:"time"`
}

func verifiedFile(f Folder) string { return f.Path("work", "verified.json") }

// Verify checks the launch's signature and the hash of every file. The error
// names the file that is wrong.
func Verify(ctx context.Context, f Folder, trusted string, progress *Progress) (*VerifyResult, error) {
	l, err := openLaunch(f)
	if err != nil {
		return nil, err
	}
	id, err := l.verifySignature(trusted, progress)
	if err != nil {
		return nil, err
	}
	result, err := l.verifyBlobs(ctx, nil, progress)
	if err != nil {
		return nil, interrupted(ctx, err, "the check")
	}
	result.KeyID = id
	return result, rememberVerified(f, l)
}

// verify is Verify before a deploy: a file whose size and time are as when it
// was last hashed on this machine is not hashed again.
func (l *launch) verify(ctx context.Context, progress *Progress) error {
	if _, err := l.verifySignature("", progress); err != nil {
		return err
	}
	seen := map[string]stamp{}
	if err := readJSON(verifiedFile(l.folder), &seen); err != nil {
		seen = nil // a damaged note only costs time
	}
	if _, err := l.verifyBlobs(ctx, seen, progress); err != nil {
		return err
	}
	return rememberVerified(l.folder, l)
}

func (l *launch) verifySignature(trusted string, progress *Progress) (string, error) {
	var signature bundle.Signature
	if err := json.Unmarshal(l.signature, &signature); err != nil {
		return "", wrap(err, CodeIntegrity, "%s is damaged; get the launch again", l.folder.Path("launch.json.sig"))
	}
	t, err := readTrust(l.folder.Root)
	if err != nil {
		return "", err
	}
	note, err := t.check(l.rootBytes, signature, "", trusted)
	if err != nil {
		return "", err
	}
	if note != "" {
		progress.Line("%s", note)
	}
	if trusted != "" {
		err = writeJSON(trustFile(l.folder.Root), t)
	}
	return signature.KeyID, err
}

func (l *launch) verifyBlobs(ctx context.Context, seen map[string]stamp, progress *Progress) (*VerifyResult, error) {
	if err := l.complete(); err != nil {
		return nil, err
	}
	result := &VerifyResult{Path: l.folder.Path()}
	var todo []string
	for digest := range l.digests() {
		info, err := os.Stat(l.folder.blob(digest))
		if err != nil {
			return nil, wrap(err, CodeIntegrity, "a file of the launch is missing; get it again")
		}
		result.Files++
		result.Bytes += info.Size()
		if seen[digest] != (stamp{info.Size(), info.ModTime().UnixNano()}) {
			todo = append(todo, digest)
		}
	}
	t := progress.transfer("verify", len(todo), result.Bytes)
	defer t.end()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifyWidth)
	for _, digest := range todo {
		group.Go(func() error {
			defer t.done()
			return verifyFile(ctx, l.folder.blob(digest), digest, t)
		})
	}
	return result, group.Wait()
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 1<<20); return &b }}

func verifyFile(ctx context.Context, path, digest string, t *transfer) error {
	file, err := os.Open(path)
	if err != nil {
		return wrap(err, CodeIntegrity, "read a file of the launch")
	}
	defer file.Close() //nolint:errcheck // read only
	sum, buffer := sha256.New(), buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		n, err := file.Read(*buffer)
		sum.Write((*buffer)[:n])
		t.add(int64(n))
		switch {
		case err == io.EOF:
			if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != digest {
				return errorf(CodeIntegrity, "%s is damaged: its bytes are %s; remove it and get the launch again", path, got)
			}
			return nil
		case err != nil:
			return wrap(err, CodeIntegrity, "read %s", path)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// rememberVerified notes size and time of files that are right.
func rememberVerified(f Folder, l *launch) error {
	seen := map[string]stamp{}
	for digest := range l.digests() {
		if info, err := os.Stat(f.blob(digest)); err == nil {
			seen[digest] = stamp{info.Size(), info.ModTime().UnixNano()}
		}
	}
	if err := writeJSON(verifiedFile(f), seen); err != nil {
		return wrap(err, CodeFailed, "note what was checked")
	}
	return nil
}
