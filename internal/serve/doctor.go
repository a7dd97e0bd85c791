package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/space"
)

// The states of a finding.
const (
	FindingOK      = "ok"
	FindingWarning = "warning"
	FindingProblem = "problem"
)

// Finding is what a part of a mothership is like, and what mends it.
type Finding struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

const (
	doctorTime  = 10 * time.Second // that a part has to answer
	leastDisk   = 100 << 20
	enoughDisk  = 2 << 30
	clockOff    = 5 * time.Second
	clockBroken = time.Minute
	expiresSoon = 14 * 24 * time.Hour
)

// doctor looks at the parts, whatever is wrong with those before.
type doctor struct {
	c        *Config
	findings []Finding
	running  bool // some server of this mothership is
}

// Doctor looks at all that a server with these settings needs, and changes nothing. A
// part that depends on one which does not work is left out.
func Doctor(ctx context.Context, c *Config, log *slog.Logger) []Finding {
	d := &doctor{c: c}
	if err := c.check(); err != nil {
		d.problem("configuration", "correct the setting", "%v", err)
	} else {
		d.ok("configuration", "the settings can be used")
	}
	d.certificate()
	d.proxies()
	if d.dataDir() {
		d.database(ctx, log)
	}
	d.publicURL(ctx)
	return d.findings
}

func (d *doctor) add(name, state, fix, format string, args ...any) {
	d.findings = append(d.findings, Finding{name, state, fmt.Sprintf(format, args...), fix})
}

func (d *doctor) ok(name, format string, args ...any) { d.add(name, FindingOK, "", format, args...) }

func (d *doctor) warn(name, fix, format string, args ...any) {
	d.add(name, FindingWarning, fix, format, args...)
}

func (d *doctor) problem(name, fix, format string, args ...any) {
	d.add(name, FindingProblem, fix, format, args...)
}

// told is the sentence of an error.
func told(err error) string {
	var e *constellation.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func (d *doctor) certificate() {
	const name = "TLS"
	if d.c.acme.directory != "" {
		d.ok(name, "the authority of --acme makes the certificate, and makes it again before it ends")
		return
	}
	if d.c.tlsCert == "" || d.c.tlsKey == "" {
		if strings.HasPrefix(d.c.publicURL, "https://") {
			d.ok(name, "a proxy before the server has the certificate: --tls-cert is not set")
		}
		return
	}
	pair, err := tls.LoadX509KeyPair(d.c.tlsCert, d.c.tlsKey)
	if err != nil {
		d.problem(name, "give --tls-cert and --tls-key a certificate and its own key, in PEM form", "%v", err)
		return
	}
	left := time.Until(pair.Leaf.NotAfter)
	host := ""
	if u, err := url.Parse(d.c.publicURL); err == nil {
		host = u.Hostname()
	}
	switch {
	case left <= 0:
		d.problem(name, "put a new certificate into its file: it is read again when it changes", "the certificate expired at %s", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	case host != "" && pair.Leaf.VerifyHostname(host) != nil:
		d.problem(name, "get a certificate for it, or correct --public-url", "the certificate is not for %s, the host of --public-url", host)
	case left < expiresSoon:
		d.warn(name, "put a new certificate into its file: it is read again when it changes", "the certificate expires at %s", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	default:
		d.ok(name, "the certificate holds until %s", pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
}

// proxies finds limits by address behind a proxy that nobody named.
func (d *doctor) proxies() {
	const name = "addresses"
	behind := strings.HasPrefix(d.c.publicURL, "https://") && d.c.acme.directory == "" && d.c.tlsCert == ""
	if behind && len(d.c.trustedProxies) == 0 {
		d.warn(name, "name the proxy's addresses by --trusted-proxy", "a proxy is before the server, and none is trusted: all who come through it are one address for rate limits and failed sign-ins")
	}
}

// dataDir reports whether the data dir can be used; serve makes one that is missing.
func (d *doctor) dataDir() bool {
	const name = "data dir"
	info, err := os.Stat(d.c.dataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.warn(name, "", "%s is not there yet: the first start makes it", d.c.dataDir)
		return true
	case err != nil:
		d.problem(name, "let this user read it, or give another --data-dir", "%v", err)
		return false
	case !info.IsDir():
		d.problem(name, "give another --data-dir", "%s is no folder", d.c.dataDir)
		return false
	}
	switch key, err := os.Stat(keyFile(d.c)); {
	case info.Mode().Perm()&0o022 != 0:
		d.problem(name, "chmod go-w "+d.c.dataDir, "others than its owner may write to %s", d.c.dataDir)
	case err == nil && key.Mode().Perm()&0o077 != 0:
		d.problem(name, "chmod 600 "+keyFile(d.c), "others than its owner may read %s, which opens all secrets", keyFile(d.c))
	case unix.Access(d.c.dataDir, unix.W_OK) != nil:
		d.problem(name, "let this user write to it, or run this as the server's user", "this user may not write to %s", d.c.dataDir)
	default:
		d.ok(name, "%s is its owner's alone to write", d.c.dataDir)
	}
	d.disk()
	return true
}

func (d *doctor) disk() {
	const name, fix = "disk", "make room: 'mothership gc' removes images that nothing needs"
	var s unix.Statfs_t
	if err := unix.Statfs(d.c.dataDir, &s); err != nil {
		d.problem(name, "", "ask how full %s is: %v", d.c.dataDir, err)
		return
	}
	free := int64(s.Bavail) * int64(s.Bsize) //nolint:gosec,unconvert // types differ by system
	text := fmt.Sprintf("%d MB are free at %s", free>>20, d.c.dataDir)
	switch {
	case free < leastDisk:
		d.problem(name, fix, "only %s", text)
	case free < enoughDisk:
		d.warn(name, fix, "only %s", text)
	default:
		d.ok(name, "%s", text)
	}
}

// database looks at the database and at all that needs it.
func (d *doctor) database(ctx context.Context, log *slog.Logger) {
	const name, fix = "database", "correct DATABASE_URL, or let this machine reach the server and sign in there"
	if _, err := os.Stat(filepath.Join(d.c.dataDir, "postgres")); d.c.databaseURL == "" && err != nil {
		d.warn(name, "", "there is none yet: the first start makes a private one in the data dir")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*doctorTime)
	defer cancel()
	address, server, err := OpenDatabase(ctx, d.c, private.ModeCommand, log)
	if err != nil {
		d.problem(name, "see the message; with --database-url the server uses a PostgreSQL of yours", "%s", told(err))
		return
	}
	if server != nil {
		defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	}
	db, err := postgres.Open(ctx, address)
	if err == nil {
		defer db.Close()
		err = db.Ping(ctx)
	}
	if err != nil {
		d.problem(name, fix, "%s", told(err))
		return
	}
	if !d.schema(ctx, address) {
		return
	}
	if servers, err := db.Servers(ctx, time.Minute); err == nil {
		d.running = len(servers) > 0
		for _, server := range servers {
			if off := control.ClockOff(server); off != "" {
				d.warn("clock", "have its machine and the database's follow a time server", "the clock of server %s is %s the database's", server.ID, off)
			}
		}
	}
	if now, err := db.Clock(ctx); err == nil {
		d.clock("the database's", now)
	}
	d.secrets(ctx, db)
	d.storage(ctx, db, log)
}

// schema reports whether the parts that need a schema can be looked at.
func (d *doctor) schema(ctx context.Context, address string) bool {
	const name = "schema"
	status, err := postgres.Status(ctx, address)
	switch {
	case err != nil:
		d.problem(name, "let the database's user read and make tables", "%s", told(err))
		return false
	case status.Current > status.Target:
		d.problem(name, "run the newest release that any server of this database ran", "the schema is at %d, and this release knows %d", status.Current, status.Target)
	case len(status.Pending) > 0:
		d.warn(name, "", "the schema is at %d: the next start, or 'mothership migrate up', brings it to %d", status.Current, status.Target)
		return false
	default:
		d.ok(name, "the schema is at %d, the newest", status.Current)
	}
	return status.Current > 0
}

func (d *doctor) clock(whose string, now time.Time) {
	const name, fix = "clock", "have both machines follow a time server"
	off := time.Since(now).Abs().Round(time.Second)
	switch {
	case off > clockBroken:
		d.problem(name, fix, "this machine's clock and %s are %s apart: sign-ins and satellites' reports are refused", whose, off)
	case off > clockOff:
		d.warn(name, fix, "this machine's clock and %s are %s apart", whose, off)
	default:
		d.ok(name, "this machine's clock is %s", whose)
	}
}

// secrets finds a key file that is missing, or of another database.
func (d *doctor) secrets(ctx context.Context, db *postgres.DB) {
	const name = "secret key"
	sealed, err := db.HasSecrets(ctx)
	if err != nil || !sealed {
		return
	}
	sealer, err := openSealer(ctx, d.c, db) // makes none, since there are secrets
	if err == nil {
		_, err = control.New(control.Options{DB: db, Sealer: sealer}).PublicKey(ctx)
		err = wrongKeyFile(d.c, err)
	}
	if err != nil {
		d.problem(name, "restore the right key, or take that of another server of this database", "%s", told(err))
		return
	}
	d.ok(name, "%s opens this database's secrets", d.c.keyPlace())
}

// storage looks at where images are, and whether it is this database's.
func (d *doctor) storage(ctx context.Context, db *postgres.DB, log *slog.Logger) {
	const name, fix = "storage", "correct --storage and its credentials, or mount the volume"
	config, err := d.c.StorageConfig()
	if err != nil {
		d.problem(name, fix, "%v", err)
		return
	}
	if _, err := os.Stat(filepath.Join(d.c.dataDir, "registry")); d.c.storage == "" && err != nil {
		d.problem(name, fix, "the folder of images is not there: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	store, err := registry.OpenStorage(ctx, config, log)
	if err == nil {
		defer func() { _ = store.Close() }()
		if err = store.Check(ctx); err == nil {
			err = space.CheckStore(ctx, db, store)
		}
	}
	if err != nil {
		d.problem(name, fix, "%s", told(err))
		return
	}
	d.ok(name, "images are read and written there, and it is this database's")
}

// publicURL asks the server as others do.
func (d *doctor) publicURL(ctx context.Context) {
	const name, fix = "public URL", "let this machine reach it too, or correct --public-url, DNS, the proxy before the server or its certificate"
	target := d.c.publicURL
	if target == "" {
		d.warn(name, "set --public-url", "--public-url is not set: satellites, operators and browsers elsewhere are sent to localhost")
		return
	}
	if strings.HasPrefix(target, "http://") {
		d.warn(name, "serve HTTPS by --tls-cert or a proxy, and say so in --public-url", "%s is plain HTTP: keys and passwords travel unprotected", target)
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"/healthz", nil)
	if err != nil {
		d.problem(name, fix, "%v", err)
		return
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		if d.running {
			d.problem(name, fix, "a server runs, and %s is not reached from here: %v", target, errors.Unwrap(err))
		} else {
			d.warn(name, fix, "%s is not reached from here, and no server runs yet: %v", target, errors.Unwrap(err))
		}
		return
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 100))
	if answer.StatusCode != http.StatusOK || strings.TrimSpace(string(body)) != "ok" {
		d.problem(name, fix, "%s is answered by something else than a mothership (status %d)", target, answer.StatusCode)
		return
	}
	d.ok(name, "a mothership answers at %s", target)
	if now, err := http.ParseTime(answer.Header.Get("Date")); err == nil && time.Since(now).Abs() > clockOff {
		d.clock("that of "+target, now)
	}
}
