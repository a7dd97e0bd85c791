package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/constellation-serving/constellation/internal/apiv1"
	rest "github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/loadtest"
)

// releaseBefore is the commit of the release before this one, whose servers serve on
// while this one's begin. It moves with each release.
const releaseBefore = "f6cdacc80a0f6e2d0d151e5af3da65235adede16"

// TestServesBesideTheReleaseBefore: a server of the release before goes on while one
// of this release migrates the schema and serves beside it. Each reads what the other
// wrote, takes pushes and heartbeats, and the older one ends well.
func TestServesBesideTheReleaseBefore(t *testing.T) {
	t.Parallel()
	program := buildBefore(t)
	f := newFleet(t)
	addresses := freeAddresses(t, 2)
	before := f.begin(t, program, addresses[0]).ready(t)
	now := f.begin(t, "", addresses[1]).ready(t)
	f.account(t)

	servers := map[string]loadtest.Client{"the release before": {URL: before.url(), Key: f.key}, "this release": {URL: now.url(), Key: f.key}}
	c := loadtest.NewWritten(loadtest.Client{})
	for name, at := range servers {
		c.Client = at
		for what, write := range map[string]func(context.Context) error{"a satellite": c.WriteSatellite, "an image": c.PushImage} {
			if err := write(t.Context()); err != nil {
				t.Fatalf("%s written at %s: %v", what, name, err)
			}
		}
		f.launchReports(t, c.Newest, "launch of "+name, at, servers)
	}
	for name, at := range servers {
		t.Log("reading at", name)
		c.Client = at
		c.Check(t, 0, 0)
		for _, page := range []string{"/v1/satellites?expand=algorithms", "/v1/algorithms", "/v1/users", "/v1/events"} {
			var list struct{ Results []any }
			if _, err := at.Call(t.Context(), "GET", page, "", &list); err != nil || len(list.Results) == 0 {
				t.Errorf("GET %s at %s = %d, %v", page, name, len(list.Results), err)
			}
		}
	}
	before.stop(t)
	now.stop(t)
}

// launchReports makes a launch at one server, which then reports to each in turn.
func (f *fleet) launchReports(t *testing.T, hash, name string, at loadtest.Client, servers map[string]loadtest.Client) {
	t.Helper()
	var satellite, launch struct{ ID string }
	body := `{"name":"satellite of ` + name + `","algorithms":[{"algorithm":"neo/crash/` + hash + `","vanity_url":"foo/bar","replicas":1}]}`
	if _, err := at.Call(t.Context(), "POST", "/v1/satellites", body, &satellite); err != nil {
		t.Fatal(err)
	}
	if _, err := at.Call(t.Context(), "POST", "/v1/satellites/"+satellite.ID+"/launches", `{"name":"`+name+`"}`, &launch); err != nil {
		t.Fatal(err)
	}
	token := f.token(t, launch.ID)
	beat := apiv1.Heartbeat{
		Engine: "engine/" + launch.ID, SatelliteVersion: 1, SystemVersion: "v1",
		Algorithms: []apiv1.HeartbeatAlgorithm{{VanityURL: "foo/bar", Wanted: 1, Ready: 1}}, Engines: []apiv1.HeartbeatEngine{},
	}
	for round := range 2 {
		for server, to := range servers {
			beat.Sequence++
			if _, err := rest.New(to.URL, token, nil).Heartbeat(t.Context(), satellite.ID, launch.ID, &beat); err != nil {
				t.Fatalf("heartbeat %d to %s: %v", round, server, err)
			}
		}
	}
	for server, from := range servers {
		eventually(t, name+" is up at "+server, func() bool {
			var got struct{ Status string }
			_, err := from.Call(t.Context(), "GET", "/v1/satellites/"+satellite.ID+"/launches/"+launch.ID, "", &got)
			return err == nil && got.Status == "up"
		})
	}
}

// buildBefore builds the server of the release before from this repository.
func buildBefore(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), "git", "-C", root, "cat-file", "-e", releaseBefore+"^{commit}").Run(); err != nil {
		t.Skipf("needs a clone with the commit %s of the release before: %v", releaseBefore, err)
	}
	source := t.TempDir()
	archive := exec.CommandContext(t.Context(), "git", "-C", root, "archive", releaseBefore)
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", source)
	if unpack.Stdin, err = archive.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := archive.Start(); err != nil {
		t.Fatal(err)
	}
	if said, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpack the release before: %v; %s", err, said)
	}
	if err := archive.Wait(); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "mothership-before")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./deploy/dev/mothership")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the release before: %v; %s", err, said)
	}
	return program
}
