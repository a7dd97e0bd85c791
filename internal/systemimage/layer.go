package systemimage

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// nonroot is the user and group of the system image, as in distroless.
const nonroot = 65532

// epoch is the time of every file, so that the same content makes the same
// digest.
var epoch = time.Unix(0, 0).UTC()

// Layer is a layer that was written.
type Layer struct {
	Descriptor v1.Descriptor
	DiffID     digest.Digest
}

// baseFiles is the layer under the binary: what a program expects of a file
// system, and certificate authorities.
func baseFiles(caBundle []byte) []entry {
	return []entry{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnonroot:x:65532:\n")},
		{name: "etc/nsswitch.conf", mode: 0o644, data: []byte("hosts: files dns\n")},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/algo:/sbin/nologin\n")},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: caBundle},
		{name: "home/", mode: 0o755},
		{name: "home/algo/", mode: 0o755, owner: nonroot},
		{name: "home/algo/deployment/", mode: 0o755, owner: nonroot},
		{name: "tmp/", mode: 0o1777},
		{name: "var/", mode: 0o755},
		{name: "var/lib/", mode: 0o755},
		{name: "var/lib/constellation/", mode: 0o700, owner: nonroot}, // a server's data dir, when a volume is mounted here
	}
}

// binaryFiles is the layer with the mothership's own binary.
func binaryFiles(executable io.Reader, size int64) []entry {
	return []entry{
		{name: "usr/", mode: 0o755},
		{name: "usr/bin/", mode: 0o755},
		{name: "usr/bin/algo-install", mode: 0o777, link: "mothership"},
		{name: "usr/bin/mothership", mode: 0o755, content: executable, size: size},
	}
}

// contextReader ends with its context, so that a server which stops does not
// wait for the binary to be packed.
type contextReader struct {
	ctx context.Context
	io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// entry is a file of a layer; a name ending in '/' is a directory.
type entry struct {
	name    string
	mode    int64
	owner   int
	link    string
	data    []byte
	content io.Reader // of size bytes, instead of data
	size    int64
}

func (e entry) writeTo(w *tar.Writer) error {
	header := &tar.Header{Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, ModTime: epoch, Format: tar.FormatPAX}
	content := e.content
	switch {
	case e.name[len(e.name)-1] == '/':
		header.Typeflag = tar.TypeDir
	case e.link != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
	case content == nil:
		header.Typeflag, header.Size = tar.TypeReg, int64(len(e.data))
	default:
		header.Typeflag, header.Size = tar.TypeReg, e.size
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	if content == nil {
		_, err := w.Write(e.data)
		return err
	}
	_, err := io.Copy(w, content)
	return err
}

// writeLayer streams files, compressed, to w. The compressor's level is part of the
// digest: changing it changes every system image. Level 6 of klauspost packs a Go
// binary at about 80 MB/s.
func writeLayer(ctx context.Context, w io.Writer, files []entry) (Layer, error) {
	compressed, plain := newCountingHash(), sha256.New()
	packer, err := gzip.NewWriterLevel(io.MultiWriter(w, compressed), 6)
	if err != nil {
		return Layer{}, err
	}
	archive := tar.NewWriter(io.MultiWriter(packer, plain))
	for _, file := range files {
		if err := errors.Join(ctx.Err(), file.writeTo(archive)); err != nil {
			return Layer{}, fmt.Errorf("write %s into the layer: %w", file.name, err)
		}
	}
	if err := errors.Join(archive.Close(), packer.Close()); err != nil {
		return Layer{}, fmt.Errorf("finish the layer: %w", err)
	}
	descriptor := v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: digestOf(compressed), Size: compressed.size}
	return Layer{Descriptor: descriptor, DiffID: digestOf(plain)}, nil
}

func digestOf(h hash.Hash) digest.Digest {
	return digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(h.Sum(nil)))
}

// countingHash is SHA-256 that also counts.
type countingHash struct {
	hash.Hash
	size int64
}

func newCountingHash() *countingHash { return &countingHash{Hash: sha256.New()} }

// Write implements io.Writer.
func (h *countingHash) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	return h.Hash.Write(p)
}
