package registry_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestPushNearlyHash pushes under tags that were meant as a version's.
func TestPushNearlyHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 100, nil)
	hash1 := hash(1)
	for tag, text := range map[string]string{
		"sha-" + hash1:         "push neo/hello:" + hash1 + ", the Git hash alone",
		"main-" + hash1:        "push neo/hello:" + hash1 + ", the Git hash alone",
		strings.ToUpper(hash1): "push neo/hello:" + hash1 + ", the Git hash alone",
		hash1[1:]:              "nearly that",
		hash1 + "0":            "nearly that",
		hash1 + hash1[:23]:     "nearly that",
	} {
		wantRefused(t, w.push("neo/hello:"+tag, img), http.StatusBadRequest, text)
		w.wantAnswer(404, "MANIFEST_UNKNOWN", "GET", "/v2/neo/hello/manifests/"+tag, nil)
	}
	sha256 := strings.Repeat("0a", 32)
	w.mustPush("neo/hello:"+sha256, img)
	if v, err := w.version("neo/hello:" + sha256); err != nil || v.GitHash != sha256 {
		t.Errorf("version of a SHA-256 repository = %+v, %v", v, err)
	}
}

// TestDetailHasTheNamesOfJSON pushes an image with a label that is wrong, and
// reads of the refusal what programs read of it.
func TestDetailHasTheNamesOfJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]},"config":{"Labels":{"constellation.protcol":"http"}}}`
	manifest := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],` +
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + w.upload("neo/hello", config) + `","size":` + itoa(len(config)) + `}}`
	response, body := w.do("PUT", "/v2/neo/hello/manifests/"+hash(1), strings.NewReader(manifest), "Content-Type", "application/vnd.oci.image.manifest.v1+json")
	if want := `"detail":[{"field":"constellation.protcol"}]`; response.StatusCode != http.StatusBadRequest || !strings.Contains(body, want) {
		t.Errorf("a label that is wrong = %d %s, want 400 with %s", response.StatusCode, body, want)
	}
}

// TestPushedTags pushes tags that are no version, and looks where they show.
func TestPushedTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := image(t, 100, nil), image(t, 100, nil)
	w.mustPush("neo/hello:latest", one)
	unregistered, err := w.control.UnregisteredTags(t.Context(), control.Shell())
	if err != nil {
		t.Fatal(err)
	}
	want := []constellation.PushedTag{{Repository: "neo/hello", Tag: "latest", Digest: digestOf(t, one), PushedAt: w.clock(), PushedBy: "Admin"}}
	if diff := cmp.Diff(want, unregistered); diff != "" {
		t.Errorf("unregistered (-want +got):\n%s", diff)
	}
	w.mustPush("neo/hello:"+hash(1), one)
	w.mustPush("neo/hello:v1", two)
	w.mustPush("neo/hello:sha256-"+strings.Repeat("0a", 32)+".sig", two) // as cosign does
	if unregistered, err = w.control.UnregisteredTags(t.Context(), control.Shell()); err != nil || len(unregistered) != 0 {
		t.Errorf("unregistered with a version = %v, %v, want none", unregistered, err)
	}
	tags, err := w.control.PushedTags(t.Context(), control.Shell(), "Neo", "Hello")
	if err != nil {
		t.Fatal(err)
	}
	want[0].GitHash = hash(1)
	want = append(want, constellation.PushedTag{Repository: "neo/hello", Tag: "v1", Digest: digestOf(t, two), PushedAt: w.clock(), PushedBy: "Admin"})
	if diff := cmp.Diff(want, tags, cmpopts.SortSlices(func(a, b constellation.PushedTag) bool { return a.Tag < b.Tag })); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// TestPushedTagsBounded pushes more tags than are remembered.
func TestPushedTagsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 25 {
		w.advance(1e9)
		tag := "v" + strings.Repeat("1", i+1)
		if err := w.control.NotePushedTag(t.Context(), w.adminPrincipal(), "neo/hello", tag, "sha256:"+strings.Repeat("0", 64)); err != nil {
			t.Fatal(err)
		}
	}
	tags, err := w.control.PushedTags(t.Context(), control.Shell(), "neo", "hello")
	if err != nil || len(tags) != 20 || tags[0].Tag != "v"+strings.Repeat("1", 25) {
		t.Errorf("%d tags, %v, want the newest 20", len(tags), err)
	}
}

// TestRefusalsAreShort pushes with skopeo and looks at what a build's log gets
// to see: one sentence, once.
func TestRefusalsAreShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustPush("neo/hello:"+hash(1), image(t, 100, nil))
	w.account("viewer", constellation.RoleViewer)
	viewer := w.key("viewer", control.NewKey{Name: "k"})
	mistyped, well := image(t, 100, map[string]string{"constellation.protcol": "http"}), image(t, 100, nil)
	for name, tt := range map[string]struct {
		repository, credentials, text string
	}{
		"an unknown label": {"neo/other:" + hash(2), "admin:" + w.admin, "the image label constellation.protcol is unknown"},
		"another image":    {"neo/hello:" + hash(1), "admin:" + w.admin, "is registered already, as sha256:"},
		"nearly a hash":    {"neo/hello:sha-" + hash(2), "admin:" + w.admin, "push neo/hello:" + hash(2)},
		"one segment":      {"hello:" + hash(2), "admin:" + w.admin, "an algorithm's repository is OWNER/NAME"},
		"a viewer's key":   {"neo/hello:" + hash(2), "viewer:" + viewer, "pushing an image"},
		// Both ask by HEAD first, whose answer has no room for more words.
		"a key that is wrong": {"neo/hello:" + hash(2), "admin:cst_wrong", "nauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, err := layout.Write(dir, empty.Index)
			if err != nil {
				t.Fatal(err)
			}
			img := well
			if name == "an unknown label" {
				img = mistyped
			}
			if err := path.AppendImage(img); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "skopeo", "copy", "--quiet", "--retry-times", "0", "--dest-tls-verify=false",
				"--dest-creds", tt.credentials, "oci:"+dir, "docker://"+w.host+"/"+tt.repository).CombinedOutput()
			text := string(out)
			if err == nil || strings.Count(text, tt.text) != 1 || len(text) > 700 {
				t.Errorf("skopeo says %v (%d characters):\n%s\nwant once %q", err, len(text), text, tt.text)
			}
			pushed := w.reference(tt.repository)
			err = pushWith(pushed, img, tt.credentials)
			if err == nil || strings.Count(err.Error(), tt.text) != 1 || len(err.Error()) > 700 {
				t.Errorf("crane says %v\nwant once %q", err, tt.text)
			}
		})
	}
}
