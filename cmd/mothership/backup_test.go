package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	rest "github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// backedUp is a mothership with a satellite whose launch reports.
type backedUp struct {
	*crasher
	satellite, launch, token string
}

// newBackedUp makes one on a server that runs.
func newBackedUp(t *testing.T, c *crasher) *backedUp {
	t.Helper()
	b := &backedUp{crasher: c}
	if err := c.PushImage(t.Context()); err != nil {
		t.Fatal(err)
	}
	var satellite, launch struct{ ID string }
	body := fmt.Sprintf(`{"name":"that reports","algorithms":[{"algorithm":"neo/crash/%s","vanity_url":"foo/bar","replicas":1}]}`, c.Newest)
	if _, err := c.Call(t.Context(), "POST", "/v1/satellites", body, &satellite); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call(t.Context(), "POST", "/v1/satellites/"+satellite.ID+"/launches", `{"name":"site"}`, &launch); err != nil {
		t.Fatal(err)
	}
	server, err := private.Open(t.Context(), private.Options{Dir: c.dir, Mode: private.ModeCommand})
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{dir: c.dir, database: server.URL()}
	b.satellite, b.launch, b.token = satellite.ID, launch.ID, f.token(t, launch.ID)
	b.report(t)
	return b
}

// report reports once, as an engine does, and wants to be up.
func (b *backedUp) report(t *testing.T) {
	t.Helper()
	beat := apiv1.Heartbeat{
		Engine: "engine/site", SatelliteVersion: 1, SystemVersion: "v1", Sequence: time.Now().UnixMilli(),
		Algorithms: []apiv1.HeartbeatAlgorithm{{VanityURL: "foo/bar", Wanted: 1, Ready: 1}}, Engines: []apiv1.HeartbeatEngine{},
	}
	if _, err := rest.New(b.URL, b.token, nil).Heartbeat(t.Context(), b.satellite, b.launch, &beat); err != nil {
		t.Fatalf("the satellite reports: %v", err)
	}
	eventually(t, "the launch is up", func() bool { return b.status(t) == "up" })
}

func (b *backedUp) status(t *testing.T) string {
	t.Helper()
	var launch struct{ Status string }
	if _, err := b.Call(t.Context(), "GET", "/v1/satellites/"+b.satellite+"/launches/"+b.launch, "", &launch); err != nil {
		t.Fatal(err)
	}
	return launch.Status
}

// built is the program as make build makes it, which has a system image; "" where
// CONSTELLATION_BIN names none, and bundles are left out.
func built(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("CONSTELLATION_BIN"); bin != "" {
		return filepath.Join(bin, "mothership")
	}
	t.Log("bundles are left out: they need CONSTELLATION_BIN")
	return ""
}

// installs runs algo-install on the launch.
func (b *backedUp) installs(t *testing.T, folder string, args ...string) {
	t.Helper()
	if b.program == "" {
		return
	}
	line := append([]string{"algo-install", "satellite", b.satellite, b.launch}, args...)
	cmd := exec.CommandContext(t.Context(), os.Args[0], line...)
	cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1", "ALGO_DEPLOYMENT_DIR="+folder, "ALGO_MOTHERSHIP="+b.URL, "ALGO_ADMIN_API_KEY="+b.Key)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("algo-install %s: %v\n%s", args, err, out)
	}
}

// acknowledged are copies of what was acknowledged until now.
func (c *crasher) acknowledged() *loadtest.Written {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	w := loadtest.NewWritten(c.Client)
	maps.Copy(w.Satellites, c.Satellites)
	maps.Copy(w.Images, c.Images)
	w.Newest = c.Newest
	return w
}

// mothership runs a command that must do.
func mothership(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := exitOf(t.Context(), "", args...)
	if code != 0 {
		t.Fatalf("mothership %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o711); err != nil { //nolint:gosec // PostgreSQL's user passes through
		t.Fatal(err)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestABackupUnderLoadRestoresOnAnotherKindOfStorage: taken under pushes and writes,
// it has all that was acknowledged before it began; keys work, bundles verify by the
// same signing key, the satellite reports on.
func TestABackupUnderLoadRestoresOnAnotherKindOfStorage(t *testing.T) {
	t.Parallel()
	c := newCrasher(t)
	c.program = built(t)
	i, kill := c.serve(t)
	c.URL = i.url
	b := newBackedUp(t, c)
	folder := t.TempDir()
	b.installs(t, folder, "get")
	target, s3 := filepath.Join(t.TempDir(), "backups"), storagetest.New(t).Text("restored")

	ctx, end := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() { c.repeat(ctx, t, c.WriteSatellite) })
		writers.Go(func() { c.repeat(ctx, t, c.PushImage) })
	}
	stop := func() { end(); writers.Wait() }
	defer stop()
	eventually(t, "images are pushed", func() bool { return len(c.acknowledged().Images) >= 10 })
	first := c.acknowledged()
	mothership(t, "backup", target, "--data-dir", c.dir)
	eventually(t, "more images are pushed", func() bool { return len(c.acknowledged().Images) >= len(first.Images)+5 })
	second := c.acknowledged()
	var taken takenOutput
	if err := json.Unmarshal([]byte(mothership(t, "backup", target, "--data-dir", c.dir, "-o", "json")), &taken); err != nil {
		t.Fatal(err)
	}
	if taken.NewBytes == 0 || taken.NewBytes >= taken.Bytes || taken.SecretKey {
		t.Errorf("the second backup wrote %d bytes of %d, want only what is new, and no secret key", taken.NewBytes, taken.Bytes)
	}
	stop()
	key := mothership(t, "signing-key", "--data-dir", c.dir)
	kill()

	mothership(t, "backup", "verify", target)
	restored := dataDir(t)
	copyFile(t, filepath.Join(c.dir, "secret.key"), filepath.Join(restored, "secret.key"))
	mothership(t, "restore", target, "--data-dir", restored, "--storage", s3)
	if got := mothership(t, "signing-key", "--data-dir", restored); got != key {
		t.Errorf("the signing key after the restore = %s, want %s", got, key)
	}
	after := &crasher{dir: restored, program: c.program, args: []string{"--storage", s3}}
	again, _ := after.serve(t)
	second.URL, b.URL = again.url, again.url
	second.Check(t, 0, 0)
	if got := b.status(t); got != "up" {
		t.Errorf("the launch after the restore is %s, want up", got)
	}
	b.report(t)
	b.installs(t, folder, "get")
	b.installs(t, folder, "verify")
	if code, stdout, stderr := exitOf(t.Context(), "", "storage", "verify", "--data-dir", restored, "--storage", s3); code != 0 {
		t.Errorf("storage verify after the restore: %d %s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := exitOf(t.Context(), "", "audit", "verify", "--data-dir", restored); code != 0 {
		t.Errorf("audit verify after the restore: %d %s%s", code, stdout, stderr)
	}

	// And from the bucket to a folder, by the older backup.
	older := slices.Min(points(t, target))
	back := dataDir(t)
	copyFile(t, filepath.Join(c.dir, "secret.key"), filepath.Join(back, "secret.key"))
	mothership(t, "restore", target, "--point", older, "--data-dir", back)
	third := serveInProcess(t, back)
	first.URL = third.url
	first.Check(t, 0, 0)
}

// points lists the backups in a target.
func points(t *testing.T, target string) []string {
	t.Helper()
	var list []pointOutput
	if err := json.Unmarshal([]byte(mothership(t, "backup", "list", target, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range list {
		names = append(names, p.Point)
	}
	return names
}

// TestARestoreSaysWhatIsWrongBeforeItWrites and takes the key from a backup that has
// it.
func TestARestoreSaysWhatIsWrongBeforeItWrites(t *testing.T) {
	t.Parallel()
	c := newCrasher(t)
	i, kill := c.serve(t)
	c.URL = i.url
	newBackedUp(t, c)
	target, tar := filepath.Join(t.TempDir(), "backups"), filepath.Join(t.TempDir(), "one.tar")
	mothership(t, "backup", target, "--data-dir", c.dir)
	mothership(t, "backup", tar, "--data-dir", c.dir, "--include-secret-key")
	kill()
	refused := func(dir, want string, args ...string) {
		t.Helper()
		code, stdout, stderr := exitOf(t.Context(), "", append([]string{"restore", "--data-dir", dir}, args...)...)
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("restore %s = %d %s%s, want 1 and %q", args, code, stdout, stderr, want)
		}
	}
	refused(c.dir, "the database is not empty", target)
	bare := dataDir(t)
	refused(bare, "secret.key is not there", target)
	if err := os.MkdirAll(bare, 0o711); err != nil { //nolint:gosec // PostgreSQL's user passes through
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bare, "secret.key"), []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(bare, "is of another mothership: it does not open the backup's secrets", target)
	left, err := os.ReadDir(bare)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	if diff := cmp.Diff([]string{"secret.key"}, names); diff != "" {
		t.Errorf("what a refused restore wrote (-want +got):\n%s", diff)
	}
	refused(dataDir(t), "standard input", "-")

	whole := dataDir(t)
	mothership(t, "restore", tar, "--data-dir", whole)
	again := serveInProcess(t, whole)
	c.URL = again.url
	c.Check(t, 0, 0)
	refused(whole, "the database is not empty", tar)
}

// TestKilledBackupsAndRestoresComeToTheSameEnd: each is killed with SIGKILL at many
// moments, and the last one, which is not, leaves all of it.
func TestKilledBackupsAndRestoresComeToTheSameEnd(t *testing.T) {
	t.Parallel()
	c := newCrasher(t)
	i, kill := c.serve(t)
	c.URL = i.url
	for range 8 {
		if err := c.PushImage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(t.TempDir(), "backups")
	begun := time.Now()
	mothership(t, "backup", target+"-whole", "--data-dir", c.dir)
	took := time.Since(begun)
	const kills = 8
	for n := range kills {
		killAfter(t, took*time.Duration(n+1)/(kills/2), "backup", target, "--data-dir", c.dir)
	}
	mothership(t, "backup", target, "--data-dir", c.dir, "--keep", "1")
	kill()
	mothership(t, "backup", "verify", target)
	if got := points(t, target); len(got) != 1 {
		t.Errorf("backups after the kills = %v, want one", got)
	}
	restored := dataDir(t)
	copyFile(t, filepath.Join(c.dir, "secret.key"), filepath.Join(restored, "secret.key"))
	killed := 0
	for n := range kills {
		if killAfter(t, took*time.Duration(n+1)/2, "restore", target, "--data-dir", restored) {
			killed++
		}
		eventually(t, "no PostgreSQL is left behind", func() bool { return processesIn(restored) == 0 })
	}
	code, _, stderr := exitOf(t.Context(), "", "restore", target, "--data-dir", restored)
	if code != 0 && (killed == kills || !strings.Contains(stderr, "the database is not empty")) { // one of those that were to be killed was done
		t.Fatalf("the restore after %d kills: %d %s", killed, code, stderr)
	}
	again := serveInProcess(t, restored)
	c.URL = again.url
	c.Check(t, 0, 0)
}

// killAfter runs a command, kills it after a while, and reports whether it ran then.
func killAfter(t *testing.T, d time.Duration, args ...string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...) // killed at the end of ctx
	cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1")
	return cmd.Run() != nil && ctx.Err() != nil
}
