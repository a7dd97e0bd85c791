package serve

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// mailConfig is the mail server that notifications go by.
type mailConfig struct {
	host         string
	port         int
	tls          string
	user         string
	passwordFile string
	from         string
}

func (m *mailConfig) addFlags(flags *pflag.FlagSet) {
	setting(flags.StringVar, &m.host, "smtp-host", "", "send notifications by e-mail through this mail server; needs --smtp-from")
	setting(flags.IntVar, &m.port, "smtp-port", 587, "the mail server's port: 587 for starttls, 465 for tls, 25 between mail servers")
	setting(flags.StringVar, &m.tls, "smtp-tls", notify.MailStartTLS, "how the mail server is spoken to: starttls, tls, or none in a network of one's own; its certificate is verified")
	setting(flags.StringVar, &m.user, "smtp-user", "", "sign in at the mail server as this user; needs --smtp-password-file")
	setting(flags.StringVar, &m.passwordFile, "smtp-password-file", "", "the password of --smtp-user, in a file that is read for each mail")
	setting(flags.StringVar, &m.from, "smtp-from", "", "whom mail comes from, such as constellation@example.com")
}

// check finds what cannot work before anything starts.
func (m *mailConfig) check() error {
	if m.host == "" {
		if m.user != "" || m.passwordFile != "" || m.from != "" {
			return command.UsageError{Err: errors.New("--smtp-user, --smtp-password-file and --smtp-from are of a mail server; give --smtp-host")}
		}
		return nil
	}
	if strings.ContainsAny(m.host, ":/ @") {
		return command.UsageError{Err: fmt.Errorf("--smtp-host is a host alone, and --smtp-port its port; not %q", m.host)}
	}
	if m.port < 1 || m.port > 65535 {
		return command.UsageError{Err: fmt.Errorf("--smtp-port is a number from 1 to 65535; not %d", m.port)}
	}
	if !slices.Contains([]string{notify.MailStartTLS, notify.MailTLS, notify.MailPlain}, m.tls) {
		return command.UsageError{Err: fmt.Errorf("--smtp-tls is starttls, tls or none; not %q", m.tls)}
	}
	if (m.user == "") != (m.passwordFile == "") {
		return command.UsageError{Err: errors.New("--smtp-user and --smtp-password-file go together; give both or none")}
	}
	if m.user != "" && m.tls == notify.MailPlain {
		return command.UsageError{Err: errors.New("--smtp-user with --smtp-tls none would send the password in the clear; set starttls or tls")}
	}
	if m.passwordFile != "" {
		if _, err := os.ReadFile(m.passwordFile); err != nil {
			return command.UsageError{Err: fmt.Errorf("--smtp-password-file: %w", err)}
		}
	}
	if from, err := mail.ParseAddress(m.from); err != nil || from.Address != m.from {
		return command.UsageError{Err: fmt.Errorf("--smtp-from is an address such as constellation@example.com; not %q", m.from)}
	}
	return nil
}

// server is the mail server, nil when there is none.
func (m *mailConfig) server() *notify.Mail {
	if m.host == "" {
		return nil
	}
	return &notify.Mail{Host: m.host, Port: m.port, TLS: m.tls, User: m.user, PasswordFile: m.passwordFile, From: m.from}
}

// openNotify makes what tells people.
func (m *mothership) openNotify(c *Config, sealer *auth.Sealer) {
	allowed, _ := outbound.ParseAllowed(c.outboundAllow) // Config.check has
	m.notify = notify.New(notify.Config{
		DB: m.db, Sealer: sealer, Queue: m.queue, PublicURL: m.publicURL, Mail: c.mail.server(), Log: m.log,
		Check: func(host string, at netip.Addr) error {
			if err := allowed.Check(host, at); err != nil {
				return fmt.Errorf("%w: messages go to public addresses, and to what this mothership's setting outbound-allow names", err)
			}
			return nil
		},
	})
}

// notifications is what the use cases know of telling people.
func (m *mothership) notifications(c *Config) control.Notifications {
	return control.Notifications{Mail: c.mail.host != "", Deliver: func(ctx context.Context, db *postgres.DB, deliveryID string) error {
		return notify.Enqueue(ctx, m.queue, db, deliveryID)
	}}
}

// watchNotices looks for what people are told that happens by the clock alone.
type watchNotices struct{}

// Kind is part of river.JobArgs.
func (watchNotices) Kind() string { return "notification_watch" }

// watchStorage looks whether the registry's storage is well.
type watchStorage struct{}

// Kind is part of river.JobArgs.
func (watchStorage) Kind() string { return "storage_watch" }

// InsertOpts is part of river.JobArgsWithInsertOpts: the next look is soon.
func (watchStorage) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// storagePause is how long storage that failed once has until it is looked at again.
const storagePause = 15 * time.Second

// addNotifyJobs adds what tells people in the background.
func addNotifyJobs(set *jobs.Set, m *mothership) {
	jobs.Add(set, jobs.Kind[notify.DeliverJob]{Timeout: notify.DeliverTimeout, Work: func(ctx context.Context, job *river.Job[notify.DeliverJob]) error {
		return m.notify.Deliver(ctx, job.Args.DeliveryID)
	}})
	jobs.Add(set, jobs.Kind[watchNotices]{Every: 15 * time.Minute, Timeout: 5 * time.Minute, Work: func(ctx context.Context, _ *river.Job[watchNotices]) error {
		return m.notify.Watch(ctx)
	}})
	jobs.Add(set, jobs.Kind[watchStorage]{Every: time.Minute, Work: func(ctx context.Context, _ *river.Job[watchStorage]) error {
		return m.notify.WatchStorage(ctx, m.checkStorage, storagePause)
	}})
}
