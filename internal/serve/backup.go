package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/cron"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// backupSettings are the settings of backups by the clock.
type backupSettings struct {
	target, schedule string
	keep             int
	secretKey        bool
	verify           bool
}

func (b *backupSettings) addFlags(flags *pflag.FlagSet) {
	setting(flags.StringVar, &b.target, "backup", "", "take backups by the clock to this place, a folder or s3://BUCKET[/PREFIX][?region=R&endpoint=E]; credentials of a bucket come from where --storage has them")
	setting(flags.StringVar, &b.schedule, "backup-schedule", "0 2 * * *", "when to take a backup to --backup, as in a crontab and in UTC")
	setting(flags.IntVar, &b.keep, "backup-keep", 14, "how many backups stay at --backup, the newest; 0 keeps all")
	setting(flags.BoolVar, &b.verify, "backup-verify", true, "read each backup again after it was taken to --backup, and say what is wrong with it")
	setting(flags.BoolVar, &b.secretKey, "backup-secret-key", false, "put the secret key into backups too: who reads them then opens every secret in them")
}

func (b *backupSettings) check() error {
	if b.keep < 0 {
		return command.UsageError{Err: errors.New("--backup-keep is not below 0")}
	}
	if b.target == "" {
		return nil
	}
	target, err := backup.ParseTarget(b.target)
	if err != nil {
		return command.UsageError{Err: fmt.Errorf("--backup: %w", err)}
	}
	if target.Single() {
		return command.UsageError{Err: errors.New("--backup is a folder or a bucket, which hold many backups; a tar file holds one, which mothership backup writes")}
	}
	if _, err := cron.Parse(b.schedule, "UTC"); err != nil {
		return command.UsageError{Err: fmt.Errorf("--backup-schedule is a time as in a crontab: %w", err)}
	}
	return nil
}

// plan is what the panel says of backups by the clock.
func (b *backupSettings) plan() control.BackupPlan {
	target, err := backup.ParseTarget(b.target)
	if b.target == "" || err != nil {
		return control.BackupPlan{}
	}
	return control.BackupPlan{Target: target.String(), Schedule: b.schedule, Keep: b.keep}
}

// BackupOptions returns what the settings say of a backup of a database to a target.
func BackupOptions(ctx context.Context, c *Config, db *postgres.DB, target backup.Target, withKey bool) (backup.Options, error) {
	content, err := c.StorageConfig()
	if err != nil {
		return backup.Options{}, err
	}
	o := backup.Options{DB: db, Store: content.Location, Target: target}
	if withKey {
		if o.SecretKey, err = secretKeyText(ctx, c); err != nil {
			return o, err
		}
	}
	return o, nil
}

// secretKeyText returns the secret key as a key file has it.
func secretKeyText(ctx context.Context, c *Config) ([]byte, error) {
	switch {
	case c.secretKeyFile != "":
		return readKey(c.secretKeyFile)
	case c.secretKeyCommand != "":
		return commandKey(ctx, c.secretKeyCommand)
	case c.secretKey != "":
		return []byte(c.secretKey + "\n"), nil
	}
	return readKey(keyFile(c))
}

func readKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the server's own setting
	if errors.Is(err, fs.ErrNotExist) {
		return nil, constellation.Errorf(constellation.KindNotFound, "the key file %s is not there, so no backup can have the secret key; give --secret-key-file", path)
	}
	return text, err
}

// backupQueue is the queue of backups, which may take long.
const backupQueue = "backup"

// backupTimeout is more than any backup takes. One that is ended goes on with the next.
const backupTimeout = 24 * time.Hour

// backupDue takes a backup when the schedule says so.
type backupDue struct{}

// Kind is part of river.JobArgs.
func (backupDue) Kind() string { return "backup_due" }

// InsertOpts is part of river.JobArgsWithInsertOpts.
func (backupDue) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: backupQueue, MaxAttempts: 1}
}

// backupAgain is how long after a backup that failed the next one comes at the soonest.
const backupAgain = 30 * time.Minute

func addBackupJobs(set *jobs.Set, c *Config, m *mothership) {
	if c.backup.target == "" {
		return
	}
	jobs.Add(set, jobs.Kind[backupDue]{Every: time.Minute, Timeout: backupTimeout, Work: func(ctx context.Context, _ *river.Job[backupDue]) error {
		if err := errors.Join(m.tellLeftBackups(ctx), m.tellOverdueBackup(ctx, c)); err != nil {
			return err
		}
		due, err := backupIsDue(ctx, &c.backup, m.db, m.startedAt)
		if err != nil || !due {
			return err
		}
		return m.takeBackup(ctx, c)
	}})
}

// backupLeft is how long a backup that says nothing is taken to run.
const backupLeft = 20 * time.Second

// tellLeftBackups has people told of backups whose server is gone.
func (m *mothership) tellLeftBackups(ctx context.Context) error {
	return m.db.Transact(ctx, func(tx *postgres.DB) error {
		left, err := tx.EndLeftBackups(ctx, backupLeft)
		if err != nil {
			return err
		}
		for i := range left {
			if err := tellBackup(ctx, tx, left[i].Target, left[i].Error); err != nil {
				return err
			}
		}
		return nil
	})
}

// backupOverdue is after how long without a backup people are told, each day once.
const backupOverdue = 48 * time.Hour

// tellOverdueBackup has people told when no backup succeeded for long.
func (m *mothership) tellOverdueBackup(ctx context.Context, c *Config) error {
	good, err := m.db.LastBackup(ctx)
	if err != nil {
		return err
	}
	since, last := m.startedAt, "none was ever taken"
	if good != nil {
		since, last = good.StartedAt, "the last good one began on "+good.StartedAt.UTC().Format("2006-01-02 at 15:04 UTC")
	}
	if time.Since(since) < backupOverdue {
		return nil
	}
	target := c.backup.plan().Target
	return notify.Record(ctx, m.db, notify.Event{
		Kind: constellation.NoticeBackupOverdue, Subject: "backup", ID: target, Name: target, Once: "clock", Text: last + "; System and the server's log say why",
	})
}

// tellBackup has people told of a backup that failed.
func tellBackup(ctx context.Context, db *postgres.DB, target, why string) error {
	return notify.Record(ctx, db, notify.Event{
		Kind: constellation.NoticeBackupFailed, Subject: "backup", ID: target, Name: target, Text: why + "; see to that place: the next backup is tried in half an hour, and what is there is gone on with",
	})
}

// backupIsDue reports whether a backup is due: since the last one, or, where there is
// none, since a moment.
func backupIsDue(ctx context.Context, b *backupSettings, db *postgres.DB, since time.Time) (bool, error) {
	schedule, err := cron.Parse(b.schedule, "UTC")
	if err != nil {
		return false, jobs.Cancel(err)
	}
	last, err := db.Backups(ctx, 1)
	if err != nil {
		return false, err
	}
	now := time.Now()
	if len(last) == 1 && (last[0].FinishedAt == nil || last[0].Error != "") && now.Sub(last[0].StartedAt) < backupAgain {
		return false, nil
	}
	good, err := db.LastBackup(ctx)
	if err != nil {
		return false, err
	}
	if good != nil {
		since = good.StartedAt
	}
	next := schedule.Next(since)
	return !next.IsZero() && !next.After(now), nil
}

func (m *mothership) takeBackup(ctx context.Context, c *Config) error {
	target, err := backup.ParseTarget(c.backup.target)
	if err != nil {
		return jobs.Cancel(err)
	}
	o, err := BackupOptions(ctx, c, m.db, target, c.backup.secretKey)
	if err != nil {
		return err
	}
	o.Program, o.By, o.Keep, o.Count, o.Log = m.build.Version, constellation.ActorSystem, c.backup.keep, m.control.CountStorageOnce, m.log
	taken, err := backup.Take(ctx, o)
	if constellation.KindOf(err) == constellation.KindConflict && err != nil {
		m.log.Warn("no backup was taken", "target", target.String(), "error", err)
		return nil
	}
	if err != nil {
		why := "it failed, and the server's log says why"
		if e, ok := errors.AsType[*constellation.Error](err); ok {
			why = e.Message
		}
		if ctx.Err() != nil { // the server ends; another one goes on
			return fmt.Errorf("take backup: %w", err)
		}
		return errors.Join(fmt.Errorf("take backup: %w", err), tellBackup(ctx, m.db, target.String(), why))
	}
	m.log.Info("backup taken", "target", target.String(), "point", taken.Point, "bytes", taken.Bytes, "written", taken.Written, "took", taken.Took.Round(time.Millisecond).String(),
		"missing", len(taken.Missing), "damaged", len(taken.Damaged), "removed", len(taken.Removed))
	if !c.backup.verify {
		return nil
	}
	return m.verifyBackup(ctx, target, taken.Point)
}

// verifyBackup reads a backup again, and has people told what is wrong with it.
func (m *mothership) verifyBackup(ctx context.Context, target backup.Target, point string) error {
	done, err := backup.Verify(ctx, target, point, nil)
	if err != nil {
		return fmt.Errorf("verify backup: %w", err)
	}
	fault := ""
	if n := len(done.Faults); n > 0 {
		fault = done.Faults[0].File + ": " + done.Faults[0].Problem
		if n > 1 {
			fault += fmt.Sprintf(", and %d more faults, which mothership backup verify names", n-1)
		}
		m.log.Error("the backup does not restore whole", "target", target.String(), "point", point, "faults", n, "first", fault)
	}
	return m.db.Transact(ctx, func(tx *postgres.DB) error {
		if err := tx.NoteVerified(ctx, target.String(), point, fault); err != nil || fault == "" {
			return err
		}
		return tellBackup(ctx, tx, target.String(), "read again, it is not whole: "+fault)
	})
}

// backupState collects how backups are.
type backupState struct {
	db  *postgres.DB
	due bool // they are taken by the clock
}

var (
	backupLast    = prometheus.NewDesc("constellation_backup_last_success_timestamp_seconds", "When the last backup that succeeded began; 0 if none did.", nil, nil)
	backupBytes   = prometheus.NewDesc("constellation_backup_last_bytes", "What the last backup that succeeded holds of images.", nil, nil)
	backupTook    = prometheus.NewDesc("constellation_backup_last_duration_seconds", "How long the last backup that succeeded took.", nil, nil)
	backupFailed  = prometheus.NewDesc("constellation_backup_last_failed", "1 when the last backup failed, else 0.", nil, nil)
	backupPlanned = prometheus.NewDesc("constellation_backup_scheduled", "1 when backups are taken by the clock, else 0.", nil, nil)
)

// Describe is part of prometheus.Collector.
func (backupState) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{backupLast, backupBytes, backupTook, backupFailed, backupPlanned} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector, whose calls have no context.
func (s backupState) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	good, err := s.db.LastBackup(ctx)
	if err != nil {
		return
	}
	newest, err := s.db.Backups(ctx, 1)
	if err != nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	number := map[bool]float64{true: 1}
	gauge(backupPlanned, number[s.due])
	gauge(backupFailed, number[len(newest) == 1 && newest[0].Error+newest[0].Fault != ""])
	if good == nil {
		gauge(backupLast, 0)
		return
	}
	gauge(backupLast, float64(good.StartedAt.UnixMilli())/1000)
	gauge(backupBytes, float64(good.Bytes))
	gauge(backupTook, good.FinishedAt.Sub(good.StartedAt).Seconds())
}

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
