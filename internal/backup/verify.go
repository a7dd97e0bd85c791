package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// Fault is what is wrong with a file of a backup.
type Fault struct {
	File, Problem string
	Points        []string // that need it
}

// Verified is what was looked at.
type Verified struct {
	Points     []string
	Tables     int
	Blobs      int64
	Bytes      int64
	Faults     []Fault
	Unfinished []string // points that were not ended, which are none
}

// verifier proves backups.
type verifier struct {
	source source
	files  map[string]int64
	meter  *meter
	done   Verified

	mothership string // whose backups these are

	blobs map[string]*wanted // by digest
}

type wanted struct {
	size   int64
	points []string
}

// Verify reads every file of a target's points, or of one, again: each is what the
// manifest says, the manifest what its hash says, what the tables refer to is there,
// and this program knows their schema.
func Verify(ctx context.Context, target Target, point string, progress func(Progress)) (_ *Verified, err error) {
	s, err := openSource(ctx, target)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	v := &verifier{source: s, meter: newMeter(), blobs: map[string]*wanted{}}
	if v.files, v.mothership, err = backups(ctx, s, target); err != nil {
		return nil, err
	}
	if _, err := choose(v.files, target, point); err != nil {
		return nil, err
	}
	all, left := points(v.files)
	v.done.Unfinished = left
	if point != "" {
		all = []string{point}
	}
	ctx, stop := v.meter.watch(ctx, stalled, func(_ context.Context, p Progress) error {
		if progress != nil {
			progress(p)
		}
		return nil
	})
	defer stop()
	v.meter.begin("reading tables", 0, 0)
	for _, name := range all {
		if err := v.point(ctx, name); err != nil {
			return nil, why(ctx, err)
		}
	}
	if err := v.content(ctx); err != nil {
		return nil, why(ctx, err)
	}
	slices.SortFunc(v.done.Faults, func(a, b Fault) int { return strings.Compare(a.File, b.File) })
	return &v.done, nil
}

func (v *verifier) fault(file, problem string, points ...string) {
	v.done.Faults = append(v.done.Faults, Fault{file, problem, points})
}

// point verifies what a point has of its own. Its error is a failure to look.
func (v *verifier) point(ctx context.Context, name string) error {
	v.done.Points = append(v.done.Points, name)
	m, e, err := readPoint(ctx, v.source, name, v.mothership)
	if problem, ok := faulty(err); ok {
		v.fault(pointName(name, "manifest.json"), problem, name)
		return nil
	}
	if err != nil {
		return err
	}
	if problem, ok := faulty(m.refuseNewer()); ok {
		v.fault(pointName(name, "manifest.json"), problem, name)
		return nil
	}
	lacks := slices.Concat(m.Missing, e.Damaged)
	for _, digest := range lacks {
		v.fault(blobName(digest), "the mothership's own storage had lost it, or had it damaged, when the backup was taken", name)
	}
	has := map[string]bool{}
	for _, b := range m.Blobs {
		has[b.Digest] = true
		if slices.Contains(lacks, b.Digest) {
			continue
		}
		if v.blobs[b.Digest] == nil {
			v.blobs[b.Digest] = &wanted{size: b.Size}
		}
		v.blobs[b.Digest].points = append(v.blobs[b.Digest].points, name)
	}
	if m.SecretKey != "" {
		key, err := readAll(ctx, v.source, pointName(name, "secret.key"), 1<<16)
		if problem, ok := faulty(err); ok || err == nil && sum(key) != m.SecretKey {
			v.fault(pointName(name, "secret.key"), orDamaged(problem), name)
		} else if err != nil {
			return err
		}
	}
	for i := range m.Tables {
		if err := v.table(ctx, name, &m.Tables[i], has); err != nil {
			return err
		}
	}
	return nil
}

const isDamaged = "it is damaged: it is not what was written there"

func orDamaged(problem string) string {
	if problem == "" {
		return isDamaged
	}
	return problem
}

// faulty reports whether an error says what is wrong with a backup, rather than that
// it could not be looked.
func faulty(err error) (problem string, ok bool) {
	var e *constellation.Error
	if errors.As(err, &e) && (e.Kind == constellation.KindInvalid || e.Kind == constellation.KindNotFound) {
		return e.Message, true
	}
	return "", false
}

// referring are the columns that name blobs.
var referring = map[string]string{
	"registry_blobs": "digest", "registry_links": "digest", "registry_manifests": "digest", "registry_tags": "digest", "algorithm_versions": "digest",
}

// table verifies a table's file, and that each blob it names is one of the point's.
func (v *verifier) table(ctx context.Context, point string, t *TableFile, has map[string]bool) error {
	v.done.Tables++
	name := pointName(point, t.file())
	column := slices.Index(t.Columns, referring[t.Name])
	lacks := map[string]bool{}
	err := readTable(ctx, v.source, name, t, v.meter, func(line string) {
		if column < 0 {
			return
		}
		fields := strings.Split(line, "\t")
		if column >= len(fields) {
			lacks["a row without its digest"] = true
		} else if digest := fields[column]; digest != "" && digest != `\N` && !has[digest] {
			lacks[digest] = true
		}
	})
	if problem, ok := faulty(err); ok {
		v.fault(name, problem, point)
		return nil
	}
	for digest := range lacks {
		v.fault(name, "it refers to "+shorten(digest)+", which the backup does not have", point)
	}
	return err
}

// readTable reads a table's file, calls line with each row and returns what is wrong
// with it, KindInvalid.
func readTable(ctx context.Context, s source, name string, t *TableFile, m *meter, line func(string)) (err error) {
	r, err := s.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	hash := sha256.New()
	raw := io.TeeReader(metered{r, m}, hash)
	z, err := gzip.NewReader(raw)
	if err != nil {
		return unreadable(name, err)
	}
	var rows int64
	for lines := bufio.NewReaderSize(z, 1<<16); ; rows++ {
		text, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) && text == "" {
			break
		}
		if err != nil {
			return unreadable(name, err)
		}
		line(strings.TrimSuffix(text, "\n"))
	}
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return unreadable(name, err)
	}
	if rows != t.Rows || hex.EncodeToString(hash.Sum(nil)) != t.SHA256 {
		return damaged(name)
	}
	return nil
}

// unreadable is a file that does not hold what it is to, unless the place itself
// failed.
func unreadable(name string, err error) error {
	var known *constellation.Error
	if errors.As(err, &known) {
		return err
	}
	return constellation.Wrap(err, constellation.KindInvalid, "the backup's file %s is damaged: it is not what was written there", name)
}

// content verifies the blobs of the points.
func (v *verifier) content(ctx context.Context) error {
	digests := make([]string, 0, len(v.blobs))
	var bytes int64
	for digest, b := range v.blobs {
		digests = append(digests, digest)
		bytes += b.size
	}
	slices.Sort(digests)
	v.meter.begin("reading images", bytes, int64(len(digests)))
	for _, digest := range digests {
		b := v.blobs[digest]
		problem, err := v.blob(ctx, BlobFile{digest, b.size})
		if err != nil {
			return err
		}
		v.done.Blobs++
		v.done.Bytes += b.size
		v.meter.file()
		if problem != "" {
			v.fault(blobName(digest), problem+"; remove the file and take a backup, which copies it again", b.points...)
		}
	}
	return nil
}

func (v *verifier) blob(ctx context.Context, b BlobFile) (problem string, err error) {
	name := blobName(b.Digest)
	size, there := v.files[name]
	switch {
	case !there:
		return "it is missing", nil
	case size >= 0 && size != b.Size:
		return fmt.Sprintf("it has %d bytes and not %d", size, b.Size), nil
	}
	r, err := v.source.Open(ctx, name)
	if problem, ok := faulty(err); ok {
		return problem, nil
	}
	if err != nil {
		return "", err
	}
	_, err = io.Copy(io.Discard, &verified{r: metered{r, v.meter}, want: b, hash: sha256.New()})
	err = errors.Join(err, r.Close())
	if errors.Is(err, storage.ErrDamaged) {
		return isDamaged, nil
	}
	return "", err
}
