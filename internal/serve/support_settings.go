package serve

import (
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/support"
)

// inForce is a setting, its value and where that comes from.
type inForce struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// secretSettings are those whose values nobody else reads; of others, logins are
// taken out.
var secretSettings = []string{"secret-key", "secret-key-command", "audit-webhook"}

// settingsInForce are the settings with their sources. A name that ends in -file says
// where a secret is, and is none.
func settingsInForce(c *Config, flags *pflag.FlagSet) any {
	list := []inForce{}
	known := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&Config{}).AddServerFlags(known)
	flags.VisitAll(func(f *pflag.Flag) {
		if known.Lookup(f.Name) == nil {
			return
		}
		s := inForce{Name: f.Name, Value: f.Value.String(), From: sourceOf(f)}
		if slices.Contains(secretSettings, f.Name) && s.Value != "" {
			s.Value = support.Masked
		}
		if strings.HasPrefix(f.Name, "database-") && s.Value != "" {
			s.Value = withoutLogin(s.Value)
		}
		list = append(list, s)
	})
	providers := []any{}
	for _, p := range c.providers {
		providers = append(providers, map[string]any{"name": p.Name, "issuer": p.Issuer, "scopes": p.Scopes, "roles": p.Role, "client_secret_file": p.ClientSecretFile})
	}
	return map[string]any{"settings": list, providersKey: providers}
}

// withoutLogin is a database's URL, or its parameters, without what signs in.
func withoutLogin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return support.Masked
	}
	query := u.Query()
	for name := range query {
		if name != "sslmode" && name != "connect_timeout" && name != "pool_max_conns" && name != "target_session_attrs" && name != "application_name" {
			query.Set(name, support.Masked)
		}
	}
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawQuery: query.Encode()}
	return clean.String()
}

// environmentNames are the variables that our parts look at; their values may be
// secret.
func environmentNames(environ []string) any {
	names := []string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		for _, prefix := range []string{"CONSTELLATION_", "OTEL_", "AWS_", "PG", "DATABASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "GOMAXPROCS", "GOMEMLIMIT", "GODEBUG", "SSL_CERT_", "TZ"} {
			if strings.HasPrefix(strings.ToUpper(name), prefix) && value != "" {
				names = append(names, name)
				break
			}
		}
	}
	slices.Sort(names)
	return map[string]any{"set": names}
}

// secretVariable is a variable of the environment whose value signs in somewhere.
func secretVariable(name string) bool {
	for _, part := range []string{"PASSWORD", "SECRET", "TOKEN", "_KEY", "HEADERS", "CREDENTIAL"} {
		if strings.Contains(strings.ToUpper(name), part) && !strings.HasSuffix(name, "_FILE") && !strings.HasSuffix(name, "_COMMAND") {
			return true
		}
	}
	return false
}

// learnSecrets has the redactor know what secrets these settings have, so that they
// are found wherever they stand.
func learnSecrets(r *support.Redactor, c *Config, environ []string) {
	r.Add(c.secretKey, c.secretKeyCommand, c.audit.webhook)
	for _, address := range []string{c.databaseURL, c.sessionURL, c.audit.webhook} {
		u, err := url.Parse(address)
		if err != nil {
			r.Add(address)
			continue
		}
		if password, ok := u.User.Password(); ok {
			r.Add(password)
		}
		for name, values := range u.Query() {
			if strings.Contains(name, "password") || strings.Contains(name, "token") || strings.Contains(name, "key") {
				r.Add(values...)
			}
		}
	}
	files := []string{keyFile(c), c.secretKeyFile, c.audit.webhookSecret, c.mail.passwordFile, c.oidc.ClientSecretFile, c.tlsKey}
	for _, p := range c.providers {
		files = append(files, p.ClientSecretFile)
	}
	for _, path := range files {
		if path == "" {
			continue
		}
		if data, err := readBounded(path); err == nil { // else nobody can tell it
			r.Learn(data)
			for line := range strings.Lines(string(data)) {
				r.Add(line)
			}
		}
	}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !secretVariable(name) {
			continue
		}
		r.Add(value)
		for part := range strings.SplitSeq(value, ",") { // of headers
			if _, text, ok := strings.Cut(part, "="); ok {
				plain, _ := url.PathUnescape(text)
				r.Add(text, plain)
				if _, word, ok := strings.Cut(plain, " "); ok { // behind Basic, or Bearer
					r.Add(word)
				}
			}
		}
	}
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the admin's own setting
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(file, 64<<10))
}
