package admin

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestPodSettings: variables and volumes are typed a line each, told of where they
// are wrong, saved, shown and compared, and stay with who edits something else.
func TestPodSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.adminKey("neo")
	s := w.satellite("Edge")
	editor := "/satellites/" + s.ID + "/edit"
	_, line, _ := w.submit(editor+"/lines/0/change", fields(w.raw(editor, neo)), neo)
	dialog := fields(w.raw(line, neo))
	for _, c := range []struct{ field, text, want string }{
		{"env", "LEVEL", "Line 1: a variable is written NAME=value"},
		{"env", "A=1\r\nALGORITHMIA_API=x", "reserved"},
		{"env_from", "secret:hub/token", "Write NAME=secret:hub/token"},
		{"env_from", "secret:execution-engine", "own, which algorithms may not read"},
		{"volumes", "m=pvc:models:/tmp/algoout", "algorithms answer through it"},
		{"volumes", "m=host:models:/m", "NAME:/path"},
	} {
		status, _, body := w.submit(line, with(dialog, c.field, c.text), neo)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s %q: %d, want 422", c.field, c.text, status)
		}
		wantIn(t, body, c.want, `id="`+c.field+`-error"`)
	}
	_, location, _ := w.submit(line, with(dialog, "env", "LEVEL=debug\r\nTEXT=\"two\\nlines\"", "env_from", "TOKEN=secret:hub/token\r\nconfigmap:labels", "volumes", "shm=empty:1Gi:/dev/shm:memory"), neo)
	page := w.raw(location, neo)
	wantIn(t, page, "2 variables, 2 references, 1 volume", "volume shm: ", "LEVEL: ")
	if status, _, body := w.submit(editor, fields(page), neo); status != http.StatusSeeOther {
		t.Fatalf("saving: %d %s", status, body)
	}
	saved, err := w.control.GetSatellite(t.Context(), control.Shell(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := constellation.PodSettings{
		Env:     map[string]string{"LEVEL": "debug", "TEXT": "two\nlines"},
		EnvFrom: []constellation.EnvFrom{{Name: "TOKEN", Secret: "hub", Key: "token"}, {ConfigMap: "labels"}},
		Volumes: []constellation.Volume{{Name: "shm", Type: constellation.VolumeEmpty, Size: "1Gi", Memory: true, MountPath: "/dev/shm"}},
	}
	if diff := cmp.Diff(want, saved.LatestVersion.Algorithms[0].Settings); diff != "" {
		t.Errorf("saved (-want +got):\n%s", diff)
	}
	wantIn(t, w.raw("/satellites/"+s.ID+"/algorithms", neo), "2 variables, 2 references, 1 volume", "empty:1Gi:/dev/shm:memory")
	wantIn(t, w.raw("/satellites/"+s.ID+"/versions/compare?from=1&to=2", neo), "LEVEL: ", "secret:hub/token", "all of configmap:labels")

	// Saving what was not changed makes no version, and removing a line one without it.
	w.submit(editor, fields(w.raw(editor, neo)), neo)
	_, line, _ = w.submit(editor+"/lines/0/change", fields(w.raw(editor, neo)), neo)
	_, location, _ = w.submit(line, with(fields(w.raw(line, neo)), "env", ""), neo)
	w.submit(editor, fields(w.raw(location, neo)), neo)
	saved, err = w.control.GetSatellite(t.Context(), control.Shell(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if v := saved.LatestVersion; v.Number != 3 || len(v.Algorithms[0].Settings.Env) != 0 || len(v.Algorithms[0].Settings.Volumes) != 1 {
		t.Errorf("version %d = %+v, want version 3 without variables", v.Number, v.Algorithms[0].Settings)
	}
}
