package panel

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// allowed has a mothership import from registries of the tests' own.
var allowed = []string{"--outbound-allow", "127.0.0.1"}

// elsewhere is a registry that nobody has, a mirror of one, and the hashes of versions,
// one that is being imported and one whose import was cancelled.
type elsewhere struct{ registry, mirror, importing, failed string }

func (w *world) elsewhere(t *testing.T, run string) elsewhere {
	t.Helper()
	made, err := w.addElsewhere(t.Context(), "walked/"+run, run, "walked", "copied-"+run)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// addElsewhere makes them: the mirror is of one algorithm, and the imports are versions
// of another, from a registry that asks to come again in an hour.
func (w *world) addElsewhere(ctx context.Context, mirrored, run, owner, name string) (elsewhere, error) {
	made := elsewhere{importing: hashOf("b"), failed: hashOf("c")}
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	context.AfterFunc(ctx, busy.Close)
	host := strings.TrimPrefix(busy.URL, "http://")
	if _, err := w.api.CreateRegistry(ctx, apiv1.RegistryCreate{Host: host, PlainHTTP: true, Username: "robot", Password: password}); err != nil {
		return made, err
	}
	registry, err := w.api.CreateRegistry(ctx, apiv1.RegistryCreate{Host: run + ".registry.invalid"})
	if err != nil {
		return made, err
	}
	mirror, err := w.api.CreateMirror(ctx, apiv1.MirrorCreate{Algorithm: mirrored, Source: "registry.invalid/team/" + run, Tags: []string{"v*", "!*-rc*"}})
	if err != nil {
		return made, err
	}
	made.registry, made.mirror = registry.ID, mirror.ID
	if _, err := w.api.CreateMirrorWebhook(ctx, mirror.ID); err != nil {
		return made, err
	}
	for _, hash := range []string{made.importing, made.failed} {
		if _, err := w.api.ImportVersion(ctx, owner, name, apiv1.AlgorithmVersionImport{GitHash: hash, Image: host + "/team/model:v1.2.0"}); err != nil {
			return made, err
		}
	}
	return made, w.api.CancelImport(ctx, owner, name, made.failed)
}
