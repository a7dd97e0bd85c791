package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// TestPodSettings: a version has them as they were given, a part that is left out
// stays as it was at the vanity URL, and an empty one has none.
func TestPodSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	algorithm := func(more string) string {
		return fmt.Sprintf(`{"algorithms":[{"algorithm":"neo/hello/%s","vanity_url":"foo/bar","replicas":1%s}]}`, hash1, more)
	}
	satellite := w.satellite("s")
	version := func(status int, more string) apiv1.SatelliteAlgorithm {
		t.Helper()
		made := w.call(w.admin, "POST", satellite+"/versions", algorithm(more))
		number := made.want(t, status)["number"].(float64)
		got := w.call(w.viewer, "GET", fmt.Sprintf("%s/versions/%.0f", satellite, number), "")
		got.want(t, http.StatusOK)
		var v apiv1.SatelliteVersion
		if err := json.Unmarshal(got.body, &v); err != nil {
			t.Fatal(err)
		}
		return v.Algorithms[0]
	}
	want := apiv1.SatelliteAlgorithm{
		Algorithm: "neo/hello/" + hash1, VanityURL: "foo/bar", Replicas: 1, RuntimeRevision: 1,
		Env:     map[string]string{"LEVEL": "debug", "TEXT": "two\nlines"},
		EnvFrom: []apiv1.EnvFrom{{Secret: "hub"}, {Name: "TOKEN", ConfigMap: "labels", Key: "token"}},
		Volumes: []apiv1.Volume{{Name: "shm", Type: "empty", Size: "1Gi", Memory: true, MountPath: "/dev/shm"}, {Name: "m", Type: "pvc", Source: "models", MountPath: "/m", ReadOnly: true}},
	}
	given := `,"env":{"LEVEL":"debug","TEXT":"two\nlines"},"env_from":[{"secret":"hub"},{"name":"TOKEN","config_map":"labels","key":"token"}],` +
		`"volumes":[{"name":"shm","type":"empty","size":"1Gi","memory":true,"mount_path":"/dev/shm"},{"name":"m","type":"pvc","source":"models","mount_path":"/m","read_only":true}]`
	if diff := cmp.Diff(want, version(http.StatusCreated, given)); diff != "" {
		t.Errorf("as given (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, version(http.StatusOK, "")); diff != "" {
		t.Errorf("of a client that knows none of it (-want +got):\n%s", diff)
	}
	want.Env, want.Volumes = map[string]string{"LEVEL": "info"}, nil
	if diff := cmp.Diff(want, version(http.StatusCreated, `,"env":{"LEVEL":"info"},"volumes":[]`)); diff != "" {
		t.Errorf("with another variable and no volumes (-want +got):\n%s", diff)
	}
	diff := w.call(w.viewer, "GET", satellite+"/versions/3/diff?from=2", "").want(t, http.StatusOK)
	if changed := diff["changed"].([]any); len(changed) != 1 || changed[0].(map[string]any)["to"].(map[string]any)["env"].(map[string]any)["LEVEL"] != "info" {
		t.Errorf("diff = %v, want the variable", diff)
	}
	events := w.call(w.admin, "GET", "/v1/events?action=satellite_version.create&expand=changes", "")
	events.want(t, http.StatusOK)
	if body := string(events.body); !strings.Contains(body, "LEVEL") || strings.Contains(body, "debug") {
		t.Errorf("the audit log has %s, want which variables there are, and no values", body)
	}
}

// TestBadPodSettings: each is refused at its field.
func TestBadPodSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	for _, test := range []struct{ settings, field, words string }{
		{`"env":{"A-B":"x"}`, "algorithms[0].env.A-B", "letters, digits and '_'"},
		{`"env":{"ALGORITHMIA_API":"x"}`, "algorithms[0].env.ALGORITHMIA_API", "reserved"},
		{`"env":{"A":"x\u0000"}`, "algorithms[0].env.A", "NUL"},
		{`"env":{"A":1}`, "algorithms[0].env.A", "text"},
		{`"env":{"A":null}`, "algorithms[0].env.A", "text"},
		{`"env":["A=1"]`, "algorithms[0].env", "object"},
		{`"env":null`, "algorithms[0].env", "null"},
		{`"env":{"A":"` + strings.Repeat("x", 32769) + `"}`, "algorithms[0].env.A", "at most 32768"},
		{`"env_from":[{"secret":"execution-engine"}]`, "algorithms[0].env_from[0].secret", "the satellite's own"},
		{`"env_from":[{"secret":"hub","key":"token"}]`, "algorithms[0].env_from[0].name", "which variable"},
		{`"env_from":[{"secrets":"hub"}]`, "algorithms[0].env_from[0].secrets", "secret"},
		{`"env":{"A":"x"},"env_from":[{"secret":"hub","key":"token","name":"A"}]`, "algorithms[0].env_from[0].name", "already"},
		{`"volumes":[{"name":"v","type":"empty","mount_path":"/tmp/algoout"}]`, "algorithms[0].volumes[0].mount_path", "answer through it"},
		{`"volumes":[{"name":"v","type":"host","mount_path":"/v"}]`, "algorithms[0].volumes[0].type", "pvc"},
		{`"volumes":[{"name":"v","type":"empty","mount_path":"/v"},{"name":"w","type":"empty","mount_path":"/v/w"}]`, "algorithms[0].volumes[1].mount_path", "overlap"},
	} {
		body := fmt.Sprintf(`{"algorithms":[{"algorithm":"neo/hello/%s","vanity_url":"foo/bar","replicas":1,%s}]}`, hash1, test.settings)
		w.call(w.admin, "POST", satellite+"/versions", body).refused(t, http.StatusUnprocessableEntity, 6001, test.field, test.words)
	}
	settings := make([]string, 16)
	for i := range settings {
		settings[i] = fmt.Sprintf(`{"algorithm":"neo/hello/%s","vanity_url":"foo/b%d","replicas":1,"env":{"A":"%s","B":"%s"}}`, hash1, i, strings.Repeat("x", 32000), strings.Repeat("y", 32000))
	}
	w.call(w.admin, "POST", satellite+"/versions", `{"algorithms":[`+strings.Join(settings, ",")+`]}`).refused(t, http.StatusUnprocessableEntity, 6001, "algorithms", "there is room for")
}
