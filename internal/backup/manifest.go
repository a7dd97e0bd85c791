package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// format is the form of backups that this program writes, and the newest that it
// reads.
const format = 1

// maxManifest is more than a manifest has: one of a million blobs has a tenth of it.
const maxManifest = 1 << 30

// mark says whose backups a target has.
type mark struct {
	Format     int    `json:"format"`
	Mothership string `json:"mothership"`
}

// Manifest says what a point holds.
type Manifest struct {
	Format     int       `json:"format"`
	Point      string    `json:"point"`
	Mothership string    `json:"mothership"`
	Program    string    `json:"program"`
	Schema     int64     `json:"schema"`
	TakenAt    time.Time `json:"taken_at"`
	Storage    string    `json:"storage"` // where the images were

	Tables    []TableFile         `json:"tables"`
	Sequences []postgres.Sequence `json:"sequences"`
	Blobs     []BlobFile          `json:"blobs"`
	// Missing are the digests of blobs that the mothership's own storage lacked.
	Missing []string `json:"missing,omitempty"`

	// Sealed is one of the sealed values, by its name: who opens it has the key.
	SealedName string `json:"sealed_name,omitempty"`
	Sealed     []byte `json:"sealed,omitempty"`
	SecretKey  string `json:"secret_key_sha256,omitempty"` // of the key file, if the point has it
}

// TableFile is a table of a point.
type TableFile struct {
	postgres.Table
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`  // of its rows
	Stored int64  `json:"stored"` // of its file
	SHA256 string `json:"sha256"` // of its file
}

func (t *TableFile) file() string { return "tables/" + t.Name + ".copy.gz" }

// BlobFile is a blob of a point.
type BlobFile struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// end is the last file of a point.
type end struct {
	Manifest string    `json:"manifest_sha256"`
	EndedAt  time.Time `json:"ended_at"`
	// Damaged are the digests of blobs that were not what their digests say when they
	// were read.
	Damaged []string `json:"damaged,omitempty"`
}

// sizes returns what the point's rows and blobs take.
func (m *Manifest) sizes() (rows, blobs int64) {
	for _, t := range m.Tables {
		rows += t.Bytes
	}
	for _, b := range m.Blobs {
		blobs += b.Size
	}
	return rows, blobs
}

// readAll reads a small file of a backup.
func readAll(ctx context.Context, s source, name string, limit int64) ([]byte, error) {
	r, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, constellation.Errorf(constellation.KindInvalid, "the backup's file %s is too long", name)
	}
	return data, nil
}

func decode(name string, data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return damaged(name)
	}
	return nil
}

// damaged is a file of a backup that is not what was written.
func damaged(name string) error {
	return constellation.Errorf(constellation.KindInvalid, "the backup's file %s is damaged: it is not what was written there", name)
}

// readMark returns whose backups a source has; nil if it has none.
func readMark(ctx context.Context, s source) (*mark, error) {
	data, err := readAll(ctx, s, markName, 1<<16)
	if constellation.KindOf(err) == constellation.KindNotFound && err != nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m mark
	if err := decode(markName, data, &m); err != nil {
		return nil, err
	}
	return &m, refuseFormat(m.Format)
}

func refuseFormat(is int) error {
	if is > format || is < 1 {
		return constellation.Errorf(constellation.KindInvalid, "these backups were made by a newer mothership, in a form (%d) that this one does not know (up to %d); use a newer one", is, format)
	}
	return nil
}

// readPoint reads a point's manifest, and holds it to the hash in its last file and to
// the mothership whose backups these are.
func readPoint(ctx context.Context, s source, point, mothership string) (*Manifest, *end, error) {
	name := pointName(point, "end.json")
	last, err := readAll(ctx, s, name, maxManifest)
	if err != nil {
		return nil, nil, err
	}
	var e end
	if err := decode(name, last, &e); err != nil {
		return nil, nil, err
	}
	name = pointName(point, "manifest.json")
	data, err := readAll(ctx, s, name, maxManifest)
	if err != nil {
		return nil, nil, err
	}
	if sum(data) != e.Manifest {
		return nil, nil, constellation.Errorf(constellation.KindInvalid, "the backup's file %s is damaged, or end.json beside it: it is not what end.json says was written", name)
	}
	var m Manifest
	if err := decode(name, data, &m); err != nil {
		return nil, nil, err
	}
	if err := m.check(point); err != nil {
		return nil, nil, err
	}
	if m.Mothership != mothership {
		return nil, nil, constellation.Errorf(constellation.KindInvalid, "the backup %s is of another mothership (%s) than its target (%s): it was put there by hand; keep it in a target of its own", point, shorten(m.Mothership), shorten(mothership))
	}
	return &m, &e, nil
}

var (
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	tablePattern  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

// check refuses what this program did not write.
func (m *Manifest) check(point string) error {
	if err := refuseFormat(m.Format); err != nil {
		return err
	}
	name := pointName(point, "manifest.json")
	bad := m.Point != point || m.Mothership == "" ||
		slices.ContainsFunc(m.Tables, func(t TableFile) bool { return !tablePattern.MatchString(t.Name) || len(t.Columns) == 0 }) ||
		slices.ContainsFunc(m.Blobs, func(b BlobFile) bool { return !digestPattern.MatchString(b.Digest) || b.Size < 0 })
	if bad {
		return damaged(name)
	}
	return nil
}

// refuseNewer returns an error for a point of a schema that this program does not know.
func (m *Manifest) refuseNewer() error {
	known, err := postgres.NewestSchema()
	if err != nil || m.Schema <= known {
		return err
	}
	return constellation.Errorf(constellation.KindInvalid, "the backup of %s was made by the mothership %s, whose schema (%d) is newer than this one knows (%d); use that version, or a newer one", m.Point, m.Program, m.Schema, known)
}

// points returns the points of a list of files that are whole, the oldest first, and
// those that are not.
func points(files map[string]int64) (whole, left []string) {
	found := map[string]bool{}
	for name := range files {
		if rest, ok := strings.CutPrefix(name, "points/"); ok && namePattern.MatchString(name) {
			point, _, _ := strings.Cut(rest, "/")
			found[point] = true
		}
	}
	for point := range found {
		if _, ok := files[pointName(point, "end.json")]; ok {
			whole = append(whole, point)
		} else {
			left = append(left, point)
		}
	}
	slices.Sort(whole)
	slices.Sort(left)
	return whole, left
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// putJSON stores a value and returns the hash of its file.
func putJSON(ctx context.Context, p place, name string, value any) (string, error) {
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", name, err)
	}
	return sum(data), p.Put(ctx, name, int64(len(data)), bytes.NewReader(data))
}
