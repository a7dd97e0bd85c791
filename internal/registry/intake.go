package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/space"
	"github.com/constellation-serving/constellation/internal/storage"
)

// Intake writes content into a repository without a client of /v2, for imports. Its
// errors are sentences for users, but those of the storage itself.
type Intake struct {
	storage    *Storage
	repository string
}

// Intake returns what writes into a repository.
func (s *Storage) Intake(repository string) *Intake { return &Intake{s, repository} }

// Free returns how much room there is for blobs, if that is known.
func (s *Storage) Free(context.Context) (int64, bool) {
	dir := s.config.Location.Dir()
	if dir == "" {
		return 0, false
	}
	var found unix.Statfs_t
	if unix.Statfs(dir, &found) != nil {
		return 0, false
	}
	return int64(found.Bavail) * int64(found.Bsize), true //nolint:gosec,unconvert // their types differ by system
}

// Upload is a blob that is being written. What was written stays when it is closed,
// and when the server ends.
type Upload struct {
	intake *Intake
	writer distribution.BlobWriter
}

// Upload opens an upload by its id, or begins one: with no id, and when that of the id
// is gone.
func (n *Intake) Upload(ctx context.Context, id string) (*Upload, error) {
	repo, err := n.storage.named(ctx, n.repository)
	if err != nil {
		return nil, err
	}
	blobs := repo.Blobs(context.WithoutCancel(ctx)) // what was written is closed in any case
	if id != "" {
		writer, err := blobs.Resume(ctx, id)
		if err == nil {
			return &Upload{n, writer}, nil
		}
		if !errors.Is(err, distribution.ErrBlobUploadUnknown) && !isPathNotFound(err) {
			return nil, n.fault(ctx, err)
		}
	}
	writer, err := blobs.Create(ctx)
	if err != nil {
		return nil, n.fault(ctx, err)
	}
	return &Upload{n, writer}, nil
}

// ID names the upload, to go on with it.
func (u *Upload) ID() string { return u.writer.ID() }

// Size is how much of it is there.
func (u *Upload) Size() int64 { return u.writer.Size() }

// Write adds to it.
func (u *Upload) Write(ctx context.Context, p []byte) error {
	if _, err := u.writer.Write(p); err != nil {
		return u.intake.fault(ctx, err)
	}
	return nil
}

// Close leaves it as it is, to go on with.
func (u *Upload) Close(ctx context.Context) error {
	if err := u.writer.Close(); err != nil {
		return u.intake.fault(ctx, err)
	}
	return nil
}

// Cancel drops it.
func (u *Upload) Cancel(ctx context.Context) {
	_ = u.writer.Cancel(ctx) // what stays behind is purged
}

// Commit makes a blob of it, if it has the digest and size; else it is dropped, and
// the error is KindInvalid.
func (u *Upload) Commit(ctx context.Context, dgst string, size int64) error {
	_, err := u.writer.Commit(ctx, v1.Descriptor{Digest: digest.Digest(dgst), Size: size})
	if err == nil {
		return nil
	}
	u.Cancel(ctx)
	var wrong distribution.ErrBlobInvalidDigest
	if errors.As(err, &wrong) || errors.Is(err, distribution.ErrBlobInvalidLength) {
		return constellation.Wrap(err, constellation.KindInvalid, "the content of blob %s has another digest", dgst)
	}
	return u.intake.fault(ctx, err)
}

// fault is a failure of the storage: a full one, and one that may be back.
func (n *Intake) fault(ctx context.Context, failure error) error {
	err := n.storage.Check(ctx)
	if storage.Full(failure) || storage.Full(err) {
		return constellation.Wrap(failure, constellation.KindForbidden, "the mothership's disk is full: free some space there and import again")
	}
	return n.storage.failed(failure)
}

// Link gives the repository a blob that is here already; KindNotFound when it is not.
func (n *Intake) Link(ctx context.Context, dgst string) error {
	found, err := n.storage.StoredBlob(ctx, "", dgst)
	if err != nil {
		return err
	}
	repo, err := n.storage.named(ctx, n.repository)
	if err != nil {
		return err
	}
	_, err = repo.Blobs(ctx).Create(ctx, mountKnown(v1.Descriptor{Digest: digest.Digest(dgst), Size: found.Size}))
	var mounted distribution.ErrBlobMounted
	if errors.As(err, &mounted) {
		return nil
	}
	return n.fault(ctx, fmt.Errorf("link blob %s: %w", dgst, err))
}

// mountKnown mounts a blob that is known to be there, whatever repository has it.
type mountKnown v1.Descriptor

// Apply is part of distribution.BlobCreateOption.
func (m mountKnown) Apply(options any) error {
	o, ok := options.(*distribution.CreateOptions)
	if !ok {
		return fmt.Errorf("mount with %T", options)
	}
	name, err := reference.WithName("constellation/blob") // it is not looked at
	if err != nil {
		return err
	}
	o.Mount.ShouldMount = true
	descriptor := v1.Descriptor(m)
	o.Mount.Stat = &descriptor
	o.Mount.From, err = reference.WithDigest(name, m.Digest)
	return err
}

// Blob is a blob of the repository, to be noted.
func (n *Intake) Blob(dgst string) space.PushedBlob {
	return pushedBlob{n.storage, n.repository, dgst}
}

// Stored returns what is to be noted of a manifest.
func (n *Intake) Stored(body []byte, tag string) (constellation.StoredManifest, error) {
	doc, err := n.document(body)
	if err != nil {
		return constellation.StoredManifest{}, err
	}
	m := storedManifest(n.repository, body, doc)
	m.Tag = tag
	return *m, nil
}

func (n *Intake) document(body []byte) (*document, error) {
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, constellation.Wrap(err, constellation.KindInvalid, "the manifest is not a JSON object of an image manifest or index")
	}
	return &doc, inWords(doc.check())
}

// PutManifest stores a manifest whose parts are here, under a tag if it has one, and
// notes what it belongs to.
func (n *Intake) PutManifest(ctx context.Context, mediaType string, body []byte, tag string) error {
	doc, err := n.document(body)
	if err != nil {
		return err
	}
	descriptor, err := n.storage.putManifest(ctx, n.repository, mediaType, body)
	var unverified distribution.ErrManifestVerification
	if errors.As(err, &unverified) {
		return constellation.Wrap(err, constellation.KindConflict, "a part of manifest %s was removed in this moment", digest.FromBytes(body))
	}
	if err != nil {
		return n.fault(ctx, err)
	}
	if tag != "" {
		if err := n.storage.tag(ctx, n.repository, tag, descriptor); err != nil {
			return n.fault(ctx, err)
		}
	}
	if doc.Subject == nil {
		return nil
	}
	return inWords(n.storage.addReferrer(ctx, n.repository, body, mediaType, doc))
}

// Inspect reads from an image whose parts are here, all but its manifest, what its
// version has.
func (n *Intake) Inspect(ctx context.Context, mediaType string, body []byte, tag string) (control.Push, error) {
	doc, err := n.document(body)
	if err != nil {
		return control.Push{}, err
	}
	push, err := inspect(ctx, n.storage, n.repository, tag, body, mediaType, doc)
	return push, inWords(err)
}

// inWords returns an answer of /v2 as an error for users.
func inWords(err error) error {
	var answer *ociError
	if !errors.As(err, &answer) {
		return err
	}
	message := answer.message
	for _, also := range answer.also {
		message += "; " + also.message
	}
	return constellation.Wrap(err, constellation.KindInvalid, "%s", strings.TrimSuffix(message, "."))
}
