package render_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// routesOf reads what is rendered as the engine does.
func routesOf(t *testing.T, in render.Input) *config.Routes {
	t.Helper()
	text, _ := launchtest.At(launchtest.Find(launchtest.Render(t, in), "ConfigMap/execution-engine"), "data."+strings.ReplaceAll(config.RoutesFile, ".", "~")).(string)
	routes, err := config.ParseRoutes([]byte(text))
	if err != nil {
		t.Fatalf("ParseRoutes of what was rendered: %v\n%s", err, text)
	}
	return routes
}

// hostile makes texts of pieces that were or could be trouble.
func hostile(random *rand.Rand, pieces ...string) string {
	var b strings.Builder
	for range random.IntN(5) {
		b.WriteString(pieces[random.IntN(len(pieces))])
	}
	return b.String()
}

// TestTheEngineAcceptsWhatRegistrationAccepts registers versions of random
// texts: whatever passes there is served by an engine as it was registered.
func TestTheEngineAcceptsWhatRegistrationAccepts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	accepted := map[string]bool{}
	for range 5000 {
		path := func() string {
			return "/" + hostile(random, "/", "/a", "b-c", ".", "..", " ", "\r\n", "\x00", "%20", "%2", "%", "?", "#", "ü", "\u202e", `"`, "\\", ":", "~x")
		}
		quantity := func() string { return hostile(random, "1", "0", ".", "m", "5", "9999999999", "Ti", "Gi") }
		labels := map[string]string{}
		for range 2 { // most pass if only two could be wrong
			switch random.IntN(6) {
			case 0:
				labels["constellation.protocol"] = []string{"langserver", "pipe", "http", "HTTP", "grpc"}[random.IntN(5)]
			case 1:
				labels["constellation.port"] = strconv.Itoa(random.IntN(70_000) - 10)
				labels["constellation.concurrency"] = strconv.Itoa(random.IntN(11_000) - 10)
			case 2:
				labels["constellation.path"] = path()
			case 3:
				labels["constellation.health-path"] = path()
			case 4:
				labels["constellation.cpu"] = quantity()
			case 5:
				labels["constellation.memory"] = quantity()
			}
		}
		runtime, err := constellation.RuntimeFromLabels(labels)
		if err != nil {
			continue
		}
		version := constellation.AlgorithmVersion{
			Owner: "Neo", Name: "Hello", GitHash: strings.Repeat("a", 40), Runtime: runtime,
			SemanticVersion: []string{"1.2.3", "0.0.0", ""}[random.IntN(3)] + hostile(random, ".", "01", "-rc", "-rc.1", "+b", "+", " ", "\n", "v", "ü", "18446744073709551616.0.0"),
		}
		var v constellation.Validation
		if version.Check(&v); v.Err() != nil {
			continue
		}
		in := launchtest.Input()
		a := &in.Plan.Algorithms[0]
		a.Algorithm, a.SemanticVersion, a.Runtime = version.Ref().String(), version.SemanticVersion, version.Runtime
		routes := routesOf(t, in)
		if got := routes.Algorithms[0]; len(routes.Algorithms) != 2 || got.SemanticVersion != version.SemanticVersion || got.Path != runtime.Path {
			t.Fatalf("registered %+v, and the engine serves %+v", version, routes.Algorithms)
		}
		accepted[version.SemanticVersion+runtime.Path] = true
	}
	if len(accepted) < 50 {
		t.Errorf("%d different versions were accepted; too few to say anything", len(accepted))
	}
}

// TestRenderRefusesWhatTheEngineWould: a plan of a mothership that was not so
// strict is refused before anything is applied.
func TestRenderRefusesWhatTheEngineWould(t *testing.T) {
	in := launchtest.Input()
	in.Plan.Algorithms[0].Runtime.Path = "/x\r\nHost: evil"
	if _, err := render.Launch(in); err == nil || !strings.Contains(err.Error(), "foo/bar") || strings.Contains(err.Error(), "\r") {
		t.Errorf("Render = %v, want foo/bar refused, with nothing raw of it", err)
	}
}
