package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/constellation-serving/constellation/internal/autotls"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/storage"
	"github.com/constellation-serving/constellation/internal/tracing"
)

// Config is every setting of the server. A flag wins over its environment
// variable, that over the file.
type Config struct {
	file string

	backup         backupSettings
	dataDir        string
	databaseURL    string
	sessionURL     string
	postgresBinDir string

	secretKey, secretKeyFile, secretKeyCommand string

	storage         string
	storageRedirect bool
	storageKeepFree string

	listen            string
	publicURL         string
	registryHost      string
	tlsCert           string
	tlsKey            string
	acme              acmeConfig
	trustedProxies    []string
	requireIfMatch    bool
	outboundAllow     []string
	catalogPage       int
	metricsLabels     []string
	logFormat         string
	logLevel          string
	otlpEndpoint      string
	space             spaceSettings
	heartbeatInterval time.Duration
	stopDelay         time.Duration
	stopTimeout       time.Duration
	audit             auditConfig
	mail              mailConfig
	limits            limitSettings

	oidc      oidcProvider   // by flags; without an issuer there is none
	providers []oidcProvider // of the file
}

// AddDatabaseFlags adds the settings by which any command finds the database.
func (c *Config) AddDatabaseFlags(flags *pflag.FlagSet) {
	setting(flags.StringVar, &c.file, "config", "", "read settings from this YAML file; its keys are the names of these flags")
	setting(flags.StringVar, &c.dataDir, "data-dir", defaultDataDir(), "keep the database, the registry's images and the secret key here")
	setting(flags.StringVar, &c.databaseURL, "database-url", "", "use this PostgreSQL, postgres://user@host/db, rather than a private one in the data dir; prefer the environment, since flags show in the process list")
	setting(flags.StringVar, &c.sessionURL, "database-session-url", "", "where --database-url leads through a pooler in transaction mode: PostgreSQL itself, for migrations and to hear of changes; without it both work by other means, changes within half a second")
	setting(flags.StringVar, &c.postgresBinDir, "postgres-bin-dir", "", "take the private PostgreSQL's programs (initdb, postgres) from here, rather than from PATH and the usual folders")
	c.addKeyFlags(flags)
}

// AddStorageFlags adds the setting by which any command finds the registry's
// content.
func (c *Config) AddStorageFlags(flags *pflag.FlagSet) {
	setting(flags.StringVar, &c.storage, "storage", "", "keep the registry's images here, "+storage.Forms+"; default the data dir's folder registry; credentials of a bucket come from the environment, files or roles as AWS's own programs take them")
}

// addKeyFlags adds the settings of where the secret key is.
func (c *Config) addKeyFlags(flags *pflag.FlagSet) {
	setting(flags.StringVar, &c.secretKeyFile, "secret-key-file", "", "seal secrets in the database with the key in this file, 32 bytes in base64, rather than that in the data dir; it is read again when it changes. The first line seals, others still open")
	setting(flags.StringVar, &c.secretKeyCommand, "secret-key-command", "", "seal with the key that this command prints, run once at the start by sh, for 30 seconds at most")
	setting(flags.StringVar, &c.secretKey, "secret-key", "", "seal with this key; prefer the environment, since flags show in the process list")
}

// AddServerFlags adds every setting of the server, for a command that looks at them.
func (c *Config) AddServerFlags(flags *pflag.FlagSet) {
	c.addServeFlags(flags)
	c.AddDatabaseFlags(flags)
	c.AddStorageFlags(flags)
}

// addServeFlags adds the settings of the server alone.
func (c *Config) addServeFlags(flags *pflag.FlagSet) {
	c.backup.addFlags(flags)
	setting(flags.StringVar, &c.listen, "listen", ":8080", "serve HTTP on this address")
	setting(flags.StringVar, &c.publicURL, "public-url", "", "where browsers, operators and satellites reach this server, perhaps below a path, https://HOST/PREFIX; default http://localhost with the listening port")
	setting(flags.StringVar, &c.registryHost, "registry-host", "", "the host, or HOST:PORT, by which docker, crane and the like reach this server's /v2; default that of --public-url")
	setting(flags.StringVar, &c.tlsCert, "tls-cert", "", "serve HTTPS with this certificate, a PEM file that is read again when it changes; needs --tls-key")
	setting(flags.StringVar, &c.tlsKey, "tls-key", "", "the certificate's private key, a PEM file")
	c.acme.addFlags(flags)
	setting(flags.StringSliceVar, &c.trustedProxies, "trusted-proxy", nil, "believe X-Forwarded-For from these addresses or prefixes, such as 10.0.0.0/8; separate several by commas")
	setting(flags.BoolVar, &c.requireIfMatch, "require-if-match", false, "take changes of satellites, launch instances and algorithm versions by the REST API only with If-Match, so that nobody overwrites what they have not seen")
	setting(flags.StringSliceVar, &c.outboundAllow, "outbound-allow", nil, "import images from these addresses too, and send notifications there, which are not public: host names, addresses or prefixes, such as registry.corp.example,10.0.0.0/8; separate several by commas")
	setting(flags.StringVar, &c.logFormat, "log-format", "json", "log to stderr as json or text")
	setting(flags.StringVar, &c.logLevel, "log-level", "info", "log this and worse: debug, info, warn, error")
	setting(flags.StringVar, &c.otlpEndpoint, "otlp-endpoint", "", "URL of an OpenTelemetry collector (OTLP over HTTP) for traces, such as http://otel-collector:4318; empty: where OTEL_EXPORTER_OTLP_ENDPOINT says, or none. OTEL_EXPORTER_OTLP_HEADERS and OTEL_TRACES_SAMPLER count")
	setting(flags.BoolVar, &c.storageRedirect, "storage-redirect", false, "send clients that may read a blob to the bucket of --storage for it, by an address that holds for 15 minutes; they must reach its endpoint, or its public_endpoint=")
	setting(flags.StringVar, &c.storageKeepFree, "storage-keep-free", "256MB", "refuse uploads that would leave less of the disk free on which the images are in a folder, so that a database there goes on and space can be freed; 0 for none")
	setting(flags.DurationVar, &c.heartbeatInterval, "heartbeat-interval", 30*time.Second, "tell satellites to report this often, in whole seconds")
	setting(flags.IntVar, &c.catalogPage, "catalog-page", 100, "list this many repositories at a time in /v2/_catalog when a client does not say, 1 to 10000; it may ask for 1000 by itself, or for as many")
	setting(flags.StringSliceVar, &c.metricsLabels, "metrics-labels", nil, "count launch instances in /metrics by the values of these labels too, such as region,tier: at most 5 labels, of each the 50 most common values")
	c.AddSpaceFlags(flags)
	setting(flags.StringVar, &c.space.schedule, "gc-schedule", "30 3 * * *", "when to remove from the registry what nothing needs, as in a crontab and in UTC; off for never")
	setting(flags.DurationVar, &c.stopDelay, "stop-delay", time.Second, "when stopping, first answer /readyz with 503 for this long, so that load balancers look elsewhere")
	setting(flags.DurationVar, &c.stopTimeout, "stop-timeout", 30*time.Second, "when stopping, let requests under way take this long")
	c.audit.addFlags(flags)
	c.mail.addFlags(flags)
	c.limits.addFlags(flags)
	c.addOIDCFlags(flags)
}

// setting adds a flag whose help names its environment variable.
func setting[T any](add func(*T, string, T, string), p *T, name string, value T, help string) {
	add(p, name, value, help+" ["+variable(name)+"]")
}

// variable is the environment variable of a setting.
func variable(name string) string {
	if name == "database-url" {
		return "DATABASE_URL"
	}
	return "CONSTELLATION_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Load fills in what no flag of cmd gave, from the environment and the file. Its
// errors are of type UsageError.
func (c *Config) Load(cmd *cobra.Command) error {
	known := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&Config{}).AddServerFlags(known)
	flags := cmd.Flags()
	given := map[string]bool{} // by a flag or the environment
	var problem error
	flags.VisitAll(func(f *pflag.Flag) {
		if known.Lookup(f.Name) == nil || problem != nil {
			return
		}
		given[f.Name] = f.Changed
		if f.Changed {
			noteSource(f, "flag")
		}
		if value, ok := os.LookupEnv(variable(f.Name)); ok && value != "" && !f.Changed {
			problem = set(flags, f.Name, value, "the environment variable "+variable(f.Name))
			given[f.Name] = true
			noteSource(f, "environment "+variable(f.Name))
		}
	})
	if problem != nil || c.file == "" {
		return problem
	}
	values, err := c.readConfigFile()
	if err != nil {
		return err
	}
	for name, value := range values {
		if known.Lookup(name) == nil {
			return command.UsageError{Err: fmt.Errorf("%s: there is no setting %q; the settings are %s", c.file, name, names(known))}
		}
		if flags.Lookup(name) == nil || given[name] {
			continue
		}
		if err := set(flags, name, value, c.file+", "+name); err != nil {
			return err
		}
		noteSource(flags.Lookup(name), "file "+c.file)
	}
	return nil
}

// sourceKey is where a flag keeps where its value comes from.
const sourceKey = "constellation.source"

func noteSource(f *pflag.Flag, source string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[sourceKey] = []string{source}
}

// sourceOf is where the value of a flag comes from, once it is loaded.
func sourceOf(f *pflag.Flag) string {
	if source := f.Annotations[sourceKey]; len(source) > 0 {
		return source[0]
	}
	return "default"
}

func set(flags *pflag.FlagSet, name, value, source string) error {
	if err := flags.Set(name, value); err != nil {
		return command.UsageError{Err: fmt.Errorf("%s: %w", source, err)}
	}
	return nil
}

func (c *Config) readConfigFile() (map[string]string, error) {
	path := c.file
	raw, err := os.ReadFile(path)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, command.UsageError{Err: fmt.Errorf("the config file %s cannot be read: %w", path, err)}
	}
	var parsed map[string]any
	if err := yaml.UnmarshalStrict(raw, &parsed); err != nil {
		return nil, command.UsageError{Err: fmt.Errorf("the config file %s is not a YAML map of settings: %w", path, err)}
	}
	if list, ok := parsed[providersKey]; ok {
		if c.providers, err = readProviders(list); err != nil {
			return nil, command.UsageError{Err: fmt.Errorf("%s, %s: %w", path, providersKey, err)}
		}
		delete(parsed, providersKey)
	}
	values := make(map[string]string, len(parsed))
	for name, value := range parsed {
		switch v := value.(type) {
		case nil:
		case []any:
			var parts []string
			for _, part := range v {
				parts = append(parts, fmt.Sprint(part))
			}
			values[name] = strings.Join(parts, ",")
		case map[string]any:
			return nil, command.UsageError{Err: fmt.Errorf("%s: the setting %q is a single value or a list", path, name)}
		default:
			values[name] = fmt.Sprint(v)
		}
	}
	return values, nil
}

func names(flags *pflag.FlagSet) string {
	var list []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" {
			list = append(list, f.Name)
		}
	})
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// check finds what cannot work before anything starts.
func (c *Config) check() error {
	if err := c.backup.check(); err != nil {
		return err
	}
	if (c.tlsCert == "") != (c.tlsKey == "") {
		return command.UsageError{Err: errors.New("--tls-cert and --tls-key go together; give both or none")}
	}
	if c.logFormat != "json" && c.logFormat != "text" {
		return command.UsageError{Err: fmt.Errorf("--log-format is json or text; not %q", c.logFormat)}
	}
	if _, err := c.tracing(); err != nil {
		return err
	}
	if c.stopDelay < 0 || c.stopDelay > time.Minute {
		return command.UsageError{Err: fmt.Errorf("--stop-delay is between 0 and 1m; not %s", c.stopDelay)}
	}
	if err := c.checkSpace(); err != nil {
		return err
	}
	if c.heartbeatInterval < time.Second || c.heartbeatInterval > time.Hour || c.heartbeatInterval%time.Second != 0 {
		return command.UsageError{Err: fmt.Errorf("--heartbeat-interval is whole seconds, from 1s to 1h; not %s", c.heartbeatInterval)}
	}
	if c.sessionURL != "" && c.databaseURL == "" {
		return command.UsageError{Err: errors.New("--database-session-url goes with --database-url; give both or none")}
	}
	if c.catalogPage < 1 || c.catalogPage > 10000 {
		return command.UsageError{Err: fmt.Errorf("--catalog-page is from 1 to 10000; not %d", c.catalogPage)}
	}
	if err := c.checkMetricsLabels(); err != nil {
		return err
	}
	if c.stopTimeout <= 0 {
		return command.UsageError{Err: fmt.Errorf("--stop-timeout is longer than 0; not %s", c.stopTimeout)}
	}
	if _, err := c.StorageConfig(); err != nil {
		return err
	}
	if _, err := outbound.ParseAllowed(c.outboundAllow); err != nil {
		return command.UsageError{Err: fmt.Errorf("--outbound-allow: %w", err)}
	}
	if _, err := httpserve.ClientAddress(c.trustedProxies, slog.New(slog.DiscardHandler)); err != nil {
		return command.UsageError{Err: fmt.Errorf("--trusted-proxy: %w", err)}
	}
	if err := c.audit.check(); err != nil {
		return err
	}
	if err := c.mail.check(); err != nil {
		return err
	}
	if _, err := c.limits.limits(); err != nil {
		return err
	}
	if err := c.checkPublicURL(); err != nil {
		return err
	}
	_, err := c.manager(c.publicURL, autotls.Options{})
	return err
}

// tracing is where spans go.
func (c *Config) tracing() (tracing.Settings, error) {
	s, err := tracing.Read(c.otlpEndpoint, os.Getenv)
	if err != nil {
		return s, command.UsageError{Err: err}
	}
	return s, nil
}

// StorageConfig is where the registry's content is kept.
func (c *Config) StorageConfig() (registry.StorageConfig, error) {
	location := storage.FileLocation(filepath.Join(c.dataDir, "registry"))
	if c.storage != "" {
		var err error
		if location, err = storage.ParseLocation(c.storage); err != nil {
			return registry.StorageConfig{}, command.UsageError{Err: fmt.Errorf("--storage: %w", err)}
		}
	}
	if c.storageRedirect && strings.HasPrefix(c.publicURL, "https://") && location.PlainHTTP() {
		return registry.StorageConfig{}, command.UsageError{Err: errors.New("--storage-redirect would send clients from HTTPS to a bucket by plain HTTP, which they refuse: give the bucket an endpoint or a public_endpoint by https://")}
	}
	keep := int64(0)
	if c.storageKeepFree != "" { // of a command without that setting
		var err error
		if keep, err = constellation.ParseByteSize(c.storageKeepFree); err != nil {
			return registry.StorageConfig{}, command.UsageError{Err: fmt.Errorf("--storage-keep-free: %w", err)}
		}
	}
	return registry.StorageConfig{Location: location, Redirect: c.storageRedirect, KeepFree: keep}, nil
}

// publicURLFor is the public URL, made up from the listening address when it
// is not set.
func (c *Config) publicURLFor(listening string) string {
	if c.publicURL != "" {
		return c.publicURL
	}
	scheme := "http"
	if c.tlsCert != "" || c.acme.directory != "" {
		scheme = "https"
	}
	address, err := netip.ParseAddrPort(listening)
	if err != nil {
		return scheme + "://" + listening
	}
	if address.Addr().IsUnspecified() || address.Addr().IsLoopback() {
		return fmt.Sprintf("%s://localhost:%d", scheme, address.Port())
	}
	return scheme + "://" + address.String()
}

// defaultDataDir is the system's for root, else the user's own.
func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/constellation"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "constellation")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "share", "constellation")
}
