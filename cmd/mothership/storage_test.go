package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/constellation-serving/constellation/internal/storage"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// imagesOf makes a place with a registry of some blobs that belongs to a mothership, "" for
// none yet.
func imagesOf(t *testing.T, place, owner string, blobs, size int) driver.StorageDriver {
	t.Helper()
	d := openPlace(t, place)
	put := func(name string, content []byte) {
		if err := d.PutContent(t.Context(), name, content); err != nil {
			t.Fatal(err)
		}
	}
	for range blobs {
		content := make([]byte, size)
		_, _ = rand.Read(content) // never fails
		sum := digest.FromBytes(content)
		put("/docker/registry/v2/blobs/sha256/"+sum.Encoded()[:2]+"/"+sum.Encoded()+"/data", content)
		put("/docker/registry/v2/repositories/neo/hello/_layers/sha256/"+sum.Encoded()+"/link", []byte(sum))
	}
	if owner != "" {
		put("/constellation/mothership", []byte(owner+"\n"))
	}
	return d
}

func openPlace(t *testing.T, place string) driver.StorageDriver {
	t.Helper()
	l, err := storage.ParseLocation(place)
	if err != nil {
		t.Fatal(err)
	}
	d, err := storage.Open(l)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func folder(t *testing.T) string { return "file://" + t.TempDir() }

// filesAt are the sizes of all that is at a place, but probes.
func filesAt(t *testing.T, place string) map[string]int64 {
	t.Helper()
	files, d := map[string]int64{}, openPlace(t, place)
	for _, root := range []string{"/docker", "/constellation"} {
		err := d.Walk(t.Context(), root, func(info driver.FileInfo) error {
			if !info.IsDir() && info.Path() != "/constellation/probe" && !strings.HasPrefix(info.Path(), "/constellation/same-") {
				files[info.Path()] = info.Size()
			}
			return nil
		})
		if err != nil && !errors.As(err, new(driver.PathNotFoundError)) {
			t.Fatal(err)
		}
	}
	return files
}

func copyStorageCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return exitOf(t.Context(), "", append([]string{"storage", "copy"}, args...)...)
}

// TestStorageCopyCommand copies as an operator does: what is printed, and how it ends.
func TestStorageCopyCommand(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	from, to := folder(t), store.Text("registry")
	d := imagesOf(t, from, "ours", 5, 1000)
	printed := mustParseLocation(t, to).String()
	code, stdout, stderr := copyStorageCommand(t, from, to)
	if want := printed + " has 5 blobs, 5 kB: 5 copied, 0 there before\n"; code != 0 || stdout != want || stderr != "" {
		t.Errorf("copy: %d %q %q, want %q", code, stdout, stderr, want)
	}
	if diff := cmp.Diff(filesAt(t, from), filesAt(t, to)); diff != "" {
		t.Errorf("(-FROM +TO)\n%s", diff)
	}

	sum := digest.FromString("as it was")
	if err := d.PutContent(t.Context(), "/docker/registry/v2/blobs/sha256/"+sum.Encoded()[:2]+"/"+sum.Encoded()+"/data", []byte("as it is")); err != nil {
		t.Fatal(err)
	}
	imagesOf(t, from, "ours", 1, 1000)
	code, stdout, stderr = copyStorageCommand(t, from, to, "-o", "json")
	var got copiedOutput
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("-o json prints %q: %v", stdout, err)
	}
	want := copiedOutput{From: from, To: printed, Blobs: 6, Bytes: 6008, Copied: 1, CopiedBytes: 1008, Damaged: []string{sum.String()}}
	if diff := cmp.Diff(want, got); diff != "" || code != 3 {
		t.Errorf("copy of a damaged blob: exit code %d, want 3 (-want +got)\n%s", code, diff)
	}
	if want := "damaged at " + from + " and left out: " + sum.String() + "\n"; stderr != want {
		t.Errorf("copy of a damaged blob says %q, want %q", stderr, want)
	}
	if code, stdout, _ := copyStorageCommand(t, from, to); code != 3 || !strings.Contains(stdout, ": 0 copied, 6 there before") {
		t.Errorf("the same again: %d %q", code, stdout)
	}
}

func mustParseLocation(t *testing.T, text string) storage.Location {
	t.Helper()
	l, err := storage.ParseLocation(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestStorageCopyRefuses gives it places that cannot be meant, and stores that fail.
func TestStorageCopyRefuses(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	full, others, plain, linked := folder(t), folder(t), folder(t), filepath.Join(t.TempDir(), "linked")
	imagesOf(t, full, "ours", 1, 10)
	imagesOf(t, others, "theirs", 1, 20)
	imagesOf(t, plain, "", 1, 30) // of another program
	imagesOf(t, store.Text("ours"), "ours", 1, 10)
	if err := os.Symlink(strings.TrimPrefix(full, "file://"), linked); err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.Replace(store.Text("a"), storagetest.Bucket, "nobodys", 1)
	for name, test := range map[string]struct {
		from, to string
		code     int
		want     string
	}{
		"one place":          {full, "", 2, "storage copy takes two places, FROM and TO"},
		"no place":           {"registry", full, 2, "FROM: it has no scheme"},
		"unknown kind":       {full, "ftp://a/b", 2, `TO: there is no storage of the kind "ftp"`},
		"a secret":           {full, "s3://AKIA:hunter2@images", 2, "credentials do not belong into it"},
		"the same":           {full, full + "/", 2, "is both the source and the target"},
		"the same by a link": {full, "file://" + linked, 2, "is both the source and the target"},
		"the same bucket":    {store.Text("ours"), store.Text("ours") + "&addressing=path", 2, "is both the source and the target"},
		"nothing":            {folder(t), folder(t), 1, "has no registry in it"},
		"another's":          {full, others, 1, "holds another registry, and is left as it is"},
		"another's bucket":   {others, store.Text("ours"), 1, "holds another registry, and is left as it is"},
		"unmarked":           {full, plain, 1, "holds another registry, and is left as it is"},
		"no bucket":          {full, elsewhere, 1, "cannot be written to: there is no such bucket; make it, or name another"},
		"no bucket to read":  {elsewhere, folder(t), 1, "cannot be read from: there is no such bucket"},
		"no folder":          {full, "file:///proc/nothing", 1, "cannot be made"},
		"unreachable":        {full, "s3://images?region=eu-central-1&endpoint=http://127.0.0.1:1", 1, "its host cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{test.from, test.to}
			before := map[string]int64{}
			if test.to == "" {
				args = args[:1]
			} else if strings.Contains(test.want, "left as it is") {
				before = filesAt(t, test.to)
			}
			code, stdout, stderr := copyStorageCommand(t, args...)
			if code != test.code || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 || strings.Contains(stderr, "hunter2") {
				t.Errorf("exit code %d, %q %q; want %d and one line with %q", code, stdout, stderr, test.code, test.want)
			}
			if len(before) > 0 {
				if diff := cmp.Diff(before, filesAt(t, test.to)); diff != "" {
					t.Errorf("the target was changed (-before +after)\n%s", diff)
				}
			}
		})
	}
}

// TestStorageCopyFaults breaks either end under a copy: the message says which, and what
// to do; run again when that is done, it comes to the end.
func TestStorageCopyFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault func(r *http.Request) (status int, code string)
		into  bool // the bucket is the target
		want  string
	}{
		"read-only": {func(r *http.Request) (int, string) {
			if r.Method == http.MethodPut {
				return 403, "AccessDenied"
			}
			return 0, ""
		}, true, "cannot be written to: its credentials lack a right"},
		"full half way": {func(r *http.Request) (int, string) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/sha256/") {
				return 507, "XMinioStorageFull"
			}
			return 0, ""
		}, true, "cannot be written to: it is full; free some space"},
		"source fails half way": {func(r *http.Request) (int, string) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256/") {
				return 403, "AccessDenied"
			}
			return 0, ""
		}, false, "cannot be read from: its credentials lack a right"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := storagetest.New(t)
			from, to := folder(t), store.Text("registry")
			if !test.into {
				from, to = to, from
			}
			imagesOf(t, from, "ours", 8, 1000)
			store.Fault(func(w http.ResponseWriter, r *http.Request) bool {
				status, code := test.fault(r)
				if status != 0 {
					storagetest.Refuse(w, status, code)
				}
				return status != 0
			})
			code, stdout, stderr := copyStorageCommand(t, from, to)
			at := "the storage " + mustParseLocation(t, store.Text("registry")).String() + " "
			if code != 1 || stdout != "" || !strings.Contains(stderr, at+test.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, %q %q; want 1 and one line with %q", code, stdout, stderr, at+test.want)
			}
			store.Fault(nil)
			if code, stdout, stderr := copyStorageCommand(t, from, to); code != 0 || !strings.Contains(stdout, " has 8 blobs, ") {
				t.Errorf("run again: %d %q %q", code, stdout, stderr)
			}
			if diff := cmp.Diff(filesAt(t, from), filesAt(t, to)); diff != "" {
				t.Errorf("(-FROM +TO)\n%s", diff)
			}
		})
	}
}

// TestStorageCopyInterrupted presses Ctrl-C in the middle of a large blob: it says how far
// it is and how it goes on, and leaves no upload behind.
func TestStorageCopyInterrupted(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	from, to := folder(t), store.Text("registry")
	imagesOf(t, from, "ours", 1, 40<<20)
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "storage", "copy", from, to)
	cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	started := make(chan *os.Process, 1)
	var parts atomic.Int64
	store.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.URL.Query().Get("partNumber") == "2" && parts.Add(1) == 1 {
			_, _ = io.Copy(io.Discard, r.Body)
			_ = (<-started).Signal(os.Interrupt)
			<-r.Context().Done() // it goes away
			return true
		}
		return false
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started <- cmd.Process
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || stdout.Len() > 0 || stderr.String() != "mothership: stopped with 0 of 1 blobs there so far; run it again to go on\n" {
		t.Errorf("interrupted: %d %q %q", code, stdout.String(), stderr.String())
	}
	if left := store.Left(t); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	store.Fault(nil)
	if code, stdout, stderr := copyStorageCommand(t, from, to); code != 0 || !strings.Contains(stdout, ": 1 copied, 0 there before") {
		t.Errorf("run again: %d %q %q", code, stdout, stderr)
	}
}

// TestStorageVerifyCommand verifies a registry that is whole, while its server runs and
// without it; then one that lost a layer and has a damaged one; then without a store.
func TestStorageVerifyCommand(t *testing.T) {
	t.Parallel()
	c := newCrasher(t)
	c.program = built(t)
	i, kill := c.serve(t)
	c.URL = i.url
	b := newBackedUp(t, c)
	verify := func(args ...string) (code int, stdout, stderr string) {
		return exitOf(t.Context(), "", append([]string{"storage", "verify", "--data-dir", c.dir}, args...)...)
	}
	code, stdout, stderr := verify()
	if code != 0 || !strings.Contains(stdout, "of 1 version are as they were pushed\n") || stderr != "" {
		t.Errorf("verify of a whole registry: %d %q %q", code, stdout, stderr)
	}
	code, stdout, _ = verify("-o", "json")
	var whole verifiedOutput
	if err := json.Unmarshal([]byte(stdout), &whole); err != nil || code != 0 || whole.Versions != 1 || whole.Blobs < 3 || whole.Bytes == 0 || whole.Faults == nil || len(whole.Faults) != 0 {
		t.Errorf("verify -o json of a whole registry: %d %q, %v", code, stdout, err)
	}

	layers := layersIn(t, c.dir, c.Images[c.Newest])
	if err := errors.Join(os.Remove(blobFile(c.dir, layers[0])), os.WriteFile(blobFile(c.dir, layers[1]), []byte("rotten"), 0o600)); err != nil {
		t.Fatal(err)
	}
	check := func(how string) {
		t.Helper()
		code, stdout, stderr := verify()
		if want := "restore the images from a backup, or push them again"; code != 3 || !strings.HasPrefix(stdout, "DIGEST") || !strings.Contains(stderr, want) {
			t.Errorf("verify %s of a registry that lost a layer: %d %q %q", how, code, stdout, stderr)
		}
		version := "neo/crash/" + c.Newest
		for fault, digest := range map[string]string{"lost": layers[0], "damaged": layers[1]} {
			if want := []string{digest, fault, "neo/crash", version, "that reports/site"}; !hasRow(stdout, want...) {
				t.Errorf("verify %s prints no row of %v:\n%s", how, want, stdout)
			}
		}
		code, stdout, _ = verify("-o", "json")
		var got verifiedOutput
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 3 || len(got.Faults) != 2 {
			t.Fatalf("verify -o json %s: %d %q, %v", how, code, stdout, err)
		}
		launches := []launchedOutput{{SatelliteID: b.satellite, Satellite: "that reports", LaunchID: b.launch, Launch: "site"}}
		for _, fault := range got.Faults {
			want := faultOutput{Digest: layers[0], Fault: "lost", Repositories: []string{"neo/crash"}, Versions: []string{version}, Launches: launches}
			if fault.Digest == layers[1] {
				want.Digest, want.Fault = layers[1], "damaged"
			}
			if diff := cmp.Diff(want, fault); diff != "" {
				t.Errorf("verify -o json %s (-want +got)\n%s", how, diff)
			}
		}
	}
	check("while the server runs")
	if b.program != "" { // and the operator who wants the bundle is told the same
		out := b.refuses(t, t.TempDir(), "get")
		if want := "the mothership does not have it: the mothership's storage lost " + layers[0]; !strings.Contains(out, want) {
			t.Errorf("get of a launch whose layer is lost says %q, want %q", out, want)
		}
		i.logged(t, "the registry's storage lost content", "digest")
	}
	kill()
	check("without the server")

	images := filepath.Join(c.dir, "registry")
	store := storagetest.New(t)
	imagesOf(t, store.Text("theirs"), "theirs", 1, 10)
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"another's":   {[]string{"--storage", store.Text("theirs")}, 1, "belongs to another mothership"},
		"no bucket":   {[]string{"--storage", strings.Replace(store.Text("a"), storagetest.Bucket, "nobodys", 1)}, 1, "there is no such bucket"},
		"unreachable": {[]string{"--storage", "s3://images?region=eu-central-1&endpoint=http://127.0.0.1:1"}, 1, "its host cannot be reached"},
		"no place":    {[]string{"--storage", images}, 2, "it has no scheme"},
		"an argument": {[]string{images}, 2, "no argument"},
		"an output":   {[]string{"-o", "yaml"}, 2, "the output is table or json"},
	} {
		code, stdout, stderr := verify(test.args...)
		if code != test.code || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("verify, %s: %d %q %q, want %d and one line with %q", name, code, stdout, stderr, test.code, test.want)
		}
	}
}

func blobFile(dir, sum string) string {
	hex := strings.TrimPrefix(sum, "sha256:")
	return filepath.Join(dir, "registry/docker/registry/v2/blobs/sha256", hex[:2], hex, "data")
}

// layersIn reads the layers of an image from a data dir.
func layersIn(t *testing.T, dir, manifest string) []string {
	t.Helper()
	data, err := os.ReadFile(blobFile(dir, manifest))
	if err != nil {
		t.Fatal(err)
	}
	var image struct{ Layers []struct{ Digest string } }
	if err := json.Unmarshal(data, &image); err != nil {
		t.Fatal(err)
	}
	var layers []string
	for _, layer := range image.Layers {
		layers = append(layers, layer.Digest)
	}
	return layers
}

// hasRow reports whether a table has a row of these cells.
func hasRow(table string, cells ...string) bool {
	for line := range strings.Lines(table) {
		if strings.Join(strings.Fields(line), " ") == strings.Join(cells, " ") {
			return true
		}
	}
	return false
}

// refuses runs algo-install on the launch, wants it to fail and returns what it says.
func (b *backedUp) refuses(t *testing.T, folder string, args ...string) string {
	t.Helper()
	line := append([]string{"algo-install", "satellite", b.satellite, b.launch}, args...)
	cmd := exec.CommandContext(t.Context(), os.Args[0], line...) //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1", "ALGO_DEPLOYMENT_DIR="+folder, "ALGO_MOTHERSHIP="+b.URL, "ALGO_ADMIN_API_KEY="+b.Key)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("algo-install %s does not fail:\n%s", args, out)
	}
	return string(out)
}
