package engine

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// table is what a call is looked up in. It is never changed once it is
// published: a reload makes a new one, and callers wait for nothing.
type table struct {
	satellite config.Satellite
	launch    string

	mothership config.Mothership
	warning    expiryWarning
	vanity     map[string]*route
	canonical  map[string][]*route // lower-case OWNER/NAME
	routes     []*route
	lookedUp   bool // some algorithm's replicas come from the cluster
}

// route is one algorithm with its pool and its metrics; both outlive reloads.
type route struct {
	config.Route
	ref     constellation.AlgorithmRef
	version [3]int // of SemanticVersion; all -1 without
	timeout time.Duration
	head    []byte // the request line and fixed headers, up to the Host value
	pool    *pool
	metrics *routeMetrics
	why     func() string // see because
}

// because gives ": WORDS" when it is known why no replica is ready.
func (r *route) because() string {
	if r.why == nil {
		return ""
	}
	return r.why()
}

func newRoute(r config.Route) *route {
	ref, _ := constellation.ParseAlgorithmRef(r.Algorithm) // config validated it
	return &route{
		Route:   r,
		ref:     ref,
		version: parseVersion(r.SemanticVersion),
		timeout: time.Duration(r.TimeoutSeconds) * time.Second,
		head:    []byte("POST " + r.Path + " HTTP/1.1\r\nUser-Agent: constellation-engine\r\nHost: "),
	}
}

// isLangserver says whether replicas speak langserver's HTTP; pipe images do
// through the runner.
func (r *route) isLangserver() bool { return r.Protocol != constellation.ProtocolHTTP }

// addresses gives the replicas' host:port: hosts are what the cluster says of
// the route's service.
func (r *route) addresses(hosts []string) []string {
	if len(r.Endpoints) > 0 {
		return r.Endpoints
	}
	port := strconv.Itoa(r.Port)
	addresses := make([]string, len(hosts))
	for i, host := range hosts {
		addresses[i] = net.JoinHostPort(host, port)
	}
	return addresses
}

func (t *table) satelliteVersion() string { return strconv.Itoa(t.satellite.Version) }

// index makes routes findable.
func (t *table) index() {
	t.vanity = make(map[string]*route, len(t.routes))
	t.canonical = make(map[string][]*route, len(t.routes))
	for _, r := range t.routes {
		t.vanity[r.VanityURL] = r
		key := r.ref.Repository()
		t.canonical[key] = append(t.canonical[key], r)
	}
}

// find gives the route of the path after /v1/algo/, or nil. The vanity URL
// counts first, exactly; then OWNER/NAME[/VERSION] ignoring the case of owner
// and name.
func (t *table) find(path string) *route {
	path = strings.TrimSuffix(path, "/")
	if r := t.vanity[path]; r != nil {
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
	var best *route
	for _, r := range t.canonical[strings.ToLower(owner)+"/"+strings.ToLower(name)] {
		if r.matches(version) && (best == nil || newer(r.version, best.version)) {
			best = r
		}
	}
	return best
}

// matches says whether the route is VERSION: a hash, 1.1.1, 1.2.*, 1.*,
// latest, latestPrivate, or none.
func (r *route) matches(version string) bool {
	switch {
	case version == "" || version == "latest" || version == "latestPrivate":
		return true
	case version == r.ref.Hash:
		return true
	case r.SemanticVersion == "":
		return false
	}
	if prefix, ok := strings.CutSuffix(version, "*"); ok {
		return strings.HasSuffix(prefix, ".") && strings.HasPrefix(r.SemanticVersion, prefix)
	}
	return version == r.SemanticVersion
}

func parseVersion(s string) [3]int {
	version := [3]int{-1, -1, -1}
	for i, part := range strings.SplitN(s, ".", 3) {
		if n, err := strconv.Atoi(part); err == nil {
			version[i] = n
		}
	}
	return version
}

func newer(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}
