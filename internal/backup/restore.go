package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/storage"
)

// RestoreOptions say what is restored, and where.
type RestoreOptions struct {
	Target Target
	Point  string // "" is the newest
	// Key returns what opens secrets, by the key at hand or, where there is none, by the
	// one that the backup has itself, nil if it has none; keep then keeps that.
	Key func(kept []byte) (key Key, err error)
	// Database opens the database, once nothing is known to be wrong: its URL.
	Database func(context.Context) (string, error)
	Store    storage.Location
	// KeepStore restores the database beside a store that has this mothership's images
	// already, and copies what it lacks.
	KeepStore bool
	Registry  func(context.Context) (Registry, error)
	// Room returns how much is free where a folder is, or is to be.
	Room     func(dir string) (uint64, error)
	DataDir  string // of the private database; "" elsewhere
	By       string
	Progress func(Progress)
	// Jobs are the kinds of jobs that go on; others that were not done are dropped.
	Jobs []string
}

// Key is the secret key at hand.
type Key struct {
	Open func(name string, sealed []byte) error
	Keep func() error // nil when there is nothing to keep
}

// Registry is the store of images as restored tables describe it.
type Registry interface {
	Owner(ctx context.Context) (string, error)
	SetOwner(ctx context.Context, id string) error
	// Relink writes what a repository has, and its tags.
	Relink(ctx context.Context, r constellation.StoredRepository) error
}

// Restored is what a restore did.
type Restored struct {
	Manifest        *Manifest
	WentOn          bool // with one that was killed
	Rows            int64
	CopiedBlobs     int64
	CopiedBytes     int64
	Faults          []Fault // blobs that are not there now
	DroppedJobs     int64
	Took            time.Duration
	KeyKept         bool // the secret key came with the backup and was kept
	Repositories    int
	SchemaBefore    int64
	SchemaNow       int64
	DatabaseWasDone bool
}

// restorer restores one point.
type restorer struct {
	RestoreOptions
	source   source
	files    map[string]int64
	manifest *Manifest
	end      *end
	meter    *meter
	db       *postgres.DB
	url      string
	store    *storage.Content
	there    map[string]int64
	keep     func() error
	done     Restored
}

// Restore restores a point onto an empty place. What is wrong is told before anything
// is written. It may be killed at any moment: run again, it goes on.
func Restore(ctx context.Context, o RestoreOptions) (_ *Restored, err error) {
	begun := time.Now()
	r := &restorer{RestoreOptions: o, meter: newMeter()}
	if o.Target.overlaps(o.Store) {
		return nil, constellation.Errorf(constellation.KindInvalid, "the backup %s is where the images are to be (%s); restore to another place", o.Target, o.Store)
	}
	if r.source, err = openSource(ctx, o.Target); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.source.Close()) }()
	watched, stop := r.meter.watch(ctx, stalled, func(_ context.Context, p Progress) error {
		if o.Progress != nil {
			o.Progress(p)
		}
		return nil
	})
	defer stop()
	if err := r.run(watched); err != nil {
		return nil, why(watched, err)
	}
	r.done.Took = time.Since(begun)
	return &r.done, nil
}

func (r *restorer) run(ctx context.Context) (err error) {
	if err := r.look(ctx); err != nil {
		return err
	}
	if r.store, err = storage.OpenContent(r.Store); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.store.Close()) }()
	if r.there, err = r.store.Blobs(ctx); err != nil {
		return err
	}
	if err := r.room(); err != nil {
		return err
	}
	if r.url, err = r.Database(ctx); err != nil {
		return err
	}
	if r.db, err = postgres.Open(ctx, r.url); err != nil {
		return err
	}
	defer r.db.Close()
	restoring, err := r.db.Restoring(ctx)
	if err != nil {
		return err
	}
	if err := r.refuse(ctx, restoring != nil); err != nil {
		return err
	}
	if err := r.store.Prepare(ctx); err != nil {
		return err
	}
	registry, err := r.claim(ctx)
	if err != nil {
		return err
	}
	r.done.WentOn = restoring != nil && restoring.Point == r.manifest.Point
	r.done.DatabaseWasDone = r.done.WentOn && restoring.Loaded
	if !r.done.DatabaseWasDone {
		if err := r.load(ctx); err != nil {
			return err
		}
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.copyBlobs(ctx); err != nil {
		return err
	}
	if err := r.relink(ctx, registry); err != nil {
		return err
	}
	return r.db.EndRestore(ctx)
}

// look reads all of the backup but its blobs, and the key: nothing is written before.
func (r *restorer) look(ctx context.Context) (err error) {
	files, mothership, err := backups(ctx, r.source, r.Target)
	if err != nil {
		return err
	}
	r.files = files
	point, err := choose(r.files, r.Target, r.Point)
	if err != nil {
		return err
	}
	if r.manifest, r.end, err = readPoint(ctx, r.source, point, mothership); err != nil {
		return err
	}
	if err := r.manifest.refuseNewer(); err != nil {
		return err
	}
	r.done.Manifest, r.done.SchemaBefore = r.manifest, r.manifest.Schema
	if err := r.key(ctx); err != nil {
		return err
	}
	r.meter.begin("verifying tables", 0, 0)
	for i := range r.manifest.Tables {
		t := &r.manifest.Tables[i]
		if err := readTable(ctx, r.source, pointName(point, t.file()), t, r.meter, func(string) {}); err != nil {
			return err
		}
		r.done.Rows += t.Rows
	}
	return nil
}

// key makes sure that the secret key at hand opens what the backup has sealed.
func (r *restorer) key(ctx context.Context) error {
	var kept []byte
	if r.manifest.SecretKey != "" {
		var err error
		if kept, err = readAll(ctx, r.source, pointName(r.manifest.Point, "secret.key"), 1<<16); err != nil {
			return err
		}
		if sum(kept) != r.manifest.SecretKey {
			return damaged(pointName(r.manifest.Point, "secret.key"))
		}
	}
	if r.manifest.SealedName == "" {
		return nil
	}
	k, err := r.Key(kept)
	if err != nil {
		return err
	}
	r.keep = k.Keep
	return k.Open(r.manifest.SealedName, r.manifest.Sealed)
}

// lacks returns the blobs that are to be copied.
func (r *restorer) lacks() (blobs []BlobFile, bytes int64) {
	for _, b := range r.manifest.Blobs {
		if size, ok := r.there[b.Digest]; ok && size == b.Size {
			continue
		}
		if slices.Contains(r.manifest.Missing, b.Digest) || slices.Contains(r.end.Damaged, b.Digest) {
			continue
		}
		blobs = append(blobs, b)
		bytes += b.Size
	}
	return blobs, bytes
}

// rowsTake is how much more than its rows a database takes: indexes, and the log that
// a load writes.
const rowsTake = 4

// room refuses to begin what would not fit.
func (r *restorer) room() error {
	if r.Room == nil {
		return nil
	}
	_, blobs := r.lacks()
	rows, _ := r.manifest.sizes()
	rows = rows*rowsTake + 64<<20
	wants := map[string]int64{}
	if dir := r.Store.Dir(); dir != "" {
		wants[dir] += blobs
	}
	if r.DataDir != "" {
		if dir := r.Store.Dir(); dir != "" && within(dir, r.DataDir) {
			wants[dir] += rows
		} else {
			wants[r.DataDir] += rows
		}
	}
	for dir, want := range wants {
		free, err := r.Room(dir)
		if err != nil {
			return err
		}
		if uint64(want) > free { //nolint:gosec // a sum of sizes
			return constellation.Errorf(constellation.KindUnavailable, "the restore needs about %d MB at %s, and %d MB are free there; nothing was written", want>>20, dir, free>>20)
		}
	}
	return nil
}

// refuse refuses a place that is not empty, unless a restore was killed there.
func (r *restorer) refuse(ctx context.Context, restoring bool) error {
	if !restoring {
		empty, err := r.db.Empty(ctx)
		if err != nil {
			return err
		}
		if !empty {
			return constellation.Errorf(constellation.KindConflict, "the database is not empty, and a restore writes over nothing; restore into an empty database, such as that of another --data-dir")
		}
	}
	empty, err := r.store.Empty(ctx)
	if err != nil || empty || restoring || r.KeepStore {
		return err
	}
	return constellation.Errorf(constellation.KindConflict, "the store of images %s is not empty, and a restore writes over nothing; restore into an empty one, or, if it has this mothership's own images, give --keep-store", r.Store)
}

// claim marks the store as this mothership's before anything else is in it.
func (r *restorer) claim(ctx context.Context) (Registry, error) {
	registry, err := r.Registry(ctx)
	if err != nil {
		return nil, err
	}
	owner, err := registry.Owner(ctx)
	if err != nil || owner == r.manifest.Mothership {
		return registry, err
	}
	if owner != "" {
		return nil, constellation.Errorf(constellation.KindConflict, "the store of images %s belongs to another mothership (%s, and the backup is of %s); restore into an empty one", r.Store, shorten(owner), r.manifest.Mothership)
	}
	if r.KeepStore && len(r.there) > 0 {
		return nil, constellation.Errorf(constellation.KindConflict, "the store of images %s does not say whose it is; restore into an empty one", r.Store)
	}
	return registry, registry.SetOwner(ctx, r.manifest.Mothership)
}

// load fills the database.
func (r *restorer) load(ctx context.Context) error {
	if r.keep != nil {
		if err := r.keep(); err != nil {
			return err
		}
		r.done.KeyKept = true
	}
	if err := r.db.BeginRestore(ctx, r.manifest.Point); err != nil {
		return err
	}
	if err := postgres.MigrateTo(ctx, r.url, r.manifest.Schema); err != nil {
		return err
	}
	rows, _ := r.manifest.sizes()
	r.meter.begin("restoring tables", rows, int64(len(r.manifest.Tables)))
	tables := make([]postgres.TableContent, len(r.manifest.Tables))
	for i := range r.manifest.Tables {
		t := &r.manifest.Tables[i]
		tables[i] = postgres.TableContent{Table: t.Table, Open: func() (io.ReadCloser, error) {
			r.meter.file()
			return openTable(ctx, r.source, pointName(r.manifest.Point, t.file()), t.SHA256, r.meter)
		}}
	}
	return r.db.Load(ctx, tables, r.manifest.Sequences)
}

// settle brings what was restored to this program's schema, and leaves out what was
// true of the servers that were.
func (r *restorer) settle(ctx context.Context) (err error) {
	r.meter.begin("migrating the schema", 0, 0)
	if err := postgres.MigrateRestored(ctx, r.url); err != nil {
		return err
	}
	if r.done.SchemaNow, err = r.db.SchemaVersion(ctx); err != nil {
		return err
	}
	return r.db.Transact(ctx, func(db *postgres.DB) error {
		settled, dropped, err := db.SettleRestored(ctx, r.Jobs)
		if err != nil || !settled {
			return err
		}
		r.done.DroppedJobs = dropped
		return audit(ctx, db, r.By, "backup.restore", r.manifest.Point, map[string]any{
			"point": r.manifest.Point, "taken_at": r.manifest.TakenAt, "program": r.manifest.Program, "storage_before": r.manifest.Storage, "storage": r.Store.String(), "dropped_jobs": dropped,
		})
	})
}

// copyBlobs copies what the store lacks. One that is damaged is left out and named.
func (r *restorer) copyBlobs(ctx context.Context) error {
	for _, digest := range slices.Concat(r.manifest.Missing, r.end.Damaged) {
		if _, ok := r.there[digest]; !ok {
			r.done.Faults = append(r.done.Faults, Fault{File: blobName(digest), Problem: "the mothership's own storage had lost it, or had it damaged, when the backup was taken"})
		}
	}
	blobs, bytes := r.lacks()
	r.meter.begin("copying images", bytes, int64(len(blobs)))
	group, copying := errgroup.WithContext(ctx)
	group.SetLimit(blobsAtOnce)
	var mu sync.Mutex
	for _, b := range blobs {
		group.Go(func() error {
			if copying.Err() != nil {
				return copying.Err()
			}
			err := r.copyBlob(copying, b)
			mu.Lock()
			defer mu.Unlock()
			if problem, ok := faulty(err); ok || errors.Is(err, storage.ErrDamaged) {
				r.done.Faults = append(r.done.Faults, Fault{File: blobName(b.Digest), Problem: orDamaged(problem)})
				return nil
			}
			if err != nil {
				return err
			}
			r.done.CopiedBlobs++
			r.done.CopiedBytes += b.Size
			r.meter.file()
			return nil
		})
	}
	return group.Wait()
}

func (r *restorer) copyBlob(ctx context.Context, b BlobFile) error {
	from, err := r.source.Open(ctx, blobName(b.Digest))
	if err != nil {
		return err
	}
	err = r.store.Put(ctx, b.Digest, &verified{r: metered{from, r.meter}, want: b, hash: sha256.New()})
	return errors.Join(err, from.Close())
}

// relink writes which repository has what, as the restored tables say.
func (r *restorer) relink(ctx context.Context, registry Registry) error {
	names, err := r.db.Repositories(ctx)
	if err != nil {
		return err
	}
	r.meter.begin("writing repositories", 0, int64(len(names)))
	for _, name := range names {
		content, err := r.db.RepositoryContent(ctx, name)
		if err != nil {
			return err
		}
		repository := constellation.StoredRepository{Name: name}
		for digest := range content.Links {
			if content.Manifests[digest] {
				repository.Manifests = append(repository.Manifests, digest)
			} else {
				repository.Blobs = append(repository.Blobs, digest)
			}
		}
		for tag, digest := range content.Tags {
			repository.Tags = append(repository.Tags, constellation.StoredTag{Tag: tag, Digest: digest})
		}
		if err := registry.Relink(ctx, repository); err != nil {
			return fmt.Errorf("write repository %s: %w", name, err)
		}
		r.meter.file()
	}
	r.done.Repositories = len(names)
	return nil
}
