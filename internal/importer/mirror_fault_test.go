package importer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// polled waits for the end of a mirror's first poll.
func (w *world) polled(id string) *constellation.Mirror {
	w.t.Helper()
	var found *constellation.Mirror
	w.mirrored(id, "polled", func(m *constellation.Mirror, _ map[string]constellation.MirrorTag) bool {
		found = m
		return m.PolledAt != nil && !m.Polling(time.Now())
	})
	return found
}

// onList answers the list of tags by handle, and the rest as ever.
func onList(handle http.HandlerFunc) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			handle(rw, r)
			return
		}
		inner.ServeHTTP(rw, r)
	}
}

// TestMirrorSaysWhy: a mirror that fails says why, and is left alone for as long as
// makes sense.
func TestMirrorSaysWhy(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the login went to another host")
		}
		rw.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(other.Close)
	status := func(code int, header ...string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				rw.Header().Set(header[i], header[i+1])
			}
			rw.WriteHeader(code)
		}
	}
	for name, c := range map[string]struct {
		list   http.HandlerFunc
		login  string // of the mothership, "" for the right one
		allow  []string
		says   string
		within [2]time.Duration // of the next poll
	}{
		"429":     {list: status(429, "Retry-After", "900"), says: "has had too many requests", within: [2]time.Duration{14 * time.Minute, 16 * time.Minute}},
		"503":     {list: status(503), says: "cannot serve tag list of team/model for now (503)", within: [2]time.Duration{0, time.Minute}},
		"404":     {list: status(404), says: "has no tag list of team/model", within: [2]time.Duration{45 * time.Minute, 75 * time.Minute}},
		"no JSON": {list: func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) }, says: "with no JSON", within: [2]time.Duration{45 * time.Minute, 75 * time.Minute}},
		"hangs":   {list: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, says: "does not answer in time", within: [2]time.Duration{0, time.Minute}},
		"elsewhere": {list: func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, other.URL+"/v2/team/model/tags/list", http.StatusTemporaryRedirect)
		}, says: "does not let us read", within: [2]time.Duration{45 * time.Minute, 75 * time.Minute}},
		"wrong pages": {list: func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Link", `</v2/other/tags/list?n=1>; rel="next"`)
			_, _ = rw.Write([]byte(`{"tags":["v1"]}`))
		}, says: "goes on at another place", within: [2]time.Duration{45 * time.Minute, 75 * time.Minute}},
		"wrong login":   {login: "robot:wrong", says: "does not let us in with the login of robot", within: [2]time.Duration{45 * time.Minute, 75 * time.Minute}},
		"no login":      {login: ":", says: "does not let us in without a login", within: [2]time.Duration{45 * time.Minute, 75 * time.Minute}},
		"private place": {allow: []string{}, says: "which is this machine's own", within: [2]time.Duration{45 * time.Minute, 75 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newWorld(t, c.allow...), newSource(t, "robot:secret")
			if c.allow != nil {
				w.allow = nil
			}
			s.push("team/model:v1", image(t, 1000, 1, nil))
			right := s.login
			if c.login != "" {
				s.login = strings.TrimPrefix(c.login, ":")
			}
			s.add(w)
			s.login = right
			if c.list != nil {
				s.answer(onList(c.list))
			}
			w.serve()
			m := w.mirror(s, control.MirrorChange{IntervalSeconds: new(3600)}, "v*")
			got := w.polled(m.ID)
			if got.State() != constellation.MirrorFails || !strings.Contains(got.Error, c.says) || got.Failures != 1 {
				t.Errorf("the mirror is %s after %d failures, and says %q, want %q", got.State(), got.Failures, got.Error, c.says)
			}
			if left := time.Until(got.NextAt); left < c.within[0]-time.Second || left > c.within[1] {
				t.Errorf("the next poll is in %s, want within %v", left, c.within)
			}
			if n := len(w.versions()); n != 0 {
				t.Errorf("there are %d versions, want none", n)
			}
		})
	}
}

// TestMirrorComesBack: a mirror whose registry was away goes on by itself.
func TestMirrorComesBack(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	s.push("team/model:v1", image(t, 1000, 1, nil))
	s.answer(onList(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) }))
	w.serve()
	m := w.mirror(s, control.MirrorChange{}, "v*")
	w.mirrored(m.ID, "failing", func(m *constellation.Mirror, _ map[string]constellation.MirrorTag) bool { return m.Failures > 0 })
	s.answer(nil)
	w.mirrored(m.ID, "ready", func(m *constellation.Mirror, tags map[string]constellation.MirrorTag) bool {
		return m.State() == constellation.MirrorWatches && tags["v1"].State == constellation.VersionReady
	})
}

// TestMirrorAsksAgain: an image whose import gave its registry up is asked for again an
// hour later, by the clock, and becomes a version without anybody.
func TestMirrorAsksAgain(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	model := image(t, 1000, 1, nil)
	layers, err := model.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.push("team/model:v1", model)
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.HasSuffix(r.URL.Path, layer.String()) {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		inner.ServeHTTP(rw, r)
	})
	w.serve()
	m := w.mirror(s, control.MirrorChange{}, "v*")
	passes := func(sql string, args ...any) {
		t.Helper()
		if _, err := w.db.Pool().Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	tags := w.mirrored(m.ID, "tried", func(_ *constellation.Mirror, tags map[string]constellation.MirrorTag) bool {
		return tags["v1"].Error != ""
	})
	passes(`UPDATE algorithm_imports SET attempts = 11 WHERE version_id = $1`, *tags["v1"].VersionID) // the next is its last
	w.mirrored(m.ID, "failed", func(_ *constellation.Mirror, tags map[string]constellation.MirrorTag) bool {
		return tags["v1"].State == constellation.VersionFailed
	})
	s.answer(nil)
	if got := w.poll(m.ID); got.Failed != 1 || got.Importing != 0 {
		t.Errorf("within the hour the mirror is %+v, want the image left alone", got)
	}
	passes(`UPDATE algorithm_imports SET ended_at = ended_at - interval '1 hour' WHERE version_id = $1`, *tags["v1"].VersionID)
	passes(`UPDATE mirrors SET next_at = now() WHERE id = $1`, m.ID)
	w.mirrored(m.ID, "ready", ready("v1"))
	again, err := w.db.Import(t.Context(), *tags["v1"].VersionID)
	if err != nil || again.Generation != 2 || again.RequestedBy != constellation.ActorSystem {
		t.Errorf("the import is %+v, %v, want the second, which nobody asked for", again, err)
	}
}

// TestMirrorOfBadImage: an image that cannot be a version says so once, and others come
// all the same.
func TestMirrorOfBadImage(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	s.push("team/model:v1", on(t, image(t, 1000, 1, nil), "windows", "amd64", nil))
	s.push("team/model:v2", image(t, 1000, 1, nil))
	w.serve()
	m := w.mirror(s, control.MirrorChange{}, "v*")
	tags := w.mirrored(m.ID, "done", func(_ *constellation.Mirror, tags map[string]constellation.MirrorTag) bool {
		return tags["v1"].State == constellation.VersionFailed && tags["v2"].State == constellation.VersionReady
	})
	if !strings.Contains(tags["v1"].Error, "windows/amd64 alone") {
		t.Errorf("the bad image says %q", tags["v1"].Error)
	}
	asked := s.asked("/blobs/")
	for range 2 {
		if got := w.poll(m.ID); got.Failed != 1 || got.Importing != 0 || got.State() != constellation.MirrorWatches {
			t.Errorf("the mirror is %+v", got)
		}
	}
	if again := s.asked("/blobs/"); again != asked {
		t.Errorf("two more polls read %d blobs, want none", again-asked)
	}
}

// TestMirrorWaitsForRoom: what does not fit is asked for again once it does.
func TestMirrorWaitsForRoom(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	s.push("team/model:v1", image(t, 500_000, 1, nil))
	if _, err := w.control.SetQuota(t.Context(), w.admin, "neo", 100_000); err != nil {
		t.Fatal(err)
	}
	w.serve()
	m := w.mirror(s, control.MirrorChange{}, "v*")
	failed := func(_ *constellation.Mirror, tags map[string]constellation.MirrorTag) bool {
		return tags["v1"].State == constellation.VersionFailed
	}
	if tags := w.mirrored(m.ID, "failed", failed); !strings.Contains(tags["v1"].Error, "beyond its quota") {
		t.Errorf("the tag says %q", tags["v1"].Error)
	}
	if got := w.poll(m.ID); got.Importing != 0 {
		t.Errorf("it is tried again without room: %+v", got)
	}
	if _, err := w.control.SetQuota(t.Context(), w.admin, "neo", 10_000_000); err != nil {
		t.Fatal(err)
	}
	w.poll(m.ID)
	w.mirrored(m.ID, "ready", ready("v1"))
}

// TestMirrorOnce: two servers poll a rule once, however many ask for it; and a mirror
// that is removed in a poll leaves what is being imported.
func TestMirrorOnce(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	s.push("team/model:v1", image(t, 1000, 1, nil))
	hold, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.answer(onList(func(rw http.ResponseWriter, _ *http.Request) {
		once.Do(func() { close(held) })
		<-hold
		_, _ = rw.Write([]byte(`{"tags":["v1"]}`))
	}))
	w.serve()
	w.serve()
	m := w.mirror(s, control.MirrorChange{}, "v*")
	<-held
	for range 5 {
		if err := w.control.BeginPolls(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.control.PollMirror(t.Context(), w.admin, m.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.control.GetMirror(t.Context(), w.admin, m.ID); err != nil || got.Round != 1 {
		t.Errorf("the mirror is in round %d, %v, want its first", got.Round, err)
	}
	close(hold)
	w.polled(m.ID)
	if n := s.asked("/tags/list"); n != 1 {
		t.Errorf("the tags were listed %d times by two servers, want once", n)
	}
	got, err := w.control.GetMirror(t.Context(), w.admin, m.ID)
	if err != nil || time.Until(got.NextAt) > 11*time.Second {
		t.Errorf("what was asked for meanwhile is due in %s, %v, want within 10 s", time.Until(got.NextAt), err)
	}
	if err := w.control.DeleteMirror(t.Context(), w.admin, m.ID); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		versions := w.versions()
		done := len(versions) == 1
		for _, v := range versions {
			done = done && v.State == constellation.VersionReady
		}
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the versions are %+v, want one that is ready", versions)
		}
		time.Sleep(10 * time.Millisecond) // a poll, with an end
	}
}

// TestMirrorWebhook: a registry that tells of a push has the mirror polled, and of
// anything else does not.
func TestMirrorWebhook(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	w.serve()
	m := w.mirror(s, control.MirrorChange{}, "v*")
	w.polled(m.ID)
	_, secret, err := w.control.MakeMirrorWebhook(t.Context(), w.admin, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]bool{
		`{"image":"` + s.host + `/team/model:v7"}`:                                       true,
		`{"image":"` + s.host + `/team/model:latest"}`:                                   false,
		`{"image":"registry.example.com/team/model:v7"}`:                                 false,
		`{"events":[{"action":"pull","target":{"repository":"team/model","tag":"v7"}}]}`: false,
		`{"events":[{"action":"push","target":{"repository":"team/other"}},{"action":"push","target":{"repository":"team/model","tag":"v7"}}]}`:        true,
		`{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"tag":"v7"}],"repository":{"repo_full_name":"team/model"}}}`:                              true,
		`{"type":"PULL_ARTIFACT","event_data":{"resources":[{"tag":"v7"}],"repository":{"repo_full_name":"team/model"}}}`:                              false,
		`{"action":"published","registry_package":{"name":"model","namespace":"team","package_version":{"container_metadata":{"tag":{"name":"v7"}}}}}`: true,
		`{"action":"published","registry_package":{"name":"other","namespace":"team"}}`:                                                                false,
		`{"push_data":{"tag":"v7"},"repository":{"repo_name":"team/model"}}`:                                                                           true,
		`{"repository":"team/other","updated_tags":["v7"]}`:                                                                                            false,
		`{"something":"else"}`: true,
		`no JSON`:              true,
		``:                     true,
	} {
		if got, err := w.control.ToldOfPush(t.Context(), m.ID, secret, []byte(body)); err != nil || got != want {
			t.Errorf("ToldOfPush(%s) = %v, %v, want %v", body, got, err, want)
		}
	}
	for _, wrong := range []string{"", "x", secret + "x"} {
		if _, err := w.control.ToldOfPush(t.Context(), m.ID, wrong, nil); constellation.KindOf(err) != constellation.KindUnauthenticated {
			t.Errorf("ToldOfPush with the secret %q: %v, want a refusal", wrong, err)
		}
	}
	w.rest(m.ID)
	s.push("team/model:v7", image(t, 1000, 1, nil))
	if _, err := w.control.ToldOfPush(t.Context(), m.ID, secret, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	w.mirrored(m.ID, "ready", ready("v7"))
	if err := w.control.RemoveMirrorWebhook(t.Context(), w.admin, m.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.control.ToldOfPush(t.Context(), m.ID, secret, nil); constellation.KindOf(err) != constellation.KindUnauthenticated {
		t.Errorf("ToldOfPush after the address ended: %v, want a refusal", err)
	}
}
