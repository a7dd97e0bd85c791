package importer

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/foreign"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/retry"
)

// Options are what an Importer is made of. Log may be nil.
type Options struct {
	Control *control.Service
	Storage *registry.Storage
	Allowed outbound.Allowed // addresses that registries may be at besides public ones
	Log     *slog.Logger

	Backoff retry.Backoff // between attempts; the zero value is 2 s to 10 min
	Stall   time.Duration // how long a registry may say nothing; 0 is a minute
	Note    time.Duration // how often progress is written; 0 is a second
	Soon    time.Duration // how long until a mirror is polled of which something is left, or a registry was away; 0 is half a minute
}

// Importer does imports. It is safe for concurrent use.
type Importer struct{ o Options }

// New makes an Importer.
func New(o Options) *Importer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Backoff == (retry.Backoff{}) {
		o.Backoff = retry.Backoff{First: 2 * time.Second, Most: 10 * time.Minute, Jitter: 0.3}
	}
	o.Note, o.Soon = cmp.Or(o.Note, time.Second), cmp.Or(o.Soon, 30*time.Second)
	return &Importer{o}
}

// queue is the queue of imports, which take long.
const queue = "import"

// Job is the job of importing a version.
type Job struct {
	VersionID  string `json:"version_id"`
	Generation int    `json:"generation"` // of the request: one that was asked for anew has another job
}

// Kind is part of river.JobArgs.
func (Job) Kind() string { return "import_version" }

// InsertOpts is part of river.JobArgsWithInsertOpts. How often an import is tried is
// counted in its own row; an attempt of River's is a server that was killed.
func (Job) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: queue, MaxAttempts: 1000} }

// turn is how long an import works at a time, before others have their turn.
const turn = 10 * time.Minute

// AddJobs adds the work of imports to what a server does in the background.
func (m *Importer) AddJobs(set *jobs.Set) {
	jobs.Add(set, jobs.Kind[Job]{Timeout: turn + 5*time.Minute, Work: func(ctx context.Context, job *river.Job[Job]) error {
		return m.work(ctx, job.Args)
	}})
	jobs.Add(set, jobs.Kind[MirrorJob]{Timeout: pollTimeout + time.Minute, Work: func(ctx context.Context, job *river.Job[MirrorJob]) error {
		return m.pollMirror(ctx, job.Args)
	}})
	jobs.Add(set, jobs.Kind[dueMirrors]{Every: dueEvery, Work: func(ctx context.Context, _ *river.Job[dueMirrors]) error {
		return m.o.Control.BeginPolls(ctx)
	}})
}

// How often an import is tried that brings nothing: when a registry cannot be reached,
// and when it sends what it should not.
const (
	attemptsMost = 12
	attemptsBad  = 2
)

// work works at an import for a turn.
func (m *Importer) work(ctx context.Context, job Job) error {
	i, parts, err := m.o.Control.WorkImport(ctx, job.VersionID, job.Generation)
	if constellation.KindOf(err) == constellation.KindNotFound {
		return nil // it was cancelled or removed
	}
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, turn)
	defer cancel()
	r := &run{importer: m, i: i, parts: parts}
	before := i.BytesDone
	err = r.do(limited)
	switch {
	case err == nil:
		m.o.Log.InfoContext(ctx, "imported", "version", i.VersionID, "image", i.Image.String(), "digest", i.Digest, "bytes", i.Bytes)
		return nil
	case errors.Is(err, control.ErrImportEnded):
		return nil
	case ctx.Err() != nil, limited.Err() != nil:
		return river.JobSnooze(0) // another server, or another turn
	}
	return m.failed(ctx, i, err, i.BytesDone > before)
}

// failed ends an import that cannot be done, or has it tried again later.
func (m *Importer) failed(ctx context.Context, i *constellation.Import, err error, progressed bool) error {
	m.o.Log.WarnContext(ctx, "import", "version", i.VersionID, "image", i.Image.String(), "error", err)
	if i.Attempts++; progressed {
		i.Attempts = 1
	}
	most := attemptsMost
	if constellation.KindOf(err) == constellation.KindInvalid {
		most = attemptsBad
	}
	if retry.IsPermanent(err) || i.Attempts >= most {
		if ended := m.o.Control.FailImport(ctx, i, inWords(err)); !errors.Is(ended, control.ErrImportEnded) {
			return ended
		}
		return nil
	}
	delay := m.o.Backoff.Delay(i.Attempts - 1)
	if asked, ok := retry.AskedDelay(err); ok {
		delay = max(delay, asked)
	}
	next := time.Now().Add(delay).UTC()
	i.Phase, i.NextAt, i.Error, i.Rate = constellation.ImportWaits, &next, inWords(err).Message, 0
	if noted := m.o.Control.NoteImport(ctx, i); errors.Is(noted, control.ErrImportEnded) {
		return nil
	} else if noted != nil {
		return noted
	}
	return river.JobSnooze(delay)
}

// inWords is an error as users read it.
func inWords(err error) *constellation.Error {
	e, ok := errors.AsType[*constellation.Error](err)
	if !ok || e.Kind == constellation.KindInternal {
		return constellation.Errorf(constellation.KindInternal, "the mothership failed; its log says why")
	}
	told := *e
	for _, f := range e.Fields {
		told.Message += "; " + f.Field + ": " + f.Message
	}
	return &told
}

// open returns the registry of a host, as an admin has said it is reached.
func (m *Importer) open(ctx context.Context, host string) (*foreign.Registry, error) {
	r, password, err := m.o.Control.RegistryLogin(ctx, host)
	if err != nil {
		return nil, err
	}
	return foreign.Open(foreign.Access{Host: host, PlainHTTP: r.PlainHTTP, CA: r.CA, Username: r.Username, Password: password},
		foreign.Options{Allowed: m.o.Allowed, Stall: m.o.Stall})
}
