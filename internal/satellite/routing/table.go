package routing

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/discovery"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
)

// Table is what a call is looked up in. It is never changed once it is
// published: a reload makes a new one, and callers wait for nothing.
type Table struct {
	Satellite config.Satellite
	Launch    string

	Mothership   config.Mothership
	Warning      ExpiryWarning
	ByVanityURL  map[string]*Route
	canonical    map[string][]*Route // lower-case OWNER/NAME
	Routes       []*Route
	Refused      []config.Refused // routes that break a rule
	OwnKeyAny    bool             // the satellite's own key works from any address
	Queue        *config.QueueSettings
	Callbacks    config.Callbacks
	NeedsCluster bool // some algorithm's replicas come from the cluster
}

// Route is one algorithm with its pool and its metrics; both outlive reloads.
type Route struct {
	config.Route
	Ref     constellation.AlgorithmRef
	version constellation.SemanticVersion
	Timeout time.Duration
	Head    []byte // the request line and fixed headers, up to the Host value
	Pool    *pool.Pool
	Metrics *telemetry.Series
	Reason  func() string // why no replica is ready, "" when it is not known; may be nil
}

// Because returns ": REASON" when it is known why no replica is ready.
func (r *Route) Because() string {
	if r.Reason == nil {
		return ""
	}
	if reason := r.Reason(); reason != "" {
		return ": " + reason
	}
	return ""
}

// NewRoute returns a route without a pool and metrics.
func NewRoute(r config.Route) *Route {
	ref, _ := constellation.ParseAlgorithmRef(r.Algorithm) // config validated both
	version, _ := constellation.ParseSemanticVersion(r.SemanticVersion)
	return &Route{
		Route:   r,
		Ref:     ref,
		version: version,
		Timeout: time.Duration(r.TimeoutSeconds) * time.Second,
		Head:    []byte("POST " + r.Path + " HTTP/1.1\r\nUser-Agent: constellation-engine\r\nHost: "),
	}
}

// Desired returns how many replicas the plan asks for; without a plan, and where
// they follow the load, as many as there are.
func (r *Route) Desired(s pool.State) int {
	switch {
	case r.Scaled():
		return s.Known
	case r.Replicas > 0:
		return r.Replicas
	case len(r.Endpoints) > 0:
		return len(r.Endpoints)
	}
	return s.Known
}

// IsLangserver reports whether replicas speak langserver's HTTP. Pipe images do
// through the runner.
func (r *Route) IsLangserver() bool { return r.Protocol != constellation.ProtocolHTTP }

// Addresses returns the replicas' host:port. The hosts are what the cluster says
// of the route's service.
func (r *Route) Addresses(hosts []string) []string {
	if len(r.Endpoints) > 0 {
		return r.Endpoints
	}
	return WithPort(hosts, strconv.Itoa(r.Port))
}

// SatelliteVersion returns the satellite's version as a label.
func (t *Table) SatelliteVersion() string { return strconv.Itoa(t.Satellite.Version) }

// Index makes the routes findable. It is called once all are there.
func (t *Table) Index() {
	t.ByVanityURL = make(map[string]*Route, len(t.Routes))
	t.canonical = make(map[string][]*Route, len(t.Routes))
	for _, r := range t.Routes {
		t.ByVanityURL[r.VanityURL] = r
		key := r.Ref.Repository()
		t.canonical[key] = append(t.canonical[key], r)
	}
}

// Find returns the route of the path after /v1/algo/, or nil. The vanity URL
// counts first, exactly; then OWNER/NAME[/VERSION] ignoring the case of owner
// and name.
func (t *Table) Find(path string) *Route {
	path = strings.TrimSuffix(path, "/")
	if r := t.ByVanityURL[path]; r != nil {
		return r
	}
	owner, rest, ok := strings.Cut(path, "/")
	if !ok {
		return nil
	}
	name, version, versioned := strings.Cut(rest, "/")
	if versioned && version == "" {
		return nil
	}
	var best *Route
	for _, r := range t.canonical[strings.ToLower(owner)+"/"+strings.ToLower(name)] {
		if r.matches(version) && (best == nil || newer(&r.version, &best.version)) {
			best = r
		}
	}
	return best
}

// Called returns the route of the path after /v1/algo/ when the key may call it.
func (t *Table) Called(key *keyring.Key, path string) (*Route, *protocol.Failure) {
	r := t.Find(path)
	return r, t.Check(key, r, path)
}

// Check returns nil when the key may call r, which the path after /v1/algo/ has
// led to. A limited key hears the same of what it may not call and of what is not
// there.
func (t *Table) Check(key *keyring.Key, r *Route, path string) *protocol.Failure {
	asked := strings.TrimSuffix(path, "/")
	switch {
	case r != nil && key.May(r.VanityURL):
		return nil
	case r != nil || !key.May(asked):
		return protocol.Refuse(http.StatusForbidden, fmt.Sprintf("%s may not call %s", key.Title(), constellation.AlgorithmURI(asked)))
	case t.refuses(asked) != "":
		return protocol.Refuse(http.StatusServiceUnavailable, constellation.AlgorithmURI(asked)+" cannot be called: its route is refused; the satellite's operator finds why in /v1/status and in the engine's log")
	}
	return protocol.Refuse(http.StatusNotFound, fmt.Sprintf("algorithm %s not found", constellation.AlgorithmURI(asked)))
}

// refuses returns why there is no route of a vanity URL, "" when nothing is
// known of it.
func (t *Table) refuses(vanityURL string) string {
	for _, part := range t.Refused {
		if part.Name == vanityURL {
			return part.Reason
		}
	}
	return ""
}

// matches reports whether the route is VERSION: a hash, 1.1.1, 1.2.*, 1.*,
// latest, latestPrivate, or none.
func (r *Route) matches(version string) bool {
	switch {
	case version == "" || version == "latest" || version == "latestPrivate":
		return true
	case version == r.Ref.Hash:
		return true
	case r.SemanticVersion == "":
		return false
	}
	if prefix, ok := strings.CutSuffix(version, "*"); ok {
		return strings.HasSuffix(prefix, ".") && strings.HasPrefix(r.SemanticVersion, prefix)
	}
	asked, ok := constellation.ParseSemanticVersion(version)
	return ok && asked.Compare(r.version) == 0 && (asked.Build() == "" || asked.Build() == r.version.Build())
}

// newer reports whether a is rather meant than b where a caller names neither:
// a release before a pre-release before none at all, then by precedence.
func newer(a, b *constellation.SemanticVersion) bool {
	if a.IsPrerelease() != b.IsPrerelease() {
		return *b == constellation.SemanticVersion{} || b.IsPrerelease() && *a != constellation.SemanticVersion{}
	}
	return a.Compare(*b) > 0
}

// Empty returns the number of algorithms that are to have replicas and of which none is
// known. One that may have none is not among them.
func (t *Table) Empty() int {
	n := 0
	for _, r := range t.Routes {
		least, _ := r.Bounds()
		if r.Replicas > 0 && (!r.Scaled() || least > 0) && r.Pool.State().Known == 0 {
			n++
		}
	}
	return n
}

// LooksUp reports whether an algorithm's replicas are the endpoints of a
// service.
func (t *Table) LooksUp(service string) bool {
	for _, r := range t.Routes {
		if r.Service == service && len(r.Endpoints) == 0 {
			return true
		}
	}
	return false
}

// Lists reports whether a route lists a replica at the address. All of this
// machine's loopback addresses are one.
func (t *Table) Lists(host string) bool {
	address, _ := netip.ParseAddr(host)
	for _, r := range t.Routes {
		for _, endpoint := range r.Endpoints {
			listed, _, _ := net.SplitHostPort(endpoint)
			listed = discovery.CanonicalHost(listed)
			at, _ := netip.ParseAddr(listed)
			if listed == host || address.IsLoopback() && (listed == "localhost" || at.IsLoopback()) {
				return true
			}
		}
	}
	return false
}

// WithPort returns host:port of each host.
func WithPort(hosts []string, port string) []string {
	addresses := make([]string, len(hosts))
	for i, host := range hosts {
		addresses[i] = net.JoinHostPort(host, port)
	}
	return addresses
}
