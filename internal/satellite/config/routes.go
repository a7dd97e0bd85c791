// Package config is what a satellite's engine is told: routes.json and
// keys.json, as the installer renders them and the engine reads them
// in a satellite. It imports the standard library and the domain only.
package config

import (
	"encoding/json"
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

// KeptSecret is where engines keep the newest keys.json that they were told of,
// by the mothership or by a deploy, under the name KeysFile; KeptSatellite holds
// whose it is. The installer makes it, and leaves to the engines what is in it.
const (
	KeptSecret    = "execution-engine-kept"
	KeptSatellite = "satellite"
)

// LeaseName is the Lease by which the engines of a launch agree who reports.
const LeaseName = "execution-engine"

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
	OwnKey     string     `json:"own_key,omitempty"` // OwnKeyAny, else the pods alone

	Queue      *QueueSettings `json:"queue,omitempty"` // nil: durable calls are not taken
	Callbacks  Callbacks      `json:"callbacks,omitzero"`
	Auth       Auth           `json:"auth,omitzero"` // who may call besides keys
	Algorithms []Route        `json:"algorithms"`

	Refused []Refused `json:"-"` // what ParseRoutes left out
}

// Satellite names the satellite version that is deployed. A zero ExpiresAt
// never expires.
type Satellite struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Version   int       `json:"version"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Expired reports whether the satellite is past its date at now. It serves on,
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

	// Replicas are what is started with where MaxReplicas is set; from then on
	// the count of Deployment follows the load between the two.
	Deployment  string `json:"deployment,omitempty"`
	MinReplicas *int   `json:"min_replicas,omitempty"`
	MaxReplicas int    `json:"max_replicas,omitempty"`

	constellation.HTTPSettings

	Schedules []constellation.Schedule `json:"schedules,omitempty"` // that call this algorithm
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

// Validate returns nil, or a KindInvalid error that names each route which
// breaks a rule, the queue or the callbacks. Routes and the queue must have
// their defaults filled in.
func (r *Routes) Validate() error {
	sieve := newSieve("algorithms")
	for i, route := range r.Algorithms {
		sieve.passes(i, route.VanityURL, route.check)
	}
	if r.Queue != nil {
		sieve.passes(0, "queue", r.Queue.check)
	}
	sieve.passes(0, "callbacks", r.Callbacks.check)
	auth := r.Auth
	auth.sift(sieve)
	return sieve.err()
}

var serviceName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (r Route) check(v *constellation.Validation) {
	constellation.CheckVanityURL(v, "vanity_url", r.VanityURL)
	if _, err := constellation.ParseAlgorithmRef(r.Algorithm); err != nil {
		v.Add("algorithm", "an algorithm is written OWNER/NAME/HASH with a HASH of %s; not %q", constellation.HashRule, r.Algorithm)
	}
	constellation.CheckSemanticVersion(v, "semantic_version", r.SemanticVersion)
	runtime := constellation.Runtime{
		Protocol: r.Protocol, Port: r.Port, Path: r.Path, Concurrency: r.Concurrency, HealthPath: r.HealthPath,
		HTTPSettings: r.HTTPSettings,
	}.WithDefaults()
	runtime.Check(v, "runtime")
	if r.Replicas < 0 || r.Replicas > constellation.MaxReplicas {
		v.Add("replicas", "replicas is a number from 0 to %d", constellation.MaxReplicas)
	}
	if r.Queue.Limit < 0 || r.Queue.Limit > MaxQueueLimit {
		v.Add("queue.limit", "the queue's limit is a number from 1 to %d", MaxQueueLimit)
	}
	if r.TimeoutSeconds < 0 || r.TimeoutSeconds > MaxTimeoutSeconds {
		v.Add("timeout_seconds", "timeout_seconds is a number from 1 to %d", MaxTimeoutSeconds)
	}
	r.checkScale(v)
	switch {
	case len(r.Endpoints) > 0:
		for j, endpoint := range r.Endpoints {
			if !isHostPort(endpoint) {
				v.Add(fmt.Sprintf("endpoints[%d]", j), "an endpoint is host:port, such as 127.0.0.1:9999; not %q", endpoint)
			}
		}
	case r.Service == "":
		v.Add("service", "it needs a service, or endpoints such as [\"127.0.0.1:9999\"]")
	case !serviceName.MatchString(r.Service):
		v.Add("service", "a service's name has up to 63 lower-case letters, digits and '-', and starts with a letter; not %q", r.Service)
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

// ParseRoutes reads routes.json, fills in defaults and validates. A route that
// breaks a rule is in Refused, and the others are served; when none is left, or
// the file cannot be read, the error is one sentence for the operator.
func ParseRoutes(data []byte) (*Routes, error) {
	var file struct {
		Routes
		Queue      json.RawMessage   `json:"queue"`
		Callbacks  json.RawMessage   `json:"callbacks"`
		Auth       json.RawMessage   `json:"auth"`
		Algorithms []json.RawMessage `json:"algorithms"`
	}
	if err := decode(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", RoutesFile, err)
	}
	r, sieve := file.Routes, newSieve("algorithms")
	for i, raw := range file.Algorithms {
		route, err := decodeRoute(raw, sieve)
		if err != nil {
			sieve.refuse(i, route.VanityURL, err)
			continue
		}
		if route = route.WithDefaults(); sieve.passes(i, route.VanityURL, route.check) {
			r.Algorithms = append(r.Algorithms, route)
		}
	}
	if err := sieve.err(); err != nil && len(r.Algorithms) == 0 {
		return nil, fmt.Errorf("%s: %w", RoutesFile, err)
	}
	r.decodeQueue(file.Queue, file.Callbacks, sieve)
	r.decodeAuth(file.Auth, sieve)
	r.Refused = sieve.refused
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

// FirstService names a service that has to be looked up in a cluster, or "".
func (r *Routes) FirstService() string {
	for _, route := range r.Algorithms {
		if len(route.Endpoints) == 0 {
			return route.Service
		}
	}
	return ""
}
