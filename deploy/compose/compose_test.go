// Package compose holds deploy/compose against Compose's own loader, and runs its
// command lines as processes of this machine.
package compose

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// filled is example.env, filled in.
func filled(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("example.env")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"CONSTELLATION_IMAGE":      "registry.example.com/constellation:0.2.0",
		"CONSTELLATION_SECRET_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"POSTGRES_PASSWORD":        "p@ss/word:?#",
	}
	var env []string
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if value == "" {
			if value = values[name]; value == "" {
				t.Fatalf("example.env wants %s, which this test does not know", name)
			}
		}
		env = append(env, name+"="+value)
	}
	return env
}

func load(ctx context.Context, env []string, profiles ...string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithEnv(env), cli.WithProfiles(profiles))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

func mustLoad(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	project, err := load(t.Context(), filled(t), profiles...)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestLoads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ profiles, want []string }{
		{nil, []string{"mothership", "postgres"}},
		{[]string{"tls"}, []string{"mothership", "nginx", "postgres"}},
	} {
		project := mustLoad(t, c.profiles...)
		names := project.ServiceNames()
		slices.Sort(names)
		if !slices.Equal(names, c.want) {
			t.Errorf("with the profiles %v there are %v, want %v", c.profiles, names, c.want)
		}
	}
	m := mustLoad(t).Services["mothership"]
	if !m.ReadOnly || !slices.Equal(m.CapDrop, []string{"ALL"}) || m.Privileged {
		t.Error("the mothership may do more than it needs")
	}
	if len(m.Volumes) != 1 || m.Volumes[0].Target != *m.Environment["CONSTELLATION_DATA_DIR"] {
		t.Errorf("its volumes are %v; its data dir %s is to be one", m.Volumes, *m.Environment["CONSTELLATION_DATA_DIR"])
	}
}

// TestMissing: what .env lacks is named, before anything starts.
func TestMissing(t *testing.T) {
	t.Parallel()
	env := filled(t)
	for i, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		_, err := load(t.Context(), slices.Delete(slices.Clone(env), i, i+1))
		if want := fmt.Sprintf("required variable %s is missing a value: give in .env", name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v, want %q in it", name, err, want)
		}
	}
}

// TestFiles: each file of this folder that a service mounts is there.
func TestFiles(t *testing.T) {
	t.Parallel()
	for _, s := range mustLoad(t, "tls").Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind || filepath.Base(v.Source) == "certificate" { // the operator's own
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts %s: %v", s.Name, v.Source, err)
			}
		}
	}
}
