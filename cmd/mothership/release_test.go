package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/constellation-serving/constellation/internal/apiv1"
	rest "github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/serve"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// dockerOfSkopeo is docker as far as the recipes need it: build finds an image that
// is built already.
const dockerOfSkopeo = `#!/bin/sh
set -eu
case $1 in
login) skopeo login --authfile "$HOME/auth.json" --tls-verify=false --username "$4" --password-stdin "$2" ;;
build) ;;
push) skopeo copy --authfile "$HOME/auth.json" --dest-tls-verify=false "oci:$IMAGE_LAYOUT" "docker://$2" ;;
esac
`

// release is a mothership with a satellite whose launch reports, and what a CI has.
type release struct {
	*instance
	admin, push, deploy string // keys
	satellite, launch   string // ids
	dir, home, layout   string
	values              *strings.Replacer
}

const releaseHash = "1111111111111111111111111111111111111111"

func newRelease(t *testing.T) *release {
	t.Helper()
	r := &release{home: t.TempDir(), layout: filepath.Join(t.TempDir(), "image")}
	r.dir = dataDir(t)
	r.instance = serveInProcess(t, r.dir)
	administer := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := exitOf(t.Context(), "", append(args, "--data-dir", r.dir)...)
		if code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
		return strings.TrimSpace(stdout)
	}
	administer("account", "create", "ci", "--role", "admin")
	r.admin = administer("api-key", "create", "--account", "ci")
	r.push = administer("api-key", "create", "--account", "ci", "--name", "builds", "--scope", "push:neo/*")
	if err := os.WriteFile(filepath.Join(r.home, "docker"), []byte(dockerOfSkopeo), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	host := strings.TrimPrefix(r.url, "http://")
	r.values = strings.NewReplacer("{{host}}", host, "{{url}}", r.url)
	r.image(t)
	r.shell(t, map[string]string{"KEY": r.push}, "docker login "+host+` --username ci --password-stdin <<< "$KEY"; docker push `+host+"/neo/hello:"+releaseHash)
	r.satellite = r.call(t, "POST", "/v1/satellites", `{"name":"Edge","algorithms":[{"algorithm":"neo/hello/`+releaseHash+`","vanity_url":"foo/bar","replicas":1}]}`)["id"].(string)
	r.launch = r.call(t, "POST", "/v1/satellites/"+r.satellite+"/launches", `{"name":"berlin"}`)["id"].(string)
	r.deploy = administer("api-key", "create", "--account", "ci", "--name", "releases", "--satellite", r.satellite)
	return r
}

// image builds another image.
func (r *release) image(t *testing.T) {
	t.Helper()
	img, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Labels = map[string]string{"constellation.protocol": "http", "constellation.port": "8080"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(r.layout); err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(r.layout, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img); err != nil {
		t.Fatal(err)
	}
}

func (r *release) call(t *testing.T, method, path, body string) map[string]any {
	t.Helper()
	response, text := fetch(t, http.DefaultClient, method, r.url+path, body, "Authorization", "Bearer "+r.admin, "Content-Type", "application/json")
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s = %d %s, %v", method, path, response.StatusCode, text, err)
	}
	return answer
}

// shell runs a script with nothing in its environment but what a CI gives it.
func (r *release) shell(t *testing.T, env map[string]string, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-eo", "pipefail", "-c", script) //nolint:gosec // the guide's own text
	cmd.Dir = r.home
	cmd.Env = []string{"PATH=" + r.home + ":" + os.Getenv("PATH"), "HOME=" + r.home, "IMAGE_LAYOUT=" + r.layout}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s\n%v:\n%s", script, err, out)
	}
}

// token returns the launch's, which is else in its bundle.
func (r *release) token(t *testing.T) string {
	t.Helper()
	ctx := t.Context()
	var c serve.Config
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.AddDatabaseFlags(flags)
	if err := flags.Parse([]string{"--data-dir", r.dir}); err != nil {
		t.Fatal(err)
	}
	url, _, err := serve.OpenDatabase(ctx, &c, private.ModeCommand, slog.New(slog.DiscardHandler)) // it is serve's
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sealed, err := db.LaunchToken(ctx, r.launch)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := serve.CommandSealer(ctx, &c, db)
	if err != nil {
		t.Fatal(err)
	}
	token, err := sealer.Open("launches/"+r.launch+"/token", sealed)
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// reports has the launch run whatever version it should, from now on.
func (r *release) reports(t *testing.T) {
	t.Helper()
	satellite, ctx := rest.New(r.url, r.token(t), http.DefaultClient), context.WithoutCancel(t.Context()) // which ends before what cleans up
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		beat := apiv1.Heartbeat{
			Engine: "engine-1/boot-1", SystemVersion: "v9", SatelliteVersion: 1,
			Algorithms: []apiv1.HeartbeatAlgorithm{{VanityURL: "foo/bar", Wanted: 1, Ready: 1}},
		}
		for {
			beat.Sequence++
			answer, err := satellite.Heartbeat(ctx, r.satellite, r.launch, &beat)
			if err != nil {
				done <- err
				return
			}
			beat.SatelliteVersion = answer.SatelliteVersion
			select {
			case <-stop:
				done <- nil
				return
			case <-time.After(50 * time.Millisecond): // reports oftener than it is told to
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		if err := waittest.Receive(t, "the launch's last report", done); err != nil {
			t.Errorf("heartbeat: %v", err)
		}
	})
}

// yamlBlock returns a block of the guide's page on releases from CI.
func yamlBlock(t *testing.T, values *strings.Replacer, heading string, into any) {
	t.Helper()
	page, err := os.ReadFile("../../web/docs/guide/25-releases-from-ci.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)## " + heading + "\n.*?```yaml\n(.*?)```").FindStringSubmatch(string(page))
	if block == nil {
		t.Fatalf("the page has no recipe for %s", heading)
	}
	if err := yaml.Unmarshal([]byte(values.Replace(block[1])), into); err != nil {
		t.Fatalf("the recipe for %s: %v", heading, err)
	}
}

// TestRecipesRelease runs the guide's recipes for CI systems against a real
// mothership: each pushes an image, and ends when the launch runs it.
func TestRecipesRelease(t *testing.T) {
	t.Parallel()
	r := newRelease(t)
	r.reports(t)

	commit := strings.Repeat("2", 40)
	variables := strings.NewReplacer("{{host}}", strings.TrimPrefix(r.url, "http://"), "{{url}}", r.url, "${{ github.sha }}", commit,
		"${{ secrets.CONSTELLATION_PUSH_KEY }}", r.push, "${{ secrets.CONSTELLATION_RELEASE_KEY }}", r.deploy, "${{ vars.SATELLITE_ID }}", r.satellite, "${{ vars.LAUNCH_ID }}", r.launch)
	var actions struct {
		Jobs map[string]struct {
			Env   map[string]string
			Steps []struct{ Run string }
		}
	}
	yamlBlock(t, variables, "GitHub Actions", &actions)
	r.image(t)
	for range 2 { // a run that is repeated changes nothing
		for _, name := range []string{"build", "release"} {
			job := actions.Jobs[name]
			if job.Env["GITHUB_ENV"] = filepath.Join(r.home, "env"); len(job.Steps) < 2 {
				t.Fatalf("the job %s has %d steps", name, len(job.Steps))
			}
			for _, step := range job.Steps {
				r.shell(t, job.Env, `touch "$GITHUB_ENV"; set -a; . "$GITHUB_ENV"; set +a; `+step.Run)
			}
		}
		r.runs(t, 2, commit)
	}

	commit = strings.Repeat("3", 40)
	var jobs map[string]struct {
		Variables map[string]string
		Script    []string
	}
	yamlBlock(t, r.values, "GitLab", &jobs)
	r.image(t)
	for _, name := range []string{"build", "release"} {
		env := map[string]string{
			"CI_COMMIT_SHA": commit, "CONSTELLATION_PUSH_KEY": r.push, "CONSTELLATION_RELEASE_KEY": r.deploy,
			"SATELLITE_ID": r.satellite, "LAUNCH_ID": r.launch,
		}
		for variable, value := range jobs[name].Variables {
			env[variable] = os.Expand(value, func(other string) string { return env[other] })
		}
		r.shell(t, env, strings.Join(jobs[name].Script, "\n"))
	}
	r.runs(t, 3, commit)
}

// runs checks what the launch runs.
func (r *release) runs(t *testing.T, version int, commit string) {
	t.Helper()
	launch := r.call(t, "GET", "/v1/satellites/"+r.satellite+"/launches/"+r.launch, "")
	if launch["running_version"] != float64(version) || launch["status"] != "up" {
		t.Errorf("the launch runs %v, %v; want version %d", launch["running_version"], launch["status"], version)
	}
	latest := r.call(t, "GET", fmt.Sprintf("/v1/satellites/%s/versions/%d", r.satellite, version), "")
	if line := latest["algorithms"].([]any)[0].(map[string]any); line["algorithm"] != "neo/hello/"+commit {
		t.Errorf("version %d has %v, want the commit %s", version, line, commit)
	}
}
