package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/autotls"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/importer"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/ratelimit"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/signon"
	"github.com/constellation-serving/constellation/internal/tracing"
	"github.com/constellation-serving/constellation/web/static"
)

// Build is what a program knows of itself.
type Build struct{ Version, Commit string }

// NewCommand returns the command that runs the server until its context
// ends. It logs to standard error of the command.
func NewCommand(build Build) *cobra.Command {
	var c Config
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the mothership: admin panel, REST API, registry and bundles",
		Long: `Run the mothership: admin panel, REST API, registry and bundles.

Without a database URL it runs a private PostgreSQL in the data dir, from the
machine's installed programs, and stops it at the end. On the first start, the
log has a link by which to make the first account.

Each setting is a flag, or the environment variable in [brackets], or a key of
the config file; the first of these that is given counts.`,
		Example: `  mothership serve --public-url https://mothership.example.com --data-dir /srv/constellation
  DATABASE_URL=postgres://constellation@db/constellation mothership serve`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.Load(cmd); err != nil {
				return err
			}
			if err := c.check(); err != nil {
				return err
			}
			if dir := os.Getenv("CONSTELLATION_DEV_STATIC"); dir != "" {
				static.FromDisk(dir) // make dev
			}
			log, err := newLog(&c, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), &c, build, log)
		},
	}
	cmd.Flags().SortFlags = false
	c.AddServerFlags(cmd.Flags())
	return cmd
}

func newLog(c *Config, out io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return nil, command.UsageError{Err: fmt.Errorf("--log-level is debug, info, warn or error; not %q", c.logLevel)}
	}
	options := &slog.HandlerOptions{Level: level}
	var log *slog.Logger
	if c.logFormat == "text" {
		log = slog.New(tracing.LogHandler(slog.NewTextHandler(out, options)))
	} else {
		log = slog.New(tracing.LogHandler(slog.NewJSONHandler(out, options)))
	}
	slog.SetDefault(log) // for the few places below that log without one at hand
	return log, nil
}

// serve answers from the first moment, with "starting" until all is up, and
// takes everything down in the reverse order when ctx ends.
func serve(ctx context.Context, c *Config, build Build, log *slog.Logger) error {
	begun := time.Now()
	listener, err := httpserve.Listen(ctx, c.listen)
	if err != nil {
		return err
	}
	publicURL := c.publicURLFor(listener.Addr().String())
	log.Info("starting", "version", build.Version, "commit", build.Commit, "listen", listener.Addr().String(), "public_url", publicURL, "data_dir", c.dataDir)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	acme, err := c.manager(publicURL, autotls.Options{Log: log})
	if err != nil {
		return err
	}
	gate, ready := &httpserve.Gate{}, &httpserve.Readiness{}
	served := make(chan error, 1)
	go func() {
		defer cancel() // a server that cannot listen on ends the start too
		served <- serveDoors(ctx, c, acme, publicURL, httpserve.Config{
			Listener: listener, TLSCert: c.tlsCert, TLSKey: c.tlsKey, TLS: tlsOf(acme), Log: log, Grace: c.stopTimeout,
			OnStop: func() time.Duration {
				ready.Stopping()
				notifySystemd(log, "STOPPING=1")
				if !gate.Opened() { // nobody was sent here yet
					return 0
				}
				return c.stopDelay
			},
		}, httpserve.Prefix(pathOf(publicURL), gate))
	}()
	m, err := start(ctx, c, build, publicURL, acme, log)
	if err != nil {
		stopping := ctx.Err() != nil
		cancel()
		if serveErr := <-served; serveErr != nil || stopping {
			return serveErr
		}
		return err
	}
	ready.Set(m.checks()...)
	handler, err := m.routes(ctx, c, ready)
	if err == nil {
		gate.Open(handler)
		log.Info("ready", "url", publicURL, "after", time.Since(begun).Round(time.Millisecond).String())
		notifySystemd(log, "READY=1")
		err = m.announceSetup(ctx)
	}
	if err != nil && ctx.Err() == nil {
		cancel()
	} else {
		err = nil
	}
	err = errors.Join(err, <-served, m.stop(context.WithoutCancel(ctx)))
	log.Info("stopped")
	return err
}

// mothership is everything serve runs.
type mothership struct {
	build     Build
	publicURL string
	startedAt time.Time
	log       *slog.Logger

	server   *private.Server // nil on a database elsewhere
	db       *postgres.DB
	storage  *registry.Storage
	system   *registry.SystemImage
	control  *control.Service
	jobs     *jobs.Runner
	queue    *jobs.Queue
	notify   *notify.Service
	importer *importer.Importer
	limits   *ratelimit.Limiter
	acme     *autotls.Manager // nil without --acme
	tracer   *tracing.Tracer  // nil without a collector

	endChores func() // ends the work in the background and waits for it
}

// start brings up the parts, each on those before it.
func start(ctx context.Context, c *Config, build Build, publicURL string, acme *autotls.Manager, log *slog.Logger) (m *mothership, err error) {
	m = &mothership{startedAt: time.Now(), build: build, publicURL: publicURL, acme: acme, log: log, endChores: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := makeDataDir(c.dataDir); err != nil {
		return m, err
	}
	if err := m.openTracing(ctx, c); err != nil {
		return m, err
	}
	url, server, err := OpenDatabase(ctx, c, private.ModeServe, log)
	if err != nil {
		return m, err
	}
	m.server = server
	if err := postgres.Migrate(ctx, cmp.Or(c.sessionURL, url)); err != nil {
		return m, err
	}
	if m.db, err = postgres.OpenPooled(ctx, url, c.sessionURL, m.traced()...); err != nil {
		return m, err
	}
	if m.db.Pooled() {
		log.Info("the database is behind a pooler in transaction mode", "polls", m.db.Polls())
	}
	sealer, err := openSealer(ctx, c, m.db)
	if err != nil {
		return m, err
	}
	content, err := c.StorageConfig()
	if err != nil {
		return m, err
	}
	if err := m.openStorage(ctx, content); err != nil {
		return m, err
	}
	providers, err := m.openControl(c, sealer)
	if err != nil {
		return m, err
	}
	if err := m.openLimits(c); err != nil {
		return m, err
	}
	if acme != nil {
		acme.Use(certificates{m.control})
	}
	if _, err := m.control.PublicKey(ctx); err != nil { // makes the signing key, or opens it
		return m, wrongKeyFile(c, err)
	}
	chores, endChores := context.WithCancel(ctx)
	m.system = registry.StartSystemImage(chores, m.storage, registry.SystemImageConfig{Control: m.control, Version: build.Version, Log: log})
	var work sync.WaitGroup
	if m.jobs, err = startJobs(ctx, c, m); err != nil {
		endChores()
		return m, err
	}
	work.Go(func() { m.endJobs(chores) })
	work.Go(func() { m.keepSystem(chores) })
	work.Go(func() { m.limits.Run(chores) })
	work.Go(func() { m.notify.Run(chores) })
	work.Go(func() { m.keepCertificate(chores) })
	work.Go(func() { m.askProviders(chores, providers) })
	run, endRun := context.WithCancel(context.WithoutCancel(ctx)) // heartbeats are taken until the last request is answered
	work.Go(func() { m.control.Run(run) })
	m.endChores = func() {
		endChores()
		endRun()
		work.Wait()
		m.system.Wait()
	}
	return m, nil
}

// openControl makes the use cases, and the providers that people sign in by.
func (m *mothership) openControl(c *Config, sealer *auth.Sealer) (*signon.Providers, error) {
	providers, err := c.signOn(m.publicURL, m.log)
	if err != nil {
		return nil, err
	}
	if m.queue, err = jobs.NewQueue(m.db); err != nil {
		return nil, err
	}
	m.openNotify(c, sealer)
	m.control = control.New(control.Options{
		DB: m.db, Sealer: sealer, SignOn: providers, Content: m.storage, Store: m.storage, PublicURL: m.publicURL, Version: m.build.Version, Log: m.log,
		HeartbeatInterval: c.heartbeatInterval, Collection: c.Collection(), AuditRetention: c.audit.retention(), AuditStreams: c.audit.streams,
		Notifications: m.notifications(c), Backup: c.backup.plan(),
		StartCollection: func(ctx context.Context, db *postgres.DB, by string) error {
			_, err := m.queue.Insert(ctx, db, collectNow{By: by}, nil)
			return err
		},
		StartImport: func(ctx context.Context, db *postgres.DB, versionID string, generation int) error {
			_, err := m.queue.Insert(ctx, db, importer.Job{VersionID: versionID, Generation: generation}, nil)
			return err
		},
		StartPoll: func(ctx context.Context, db *postgres.DB, mirrorID string, round int) error {
			_, err := m.queue.Insert(ctx, db, importer.MirrorJob{MirrorID: mirrorID, Round: round}, nil)
			return err
		},
		CheckRegistry: func(ctx context.Context, host string) error { return m.importer.CheckRegistry(ctx, host) },
		FreeSpace:     m.storage.Free,
		SystemImage:   func(ctx context.Context) (bundle.System, error) { return m.system.System(ctx) },
	})
	return providers, nil
}

func makeDataDir(dir string) error {
	if dir == "" {
		return command.UsageError{Err: errors.New("--data-dir is missing, and this user has no home to keep data in")}
	}
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711 // the private PostgreSQL's user passes through
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // PostgreSQL's user passes through
		return unusable(dir, err)
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return unusable(dir, err)
	}
	return nil
}

func unusable(dir string, err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return constellation.Wrap(err, constellation.KindForbidden, "the data dir %s cannot be made (%s); give another --data-dir", dir, err)
}

// stop takes down what start brought up, in the reverse order.
func (m *mothership) stop(ctx context.Context) error {
	m.endChores()
	var err error
	if m.storage != nil {
		err = m.storage.Close()
	}
	if m.db != nil {
		m.db.Close()
	}
	if m.server != nil {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		err = errors.Join(err, m.server.Stop(ctx))
	}
	m.tracer.Close(ctx)
	return err
}

// announceSetup logs the link that makes the first account, when there is
// none yet.
func (m *mothership) announceSetup(ctx context.Context) error {
	token, expires, err := m.control.SetupToken(ctx)
	if err != nil {
		return err
	}
	if token == "" {
		return nil
	}
	m.log.Warn("there is no account yet: open this link to make the first one", "url", m.publicURL+"/setup?token="+token, "expires", expires.UTC().Format(time.RFC3339))
	return nil
}

// checks are the parts /readyz names.
func (m *mothership) checks() []httpserve.Check {
	checks := []httpserve.Check{
		{Name: "database", Run: func(ctx context.Context) error {
			if m.server != nil {
				if err := m.server.Check(ctx); err != nil {
					return err
				}
			}
			return m.db.Ping(ctx)
		}},
		{Name: "schema", Run: m.control.Ready},
		{Name: "registry storage", Run: m.checkStorage},
		{Name: "stored images", Optional: true, Run: m.control.CheckLost},
		{Name: "clocks", Optional: true, Run: m.control.CheckClocks},
		{Name: "system image", Optional: true, Run: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond) // it is there, or still being made
			defer cancel()
			_, err := m.system.System(ctx)
			return err
		}},
	}
	if m.acme != nil {
		checks = append(checks, httpserve.Check{Name: "certificate", Optional: true, Run: m.checkCertificate})
	}
	return checks
}
