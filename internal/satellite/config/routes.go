// Package config is what a satellite's engine is told: routes.json and
// keys.json, as the installer renders them and the engine reads them
// (DESIGN section 7). It imports the standard library and the domain only.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// The names of the files in the engine's --config folder.
const (
	RoutesFile = "routes.json"
	KeysFile   = "keys.json"
	TokenFile  = "token" // the launch's token, for heartbeats; there may be none
)

// What a route is given when it does not say, and the most it may ask for.
const (
	DefaultQueueLimit     = 100
	MaxQueueLimit         = 100_000
	DefaultTimeoutSeconds = 300
	MaxTimeoutSeconds     = 3000
)

// Routes is routes.json: which algorithms this satellite serves, and where.
// Fields that this version does not know are ignored.
type Routes struct {
	Satellite  Satellite  `json:"satellite"`
	Launch     Launch     `json:"launch"`
	Mothership Mothership `json:"mothership"`
	Algorithms []Route    `json:"algorithms"`
}

// Satellite names the satellite version that is deployed. A zero ExpiresAt
// never expires.
type Satellite struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Version   int       `json:"version"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Expired says whether the satellite is past its date at now. It serves on,
// and warns.
func (s Satellite) Expired(now time.Time) bool {
	return !s.ExpiresAt.IsZero() && !now.Before(s.ExpiresAt)
}

// Launch names the installation.
type Launch struct {
	ID string `json:"id"`
}

// Mothership is where the satellite comes from; URL is "" when it has none to
// report to. Proxy and CA are for the way there: without, the environment's
// and the system's are taken.
type Mothership struct {
	URL   string `json:"url"`
	Proxy string `json:"proxy,omitempty"` // a URL
	CA    string `json:"ca,omitempty"`    // certificates, PEM
}

// Route is one algorithm under its vanity URL. Replicas are Endpoints when
// given, else the ready endpoints of Service.
type Route struct {
	VanityURL       string                 `json:"vanity_url"`
	Algorithm       string                 `json:"algorithm"`                  // OWNER/NAME/HASH
	SemanticVersion string                 `json:"semantic_version,omitempty"` // such as 1.2.0
	Protocol        constellation.Protocol `json:"protocol"`
	Port            int                    `json:"port"`
	Path            string                 `json:"path"`
	HealthPath      string                 `json:"health_path,omitempty"`
	Concurrency     int                    `json:"concurrency"` // calls at once a replica
	Replicas        int                    `json:"replicas,omitempty"`
	Queue           Queue                  `json:"queue,omitzero"`
	TimeoutSeconds  int                    `json:"timeout_seconds,omitempty"`
	Service         string                 `json:"service,omitempty"`
	Endpoints       []string               `json:"endpoints,omitempty"` // host:port
}

// Queue bounds the calls that wait for a replica; Limit 0 is
// DefaultQueueLimit.
type Queue struct {
	Limit int `json:"limit"`
}

// WithDefaults fills in what is not set, by the same rules as an image's
// labels.
func (r Route) WithDefaults() Route {
	runtime := constellation.Runtime{
		Protocol: r.Protocol, Port: r.Port, Path: r.Path, Concurrency: r.Concurrency,
	}.WithDefaults()
	r.Protocol, r.Port, r.Path, r.Concurrency = runtime.Protocol, runtime.Port, runtime.Path, runtime.Concurrency
	if r.Queue.Limit == 0 {
		r.Queue.Limit = DefaultQueueLimit
	}
	if r.TimeoutSeconds == 0 {
		r.TimeoutSeconds = DefaultTimeoutSeconds
	}
	return r
}

// Validate gives nil, or a KindInvalid error with every field that breaks a
// rule. Routes must have their defaults filled in.
func (r *Routes) Validate() error {
	var v constellation.Validation
	seen := make(map[string]bool, len(r.Algorithms))
	for i, route := range r.Algorithms {
		field := fmt.Sprintf("algorithms[%d]", i)
		route.check(&v, field)
		if seen[route.VanityURL] {
			v.Add(field+".vanity_url", "the vanity URL %q is there twice", route.VanityURL)
		}
		seen[route.VanityURL] = true
	}
	return v.Err()
}

var (
	semanticVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)
	serviceName     = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

func (r Route) check(v *constellation.Validation, field string) {
	constellation.CheckVanityURL(v, field+".vanity_url", r.VanityURL)
	if _, err := constellation.ParseAlgorithmRef(r.Algorithm); err != nil {
		v.Add(field+".algorithm", "an algorithm is written OWNER/NAME/HASH with a HASH of 40 lower-case hex digits; not %q", r.Algorithm)
	}
	if r.SemanticVersion != "" && !semanticVersion.MatchString(r.SemanticVersion) {
		v.Add(field+".semantic_version", "a semantic version is three numbers such as 1.2.0; not %q", r.SemanticVersion)
	}
	runtime := constellation.Runtime{
		Protocol: r.Protocol, Port: r.Port, Path: r.Path, Concurrency: r.Concurrency, HealthPath: r.HealthPath,
	}.WithDefaults()
	runtime.Check(v, field)
	if strings.ContainsAny(r.Path, " ?#\r\n\t") {
		v.Add(field+".path", "path has no space, '?' or '#'; not %q", r.Path)
	}
	if r.Replicas < 0 || r.Replicas > constellation.MaxReplicas {
		v.Add(field+".replicas", "replicas is a number from 0 to %d", constellation.MaxReplicas)
	}
	if r.Queue.Limit < 0 || r.Queue.Limit > MaxQueueLimit {
		v.Add(field+".queue.limit", "the queue's limit is a number from 1 to %d", MaxQueueLimit)
	}
	if r.TimeoutSeconds < 0 || r.TimeoutSeconds > MaxTimeoutSeconds {
		v.Add(field+".timeout_seconds", "timeout_seconds is a number from 1 to %d", MaxTimeoutSeconds)
	}
	switch {
	case len(r.Endpoints) > 0:
		for j, endpoint := range r.Endpoints {
			if !isHostPort(endpoint) {
				v.Add(fmt.Sprintf("%s.endpoints[%d]", field, j), "an endpoint is host:port, such as 127.0.0.1:9999; not %q", endpoint)
			}
		}
	case r.Service == "":
		v.Add(field+".service", "%s needs a service, or endpoints such as [\"127.0.0.1:9999\"]", r.VanityURL)
	case !serviceName.MatchString(r.Service):
		v.Add(field+".service", "a service's name has up to 63 lower-case letters, digits and '-', and starts with a letter; not %q", r.Service)
	}
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsAny(host, "/?#@ ") {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n < 65536
}

// ParseRoutes reads routes.json, fills in defaults and validates. The error
// is one sentence for the operator.
func ParseRoutes(data []byte) (*Routes, error) {
	var r Routes
	if err := decode(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", RoutesFile, err)
	}
	for i := range r.Algorithms {
		r.Algorithms[i] = r.Algorithms[i].WithDefaults()
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", RoutesFile, err)
	}
	return &r, nil
}

// ReadRoutes reads and validates DIR/routes.json.
func ReadRoutes(dir string) (*Routes, error) {
	data, err := os.ReadFile(filepath.Join(dir, RoutesFile))
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	return ParseRoutes(data)
}

// decode reads one JSON object and says on which line it breaks.
func decode(data []byte, into any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("the file is empty")
	}
	err := json.Unmarshal(data, into)
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d is not JSON: %w", lineAt(data, syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("line %d: %s is a %s and must be a %s", lineAt(data, kind.Offset), kind.Field, kind.Value, kind.Type)
	}
	return err
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte{'\n'})
}
