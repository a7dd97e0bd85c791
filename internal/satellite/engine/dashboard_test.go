package engine

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
)

// series are the metrics that an engine exports, with the labels of each.
func series(t *testing.T, from prometheus.Gatherer) map[string][]string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, family := range families {
		var labels []string
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
		}
		if family.GetType().String() == "HISTOGRAM" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				all[family.GetName()+suffix] = append(labels, "le")
			}
			continue
		}
		all[family.GetName()] = labels
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(?:constellation|process|go)_[a-z_]+`)
	selector   = regexp.MustCompile(`\b([a-z_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
)

// scraped are the labels that Prometheus adds to what it scrapes.
var scraped = []string{"namespace", "pod", "instance"}

// TestDashboard: every query of the Grafana dashboard asks for metrics and
// labels that an engine has, and every metric of ours is on it.
func TestDashboard(t *testing.T) {
	s := newStrict(t, nil)
	issuer := identitytest.NewIssuer(t)
	issuer.Publish(identitytest.NewKey(t, "one"))
	routes := jwtRoutes(issuer)
	route := lsRoute("foo/bar", s.addr)
	route.Schedules = []constellation.Schedule{constellation.Schedule{Name: "yearly", Cron: "@yearly", VanityURL: "foo/bar"}.WithDefaults()}
	e := startEngineWith(t, Options{QueueDir: t.TempDir(), TLS: serveTLS(t, identitytest.NewAuthority(t, "ours"))}, config.Routes{
		Auth:       routes.Auth,
		Mothership: config.Mothership{URL: "http://" + deadAddress(t)},
		Satellite:  config.Satellite{ID: "s", Version: 1, ExpiresAt: time.Now().Add(time.Hour)},
		Algorithms: []config.Route{route},
	})
	e.do(request{body: "Neo"})
	e.do(request{auth: "Simple nope"})
	e.awaitQueue()
	e.ended(e.void(request{body: "Neo"}))
	if got := e.do(request{path: "/v1/batch/foo/bar", body: "1\nbad\n"}); got.status != 200 {
		t.Fatalf("a batch = %d %s", got.status, got.body)
	}
	e.Engine.metrics.AddInsights("foo/bar", 1)
	beats := heartbeat.New(heartbeat.Options{Engine: e.Engine, Registry: e.Registry(), Token: "t", Jitter: func() float64 { return 0 }})
	go beats.Run(t.Context())
	var known map[string][]string
	eventually(t, "everything is counted", func() bool {
		known = series(t, e.Engine.metrics.Registry())
		_, keys := known["constellation_engine_jwks_fetched_timestamp_seconds"]
		return keys && known["constellation_engine_unrouted_total"] != nil && known["constellation_heartbeats_total"] != nil &&
			known["constellation_batch_lines_total"] != nil && known["constellation_schedule_missed_total"] != nil && known["constellation_batch_parts"] != nil
	})
	data, err := os.ReadFile("../../../deploy/grafana/satellite.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, panel := range dashboard.Panels {
		if len(panel.Targets) == 0 {
			t.Errorf("panel %q asks nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			labels := slices.Clone(scraped)
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				shown[name] = true
				if _, ok := known[name]; !ok {
					t.Errorf("panel %q asks for %s, which no engine has", panel.Title, name)
				}
				labels = append(labels, known[name]...)
			}
			for _, s := range selector.FindAllStringSubmatch(target.Expr, -1) {
				for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
					if !slices.Contains(append(known[s[1]], scraped...), m[1]) {
						t.Errorf("panel %q selects %s by %s, which it does not have", panel.Title, s[1], m[1])
					}
				}
			}
			for _, g := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				for label := range strings.SplitSeq(g[1], ",") {
					if !slices.Contains(labels, strings.TrimSpace(label)) {
						t.Errorf("panel %q groups by %s, which its metrics do not have", panel.Title, label)
					}
				}
			}
		}
	}
	for name := range known {
		base := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
		if strings.HasPrefix(name, "constellation_") && !shown[name] && !shown[base+"_bucket"] && !slices.Contains(unshown, name) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// unshown are metrics for alerts and for people who look closer.
var unshown = []string{
	"constellation_engine_config_reloads_total", "constellation_engine_grants",
	"constellation_heartbeat_leader",
}
