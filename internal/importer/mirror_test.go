package importer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// mirror makes a mirror of neo/hello of the source's team/model.
func (w *world) mirror(s *source, change control.MirrorChange, tags ...string) *constellation.Mirror {
	w.t.Helper()
	change.Tags = &tags
	m, err := w.control.CreateMirror(w.t.Context(), w.admin, "Neo/hello", s.host+"/team/model", change)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// mirrored waits for what holds of a mirror and its tags.
func (w *world) mirrored(id, what string, holds func(*constellation.Mirror, map[string]constellation.MirrorTag) bool) map[string]constellation.MirrorTag {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		m, err := w.control.GetMirror(w.t.Context(), w.admin, id)
		if err != nil {
			w.t.Fatal(err)
		}
		list, err := w.control.MirrorTags(w.t.Context(), w.admin, id)
		if err != nil {
			w.t.Fatal(err)
		}
		tags := map[string]constellation.MirrorTag{}
		for _, t := range list {
			tags[t.Tag] = t
		}
		if holds(m, tags) {
			return tags
		}
		if !m.Polling(time.Now()) && time.Now().After(m.NextAt) { // as the clock does
			if err := w.control.BeginPolls(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("after a minute the mirror is not %s: %+v %+v", what, m, tags)
		}
		time.Sleep(10 * time.Millisecond) // a poll, with an end
	}
}

func ready(names ...string) func(*constellation.Mirror, map[string]constellation.MirrorTag) bool {
	return func(m *constellation.Mirror, tags map[string]constellation.MirrorTag) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return tags[name].State != constellation.VersionReady })
	}
}

// poll asks for a poll, and waits for its end.
func (w *world) poll(id string) *constellation.Mirror {
	w.t.Helper()
	before, err := w.control.GetMirror(w.t.Context(), w.admin, id)
	if err != nil {
		w.t.Fatal(err)
	}
	w.rest(id)
	if _, err := w.control.PollMirror(w.t.Context(), w.admin, id); err != nil {
		w.t.Fatal(err)
	}
	var after *constellation.Mirror
	w.mirrored(id, "polled again", func(m *constellation.Mirror, _ map[string]constellation.MirrorTag) bool {
		after = m
		return m.Round > before.Round && !m.Polling(time.Now())
	})
	return after
}

// rest makes the last poll one of long ago, so that the next one may begin.
func (w *world) rest(id string) {
	w.t.Helper()
	w.mirrored(id, "polled", func(m *constellation.Mirror, _ map[string]constellation.MirrorTag) bool {
		return !m.Polling(time.Now())
	})
	if _, err := w.db.Pool().Exec(w.t.Context(), `UPDATE mirrors SET polled_at = polled_at - interval '1 hour' WHERE id = $1`, id); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) versions() map[string]constellation.AlgorithmVersion {
	w.t.Helper()
	page, err := w.control.ListAlgorithmVersions(w.t.Context(), w.admin, "neo", "hello", control.ListQuery{Limit: 500})
	if err != nil {
		w.t.Fatal(err)
	}
	found := map[string]constellation.AlgorithmVersion{}
	for _, v := range page.Items {
		found[v.GitHash] = v
	}
	return found
}

func revision(n int, version string) map[string]string {
	return map[string]string{"org.opencontainers.image.revision": hash(n), "org.opencontainers.image.version": version}
}

// TestMirror: tags that match become versions by a registry with a login, which lists
// them by pages: under the revision of their labels, their own hash, or their digest. A
// tag that moves makes another version, one that goes takes none away, and an image
// under two tags is one version.
func TestMirror(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "robot:secret")
	s.add(w)
	s.answer(paged(2))
	first := s.push("team/model:v1.0.0", image(t, 1000, 1, revision(1, "1.0.0")))
	s.push("team/model:v1.1.0", image(t, 1000, 1, revision(2, "9.9.9")))
	plain := image(t, 1000, 1, nil)
	s.push("team/model:v1.2.0", plain)
	s.push("team/model:v1.2", plain)
	s.push("team/model:v"+"2.0.0-rc1", image(t, 1000, 1, nil))
	s.push("team/model:latest", image(t, 1000, 1, nil))
	s.push("team/model:"+hash(7), image(t, 1000, 1, revision(8, "")))
	w.serve()
	m := w.mirror(s, control.MirrorChange{}, "v*", "!*-rc*", hash(7))
	tags := w.mirrored(m.ID, "ready", ready("v1.0.0", "v1.1.0", "v1.2.0", "v1.2", hash(7)))
	if len(tags) != 5 {
		t.Errorf("the tags are %v", tags)
	}
	versions := w.versions()
	digest, err := plain.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{hash(1): "1.0.0", hash(2): "1.1.0", digest.Hex: "1.2.0", hash(7): ""} {
		if v, ok := versions[name]; !ok || v.SemanticVersion != want || v.CreatedBy != constellation.ActorSystem {
			t.Errorf("version %s is %+v, want %q", name, v, want)
		}
	}
	if len(versions) != 4 {
		t.Errorf("there are %d versions, want 4", len(versions))
	}
	if v := versions[hash(1)]; v.Image.Digest != first {
		t.Errorf("the digest is %s, want %s", v.Image.Digest, first)
	}

	// The tag moves, to an image of the same revision; and another goes.
	moved := s.push("team/model:v1.0.0", image(t, 1000, 1, revision(1, "1.0.0")))
	if err := remote.Delete(s.ref("team/model:v1.1.0"), s.options()...); err != nil {
		t.Fatal(err)
	}
	if got := w.poll(m.ID); got.Error != "" {
		t.Fatalf("the poll failed: %s", got.Error)
	}
	tags = w.mirrored(m.ID, "ready", ready("v1.0.0"))
	if got := tags["v1.0.0"].GitHash; got != strings.TrimPrefix(moved, "sha256:") {
		t.Errorf("the tag that moved is version %s, want one of its digest %s", got, moved)
	}
	if !tags["v1.1.0"].Gone {
		t.Errorf("the tag that went is %+v", tags["v1.1.0"])
	}
	versions = w.versions()
	if v := versions[hash(1)]; len(versions) != 5 || v.Image.Digest != first {
		t.Errorf("there are %d versions, the first of %s; want 5, of %s", len(versions), v.Image.Digest, first)
	}

	// What somebody removes stays so.
	if err := w.control.DeleteAlgorithmVersion(t.Context(), w.admin, ref(1), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.control.DeleteAlgorithmVersion(t.Context(), w.admin, constellation.AlgorithmRef{Owner: "Neo", Name: "hello", Hash: hash(7)}, nil); err != nil {
		t.Fatal(err)
	}
	w.poll(m.ID)
	if n := len(w.versions()); n != 3 {
		t.Errorf("there are %d versions after two were removed, want 3", n)
	}
	if err := w.control.DeleteMirror(t.Context(), w.admin, m.ID); err != nil {
		t.Fatal(err)
	}
	if n := len(w.versions()); n != 3 {
		t.Errorf("there are %d versions without the mirror, want 3", n)
	}
}

// paged gives a list of tags in pages of size, as registries do.
func paged(size int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			inner.ServeHTTP(rw, r)
			return
		}
		last := r.URL.Query().Get("last")
		plain := r.Clone(r.Context())
		plain.URL.RawQuery = ""
		whole := httptest.NewRecorder()
		inner.ServeHTTP(whole, plain)
		var list struct {
			Name string   `json:"name"`
			Tags []string `json:"tags"`
		}
		if json.Unmarshal(whole.Body.Bytes(), &list) != nil {
			rw.WriteHeader(whole.Code)
			_, _ = rw.Write(whole.Body.Bytes())
			return
		}
		slices.Sort(list.Tags)
		list.Tags = slices.DeleteFunc(list.Tags, func(tag string) bool { return tag <= last })
		if len(list.Tags) > size {
			list.Tags = list.Tags[:size]
			rw.Header().Set("Link", fmt.Sprintf(`<%s?last=%s&n=%d>; rel="next"`, r.URL.Path, list.Tags[size-1], size))
		}
		_ = json.NewEncoder(rw).Encode(list) // the client is gone: nobody to tell
	}
}
