package install_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/ask"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/launchfile"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/ptytest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// Where nobody can be asked, all that is missing is named at once, and nothing is
// made.
func TestUpNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	f := folder(t)
	o := install.UpOptions{Changes: changesOf(t, []string{settingsFile(t, "base.yaml", "stage: {kubernetes: {namespace: algorithms}}")}), Progress: progress.New(io.Discard)}
	_, err := install.Up(t.Context(), f, o)
	wantCode(t, err, fault.CodeUsage, "these are missing, and nothing was done", "ALGO_MOTHERSHIP", "ALGO_ADMIN_API_KEY",
		"✗ stage.container_registry: the cluster's private registry", "✗ stage.kubernetes.kubeconfig_path", "--file")
	if strings.Contains(err.Error(), "namespace") {
		t.Errorf("%v names what is there", err)
	}
	if left, err := os.ReadDir(f.Root); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	m := newMother(t, newKey(t), 1, 1000)
	o.Get = m.options()
	_, err = install.Up(t.Context(), f, o)
	wantCode(t, err, fault.CodeUsage, "container_registry")
	if m.requests.Load() > 0 || strings.Contains(err.Error(), "ALGO_") {
		t.Errorf("%d requests were made, and it says %v", m.requests.Load(), err)
	}
}

// In CI, one command goes from an empty folder to a deployed launch, and again
// does nothing. A new version comes with the same command.
func TestUp(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	t.Setenv("REGISTRY", c.host)
	key := newKey(t)
	m, f := newMother(t, key, 1, 5000), folder(t)
	base := settingsFile(t, "base.yaml", "stage:\n  container_registry: ${REGISTRY}/team\n  ingress: {provider: none}\n  kubernetes: {namespace: algorithms, create_namespace: true}\n")
	o := install.UpOptions{
		Get: m.options(), Changes: changesOf(t, []string{base}, "stage.kubernetes.kubeconfig_path="+kubeconfig),
		Deploy: install.DeployOptions{NoWait: true, Timeout: time.Minute}, Progress: progress.New(io.Discard),
	}
	result, err := install.Up(t.Context(), f, o)
	if err != nil || result.Download == nil || result.Configured == nil || result.Deploy.Pushed != 2 || len(result.Deploy.Algorithms) != 1 {
		t.Fatalf("Up = %+v, %v", result, err)
	}
	again, err := install.Up(t.Context(), f, o)
	if err != nil || !again.Download.Unchanged || again.Deploy.Pushed != 0 || len(again.Deploy.Changes) != 0 {
		t.Fatalf("Up again = %+v, %v; want nothing to do", again, err)
	}
	o.Get = newMother(t, key, 2, 5000).options()
	newer, err := install.Up(t.Context(), f, o)
	if err != nil || newer.Deploy.SatelliteVersion != 2 || newer.Deploy.Pushed == 0 {
		t.Fatalf("Up with a new version = %+v, %v", newer, err)
	}
	carried := install.UpOptions{Deploy: o.Deploy, Progress: o.Progress} // no key, no mothership, no files
	if result, err := install.Up(t.Context(), f, carried); err != nil || result.Download != nil || result.Configured != nil || len(result.Deploy.Changes) != 0 {
		t.Fatalf("Up with what is there = %+v, %v", result, err)
	}
	// What a file no longer says is missing again, though config.yaml still has it.
	o.Changes = changesOf(t, []string{settingsFile(t, "less.yaml", "")})
	_, err = install.Up(t.Context(), f, o)
	wantCode(t, err, fault.CodeUsage, "stage.container_registry", "stage.kubernetes.namespace")
}

// On a terminal a new user is asked, one thing after the other, and told at once
// what is no answer.
func TestUpAsks(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	t.Setenv("KUBECONFIG", kubeconfig)
	m, f := newMother(t, newKey(t), 1, 5000), folder(t)
	screen := ptytest.Open(t, 100)
	get := m.options()
	get.Mothership, get.Key = "", ""
	done := make(chan error, 1)
	go func() {
		_, err := install.Up(t.Context(), f, install.UpOptions{
			Get: get, Changes: launchfile.Changes{Assignments: []string{"stage.ingress.provider=none"}},
			Deploy: install.DeployOptions{NoWait: true, Timeout: time.Minute},
			Ask:    ask.New(screen.File, screen.File).Ask, Progress: progress.New(screen.File),
		})
		done <- err
	}()
	for _, step := range []struct{ shown, typed string }{
		{"the mothership: ", m.URL + "\n"},
		{"an API key: ", goodKey + "\n"},
		{"stage.container_registry: ", "https://" + c.host + "\n"},
		{"with no scheme", c.host + "/team\n"},
		{"stage.kubernetes.kubeconfig_path: ", "\n"}, // where kubectl looks
		{"stage.kubernetes.namespace: ", "Algorithms\n"},
		{"is a namespace's name", "algorithms\n"},
		{"stage.kubernetes.create_namespace: ", "true\n"},
	} {
		screen.Until(t, step.shown)
		screen.Until(t, "> ")
		screen.Type(t, step.typed)
	}
	if err := waittest.Receive(t, "the end of up", done); err != nil {
		t.Fatal(err)
	}
	shown := screen.Shown(t)
	if strings.Contains(shown, goodKey) || !strings.Contains(shown, "created Deployment") {
		t.Errorf("the terminal shows %q", shown)
	}
	if data, err := os.ReadFile(f.Path("config.yaml")); err != nil || !strings.Contains(string(data), filepath.Base(kubeconfig)) || strings.Contains(string(data), goodKey) {
		t.Errorf("config.yaml: %s, %v", data, err)
	}
}

// Whoever leaves while being asked has changed nothing.
func TestUpIsLeft(t *testing.T) {
	t.Parallel()
	f := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := install.Up(ctx, f, install.UpOptions{Progress: progress.New(io.Discard), Ask: func(context.Context, ask.Question) (string, error) {
		cancel()
		return "", ctx.Err()
	}})
	wantCode(t, err, fault.CodeFailed, "interrupted; nothing was done")
	if left, err := os.ReadDir(f.Root); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
