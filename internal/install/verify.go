package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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

	hashed int
}

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
	result, err := l.verifyBlobs(ctx, readStamps(l.folder), progress)
	if err != nil || result.hashed == 0 {
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
	var size int64
	for digest := range l.digests() {
		info, err := os.Stat(l.folder.blob(digest))
		if err != nil {
			return nil, wrap(err, CodeIntegrity, "a file of the launch is missing; get it again")
		}
		result.Files++
		result.Bytes += info.Size()
		if seen[digest] != stampOf(info) {
			todo = append(todo, digest)
			size += info.Size()
		}
	}
	t := progress.transfer("verify", len(todo), size, nil)
	defer t.end()
	result.hashed = len(todo)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifyWidth)
	var mu sync.Mutex
	var wrong []string
	for _, digest := range todo {
		group.Go(func() error {
			defer t.done()
			err := verifyFile(ctx, l.folder.blob(digest), digest, t)
			if errors.As(err, new(damaged)) {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, digest)
			}
			return err
		})
	}
	err := group.Wait()
	if len(wrong) > 0 {
		forget(l.folder, wrong)
	}
	return result, err
}

// damaged is a file whose bytes are not those that its name says.
type damaged struct{ error }

func (d damaged) Unwrap() error { return d.error }

// forget takes damaged files out of the notes, so that get fetches them again.
func forget(f Folder, digests []string) {
	seen := readStamps(f)
	for _, digest := range digests {
		delete(seen, digest)
	}
	if writeJSON(verifiedFile(f), seen) == nil {
		_ = os.Remove(journalFile(f))
	}
}

// buffers are for bytes on their way between two files or connections.
var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// verifyFile hashes a file; the error is damaged when its bytes are
// wrong. t, which may be nil, is told of each piece.
func verifyFile(ctx context.Context, path, digest string, t *transfer) error {
	file, err := os.Open(path)
	if err != nil {
		return wrap(err, CodeIntegrity, "read a file of the launch")
	}
	defer file.Close() //nolint:errcheck // read only
	got, err := hashOf(ctx, file, t)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return wrap(err, CodeIntegrity, "read %s", path)
	case got != digest:
		return damagedFile(path, got)
	}
	return nil
}

// hashOf gives the digest of what from holds. t, which may be nil, is told of
// each piece.
func hashOf(ctx context.Context, from io.Reader, t *transfer) (string, error) {
	sum, buffer := sha256.New(), buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(*buffer)
		sum.Write((*buffer)[:n])
		if t != nil {
			t.add(int64(n))
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
