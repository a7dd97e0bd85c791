package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/storage"
)

// Options say how a backup is taken.
type Options struct {
	DB      *postgres.DB
	Store   storage.Location // where the registry's images are
	Target  Target
	Program string // the version of this program
	By      string
	// Keep is how many points stay in the target, the newest; 0 keeps all.
	Keep int
	// SecretKey is the content of the key file; nil leaves it out.
	SecretKey []byte
	// Count counts the registry's storage where that was never done.
	Count func(context.Context) error
	// Out is where a stream goes.
	Out      io.Writer
	Progress func(Progress)
	Log      *slog.Logger
}

// Taken is what a backup did.
type Taken struct {
	Point             string
	Tables            int
	Rows              int64
	Blobs, Bytes      int64 // all that the point holds
	Written           int64 // bytes of blobs that the target did not have
	Missing, Damaged  []string
	Removed           []string // points that were beyond those to keep
	RemovedBlobs      int64
	Unswept           string // why blobs that no point has were not removed
	StartedAt         time.Time
	Took              time.Duration
	WrittenBlobs      int64
	TableBytes        int64 // of the tables' files
	ManifestSHA256    string
	TookDatabase      time.Duration // how long the snapshot was held
	SecretKeyIncluded bool
}

// patience is how long a backup that says nothing is taken to run.
const patience = 5 * time.Second

// blobsAtOnce is how many blobs are copied side by side.
const blobsAtOnce = 4

// taker takes one backup.
type taker struct {
	Options
	place    place
	store    *storage.Content
	meter    *meter
	row      *constellation.Backup
	manifest Manifest
	taken    Taken
}

// Take takes a backup while servers go on. It may be killed at any moment and run
// again; one at a time runs of a mothership.
func Take(ctx context.Context, o Options) (_ *Taken, err error) {
	if o.Target.overlaps(o.Store) {
		return nil, constellation.Errorf(constellation.KindInvalid, "the target %s is where the images are (%s); a backup belongs elsewhere", o.Target, o.Store)
	}
	t := &taker{Options: o, meter: newMeter()}
	if t.place, err = openPlace(o.Target, o.Out); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.place.Close()) }()
	if t.store, err = storage.OpenContent(o.Store); err != nil {
		return nil, err
	}
	if err := t.begin(ctx); err != nil {
		return nil, err
	}
	t.taken.StartedAt = time.Now()
	t.meter.begin("reading the database", 0, 0)
	watched, stop := t.meter.watch(ctx, stalled, func(ctx context.Context, p Progress) error {
		if o.Progress != nil {
			o.Progress(p)
		}
		return o.DB.SeenBackup(ctx, t.row.ID, p.Done)
	})
	err = why(watched, t.run(watched))
	stop()
	t.taken.Took = time.Since(t.taken.StartedAt)
	return &t.taken, errors.Join(err, t.finish(context.WithoutCancel(ctx), err))
}

// begin waits a moment for a backup that may have been killed.
func (t *taker) begin(ctx context.Context) error {
	for tries := 0; ; tries++ {
		row, ok, err := t.DB.BeginBackup(ctx, t.Target.String(), t.By, patience)
		if err != nil {
			return err
		}
		if ok {
			t.row = row
			return nil
		}
		if tries > int(patience/time.Second) {
			return constellation.Errorf(constellation.KindConflict, "a backup runs already, since %s, to %s; wait for its end", row.StartedAt.Format(time.RFC3339), row.Target)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (t *taker) run(ctx context.Context) error {
	if t.Count != nil {
		if err := t.Count(ctx); err != nil {
			return err
		}
	}
	if err := t.place.Begin(ctx); err != nil {
		return err
	}
	files, err := t.claim(ctx)
	if err != nil {
		return err
	}
	tables, err := t.snapshot(ctx)
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range tables {
			_ = f.Close() // it has no name any more
		}
	}()
	for i, f := range tables {
		file := &t.manifest.Tables[i]
		if err := t.place.Put(ctx, pointName(t.manifest.Point, file.file()), file.Stored, metered{f, t.meter}); err != nil {
			return err
		}
	}
	if t.SecretKey != nil {
		if err := t.place.Put(ctx, pointName(t.manifest.Point, "secret.key"), int64(len(t.SecretKey)), strings.NewReader(string(t.SecretKey))); err != nil {
			return err
		}
	}
	if err := t.missing(ctx); err != nil {
		return err
	}
	name := pointName(t.manifest.Point, "manifest.json")
	if t.taken.ManifestSHA256, err = putJSON(ctx, t.place, name, &t.manifest); err != nil {
		return err
	}
	if err := t.copyBlobs(ctx, files); err != nil {
		return err
	}
	slices.Sort(t.taken.Damaged)
	e := end{Manifest: t.taken.ManifestSHA256, EndedAt: time.Now().UTC().Truncate(time.Second), Damaged: t.taken.Damaged}
	if _, err := putJSON(ctx, t.place, pointName(t.manifest.Point, "end.json"), &e); err != nil {
		return err
	}
	if err := t.prune(ctx); err != nil {
		return err
	}
	return t.place.Finish(ctx)
}

// claim makes sure that the target has backups of this mothership, or nothing.
func (t *taker) claim(ctx context.Context) (map[string]int64, error) {
	m, err := t.DB.Mothership(ctx)
	if err != nil {
		return nil, err
	}
	t.manifest.Mothership = m.ID
	files, err := t.place.List(ctx)
	if err != nil {
		return nil, err
	}
	is, err := readMark(ctx, t.place)
	switch {
	case err != nil:
		return nil, err
	case is != nil && is.Mothership != m.ID:
		return nil, constellation.Errorf(constellation.KindConflict, "%s has backups of another mothership (%s, and this is %s); give each a target of its own", t.Target, shorten(is.Mothership), m.ID)
	case is != nil:
		return files, nil
	case len(files) > 0:
		return nil, constellation.Errorf(constellation.KindConflict, "%s is not empty and has no backups; give an empty place, or one with this mothership's backups", t.Target)
	}
	_, err = putJSON(ctx, t.place, markName, &mark{Format: format, Mothership: m.ID})
	return files, err
}

// snapshot reads the database at one moment: the manifest's tables, and their files,
// which are in no folder.
func (t *taker) snapshot(ctx context.Context) (files []*os.File, err error) {
	begun := time.Now()
	defer func() { t.taken.TookDatabase = time.Since(begun) }()
	taken := begun.UTC().Truncate(time.Millisecond)
	t.manifest.Format, t.manifest.Program, t.manifest.Storage = format, t.Program, t.Store.String()
	t.manifest.TakenAt, t.manifest.Point = taken, taken.Format("20060102T150405.000Z")
	t.taken.Point = t.manifest.Point
	err = t.DB.Snapshot(ctx, func(db *postgres.DB) error {
		if err := t.describe(ctx, db); err != nil {
			return err
		}
		tables, err := db.Tables(ctx)
		if err != nil {
			return err
		}
		for _, table := range tables {
			if !tablePattern.MatchString(table.Name) {
				return constellation.Errorf(constellation.KindConflict, "the database has a table %q that is not the mothership's; move it to a schema of its own", shorten(table.Name))
			}
			described, file, err := t.spool(ctx, db, table)
			if err != nil {
				return err
			}
			t.manifest.Tables = append(t.manifest.Tables, *described)
			files = append(files, file)
		}
		return nil
	})
	if err != nil {
		for _, f := range files {
			_ = f.Close() // it has no name any more
		}
		return nil, err
	}
	return files, nil
}

// describe reads what the manifest says beside the tables.
func (t *taker) describe(ctx context.Context, db *postgres.DB) (err error) {
	if t.manifest.Schema, err = db.SchemaVersion(ctx); err != nil {
		return err
	}
	if t.manifest.Sequences, err = db.Sequences(ctx); err != nil {
		return err
	}
	if t.manifest.SealedName, t.manifest.Sealed, err = db.AnySetting(ctx); err != nil {
		return err
	}
	if t.SecretKey != nil {
		t.manifest.SecretKey, t.taken.SecretKeyIncluded = sum(t.SecretKey), true
	}
	blobs, err := db.StoredBlobs(ctx)
	if err != nil {
		return err
	}
	for digest, size := range blobs {
		t.manifest.Blobs = append(t.manifest.Blobs, BlobFile{digest, size})
	}
	slices.SortFunc(t.manifest.Blobs, func(a, b BlobFile) int { return strings.Compare(a.Digest, b.Digest) })
	t.taken.Blobs = int64(len(blobs))
	_, t.taken.Bytes = t.manifest.sizes()
	return nil
}

// spool copies a table into a file without a name, so that neither a slow target
// holds the snapshot nor one that is killed leaves anything.
func (t *taker) spool(ctx context.Context, db *postgres.DB, table postgres.Table) (_ *TableFile, _ *os.File, err error) {
	file, err := os.CreateTemp("", "constellation-backup-*")
	if err != nil {
		return nil, nil, fmt.Errorf("make a file for a table: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close() // what err says is worse
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, nil, fmt.Errorf("make a file for a table: %w", err)
	}
	hash := sha256.New()
	described := &TableFile{Table: table}
	z := newZip(io.MultiWriter(file, hash))
	count := &counter{w: z, m: t.meter}
	if described.Rows, err = db.CopyOut(ctx, table, count); err != nil {
		return nil, nil, err
	}
	if err := z.Close(); err != nil {
		return nil, nil, storage.Explain(storage.FileLocation(os.TempDir()), "written to", err)
	}
	if described.Stored, err = file.Seek(0, io.SeekCurrent); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read table %s again: %w", table.Name, err)
	}
	described.Bytes, described.SHA256 = count.n, hex.EncodeToString(hash.Sum(nil))
	t.taken.Tables++
	t.taken.Rows += described.Rows
	t.taken.TableBytes += described.Stored
	return described, file, nil
}

// finish notes what became of the backup, with its audit row.
func (t *taker) finish(ctx context.Context, failed error) error {
	t.row.Point, t.row.Blobs, t.row.Bytes, t.row.Written = t.taken.Point, t.taken.Blobs, t.taken.Bytes, t.taken.Written
	action := "backup.take"
	if failed != nil {
		action = "backup.fail"
		t.row.Error = "it was stopped before it was done"
		var e *constellation.Error
		if errors.As(failed, &e) {
			t.row.Error = e.Message
		} else if !errors.Is(failed, context.Canceled) {
			t.row.Error = "it failed; the log says why"
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return t.DB.Transact(ctx, func(db *postgres.DB) error {
		if err := db.FinishBackup(ctx, t.row); err != nil {
			return err
		}
		if err := db.TrimBackups(ctx); err != nil {
			return err
		}
		return audit(ctx, db, t.By, action, t.row.Point, map[string]any{
			"target": t.row.Target, "point": t.row.Point, "blobs": t.row.Blobs, "bytes": t.row.Bytes, "written": t.row.Written, "error": t.row.Error,
			"missing": len(t.manifest.Missing), "damaged": len(t.taken.Damaged), "removed": t.taken.Removed, "secret_key": t.taken.SecretKeyIncluded,
		})
	})
}

// audit writes an audit row.
func audit(ctx context.Context, db *postgres.DB, by, action, name string, after map[string]any) error {
	data, err := json.Marshal(after)
	if err != nil {
		return fmt.Errorf("encode audit row: %w", err)
	}
	return db.InsertEvent(ctx, &constellation.Event{
		At: time.Now().UTC().Truncate(time.Microsecond), Actor: by, Action: action, TargetKind: "backup", TargetID: name, TargetName: name, After: data,
	})
}
