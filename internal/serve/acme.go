package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/autotls"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/jobs"
)

// acmeConfig is the settings of a certificate that an authority makes by ACME.
type acmeConfig struct {
	directory   string // "" is none
	acceptTerms bool
	hosts       []string
	email       string
	caFile      string
	challenge   string
	httpListen  string
}

func (a *acmeConfig) addFlags(flags *pflag.FlagSet) {
	setting(flags.StringVar, &a.directory, "acme", "", "serve HTTPS with a certificate that this authority makes and renews by ACME: letsencrypt, letsencrypt-staging or the https:// address of a directory; needs --acme-accept-terms")
	setting(flags.BoolVar, &a.acceptTerms, "acme-accept-terms", false, "accept the terms of service of the authority of --acme")
	setting(flags.StringSliceVar, &a.hosts, "acme-host", nil, "the certificate's hosts; default that of --public-url, and of --registry-host")
	setting(flags.StringVar, &a.email, "acme-email", "", "the address that the authority of --acme writes to")
	setting(flags.StringVar, &a.caFile, "acme-ca-file", "", "trust these certificates, a PEM file, besides the system's when the authority of --acme is asked")
	setting(flags.StringVar, &a.challenge, "acme-challenge", autotls.ChallengeTLS, "how the authority of --acme sees that a host is this server's: tls-alpn-01, at port 443 of it, or http-01, at port 80")
	setting(flags.StringVar, &a.httpListen, "acme-http-listen", ":80", "with --acme-challenge http-01, answer the authority on this address, and send all else to the public URL")
}

// manager makes the manager that is wanted, nil for none.
func (c *Config) manager(publicURL string, options autotls.Options) (*autotls.Manager, error) {
	a := c.acme
	if a.directory == "" {
		if a.acceptTerms || len(a.hosts) > 0 || a.email != "" || a.caFile != "" {
			return nil, command.UsageError{Err: errors.New("--acme is missing: the other settings that begin with acme count only with it")}
		}
		return nil, nil
	}
	switch {
	case c.tlsCert != "":
		return nil, command.UsageError{Err: errors.New("--acme and --tls-cert are two ways to one certificate; give one of them")}
	case !a.acceptTerms:
		return nil, command.UsageError{Err: errors.New("--acme needs --acme-accept-terms: read the authority's terms of service, and accept them by it")}
	case !strings.HasPrefix(publicURL, "https://"):
		return nil, command.UsageError{Err: fmt.Errorf("--acme needs a --public-url by https://; not %q", publicURL)}
	}
	hosts := a.hosts
	if len(hosts) == 0 {
		u, err := url.Parse(publicURL)
		if err != nil {
			return nil, command.UsageError{Err: err}
		}
		hosts = []string{u.Hostname()}
		if r, err := url.Parse("//" + c.registryHost); err == nil && r.Hostname() != "" && r.Hostname() != hosts[0] {
			hosts = append(hosts, r.Hostname())
		}
	}
	ca, err := readSmall("certificates", a.caFile)
	if err != nil {
		return nil, command.UsageError{Err: fmt.Errorf("--acme-ca-file: %w", err)}
	}
	options.Directory, options.CA, options.Email, options.Hosts, options.Challenge = a.directory, ca, a.email, hosts, a.challenge
	m, err := autotls.New(options)
	if err != nil {
		return nil, command.UsageError{Err: fmt.Errorf("--acme: %w", err)}
	}
	return m, nil
}

// tlsOf is how TLS is served with a manager's certificate, nil without one.
func tlsOf(m *autotls.Manager) *tls.Config {
	if m == nil {
		return nil
	}
	return m.Config()
}

// certificates is what the manager keeps, in the database.
type certificates struct{ control *control.Service }

// Value is part of autotls.Store.
func (c certificates) Value(ctx context.Context, name string) ([]byte, error) {
	return c.control.ACMEValue(ctx, name)
}

// Put is part of autotls.Store.
func (c certificates) Put(ctx context.Context, name string, value []byte, until time.Time) error {
	return c.control.PutACMEValue(ctx, name, value, until)
}

// Alone is part of autotls.Store.
func (c certificates) Alone(ctx context.Context, do func() error) error {
	return c.control.AloneWithCertificate(ctx, do)
}

// Obtained is part of autotls.Store.
func (c certificates) Obtained(ctx context.Context, name string, value []byte, pair *tls.Certificate) error {
	return c.control.KeepCertificate(ctx, name, value, pair.Leaf)
}

// obtain has a certificate made, or made again.
type obtain struct{}

// Kind is part of river.JobArgs.
func (obtain) Kind() string { return "certificate" }

// InsertOpts is part of river.JobArgsWithInsertOpts. An attempt may take a while. What
// is attempted again is that of a server that ended meanwhile.
func (obtain) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: "certificate", MaxAttempts: 3}
}

const (
	obtainEvery = 10 * time.Minute
	obtainTime  = 5 * time.Minute
)

func addCertificateJob(set *jobs.Set, m *mothership) {
	if m.acme == nil {
		return
	}
	jobs.Add(set, jobs.Kind[obtain]{Every: obtainEvery, Timeout: obtainTime, Work: func(ctx context.Context, _ *river.Job[obtain]) error {
		err := m.acme.Obtain(ctx)
		if err == nil || errors.Is(ctx.Err(), context.Canceled) {
			return err
		}
		return jobs.Cancel(err) // authorities bear few failures: the next one waits
	}})
}

// keepCertificate takes the certificate that there is, has one made where there is
// none or where it is about to end, and takes new ones until ctx ends.
func (m *mothership) keepCertificate(ctx context.Context) {
	if m.acme == nil {
		return
	}
	if err := m.acme.Load(ctx); err != nil {
		m.log.ErrorContext(ctx, "read the certificate", "error", err)
	}
	if m.acme.Due() {
		if _, err := m.queue.Insert(ctx, m.db, obtain{}, nil); err != nil {
			m.log.WarnContext(ctx, "have a certificate made", "error", err)
		}
	}
	m.acme.Run(ctx)
}

// checkCertificate is for /readyz.
func (m *mothership) checkCertificate(context.Context) error {
	at, ok := m.acme.Expires()
	switch {
	case !ok:
		return constellation.Errorf(constellation.KindUnavailable, "there is none yet; the log says how it goes")
	case time.Now().After(at):
		return constellation.Errorf(constellation.KindUnavailable, "it ended on %s", at.UTC().Format(time.RFC3339))
	}
	return nil
}

// serveDoors serves handler, and beside it a plain port for the authority where that
// asks by HTTP.
func serveDoors(ctx context.Context, c *Config, m *autotls.Manager, publicURL string, config httpserve.Config, handler http.Handler) error {
	if m == nil || c.acme.challenge != autotls.ChallengeHTTP {
		return httpserve.Serve(ctx, config, handler)
	}
	plain := config
	plain.TLS, plain.OnStop = nil, nil
	var err error
	if plain.Listener, err = httpserve.Listen(ctx, c.acme.httpListen); err != nil {
		return fmt.Errorf("--acme-http-listen: %w", err)
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return httpserve.Serve(ctx, config, m.Answer(handler)) })
	both.Go(func() error { return httpserve.Serve(ctx, plain, m.Answer(sendOn(publicURL))) })
	return both.Wait()
}

// sendOn sends a request to the same address of the public URL's host.
func sendOn(publicURL string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := url.Parse(publicURL)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		target := url.URL{Scheme: to.Scheme, Host: to.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, target.String(), http.StatusPermanentRedirect) //nolint:gosec // to our own host
	})
}

// expiry tells when the certificate of --acme ends.
func expiry(m *autotls.Manager) []prometheus.Collector {
	if m == nil {
		return nil
	}
	return []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "constellation_certificate_expiry_timestamp_seconds", Help: "When the certificate that this server shows ends, in Unix time; 0 when there is none.",
	}, func() float64 {
		at, ok := m.Expires()
		if !ok {
			return 0
		}
		return float64(at.Unix())
	})}
}
