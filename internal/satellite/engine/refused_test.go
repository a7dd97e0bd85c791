package engine

import (
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// TestOneBadRouteSparesTheOthers: an engine that meets a route which breaks a
// rule serves the others, and says so in its log, its metrics, its status, to
// the caller and to the mothership.
func TestOneBadRouteSparesTheOthers(t *testing.T) {
	strict := newStrict(t, nil).addr
	good, bad := lsRoute("foo/bar", strict), lsRoute("foo/bad", strict)
	bad.Path = "/x\r\nHost: evil"
	e := startEngine(t, good, bad)
	if got := e.do(request{}); got.status != 200 {
		t.Errorf("the good route = %d %s, want 200", got.status, got.body)
	}
	if got := e.do(request{path: "/v1/algo/foo/bad"}); got.status != 503 || !strings.Contains(got.body, "its route is refused") {
		t.Errorf("the bad route = %d %s, want 503 and why", got.status, got.body)
	}
	if !strings.Contains(e.log.String(), `"part":"foo/bad","error":"path starts with`) {
		t.Errorf("log = %s, want the route and why", e.log)
	}
	if got := e.scrape(); !strings.Contains(got, `constellation_engine_config_refused_parts{file="routes.json"} 1`) {
		t.Error("no metric says that one route is refused")
	}
	if got := e.do(request{method: "GET", path: "/v1/status"}); !strings.Contains(got.body, `"refused":[{"vanity_url":"foo/bad","reason":"path starts with`) {
		t.Errorf("status = %s, want foo/bad and why", got.body)
	}
	e.writeKeys(config.Key{ID: "k1", Name: "test", SHA256: config.HashKey(testKey)}, config.Key{ID: "k2", SHA256: config.HashKey("second"), Algorithms: []string{"foo/bar"}})
	eventually(t, "the limited key works", func() bool { return e.do(request{auth: "second"}).status == 200 })
	if got := e.do(request{method: "GET", path: "/v1/status", auth: "second"}); got.status != 200 || strings.Contains(got.body, "foo/bad") {
		t.Errorf("status for a key that may not call it = %d %s, want nothing of foo/bad", got.status, got.body)
	}
	algorithms := e.Report().Algorithms
	last := algorithms[len(algorithms)-1]
	if len(algorithms) != 2 || last.VanityURL != "foo/bad" || last.Wanted != 1 || last.Ready != 0 || !strings.HasPrefix(last.Reason, "its route is refused: path") {
		t.Errorf("report = %+v, want foo/bad with nothing ready, and why", algorithms)
	}
	e.writeRoutes(config.Routes{Algorithms: []config.Route{good, lsRoute("foo/bad", strict)}})
	eventually(t, "the mended route is served", func() bool { return e.do(request{path: "/v1/algo/foo/bad"}).status == 200 })
	if got := e.scrape(); !strings.Contains(got, `constellation_engine_config_refused_parts{file="routes.json"} 0`) {
		t.Error("the metric still says that a route is refused")
	}
}

// TestOneBadKeySparesTheOthers is the same of keys.json.
func TestOneBadKeySparesTheOthers(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	e.writeKeys(config.Key{ID: "k1", SHA256: "short"}, config.Key{ID: "k2", SHA256: config.HashKey("second")})
	eventually(t, "the good key works", func() bool { return e.do(request{auth: "second"}).status == 200 })
	if got := e.do(request{}); got.status != 401 {
		t.Errorf("a key that is gone = %d, want 401", got.status)
	}
	if got := e.scrape(); !strings.Contains(got, `constellation_engine_config_refused_parts{file="keys.json"} 1`) {
		t.Error("no metric says that one key is refused")
	}
}
