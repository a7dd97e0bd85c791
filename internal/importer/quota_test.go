package importer_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// told has people told of some kinds, and returns a function that returns what came
// since it was last called.
func (w *world) told(kinds ...constellation.NoticeKind) func() []string {
	w.t.Helper()
	address := "https://hooks.example.com/x" // nobody sends there
	d, _, err := w.control.CreateDestination(w.t.Context(), control.Shell(), control.DestinationChange{Name: new("ops"), Kind: constellation.DestinationWebhook, URL: &address})
	if err == nil {
		_, err = w.control.CreateNotificationRule(w.t.Context(), control.Shell(), constellation.NotificationRule{Name: "all", DestinationIDs: []string{d.ID}, Kinds: kinds})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	last := int64(0)
	return func() (texts []string) {
		w.t.Helper()
		rows, err := w.db.Pool().Query(w.t.Context(), `SELECT id, kind || ': ' || subject_name || ': ' || text FROM notices WHERE id > $1 ORDER BY id`, last)
		if err != nil {
			w.t.Fatal(err)
		}
		var text string
		if _, err = pgx.ForEachRow(rows, []any{&last, &text}, func() error { texts = append(texts, text); return nil }); err != nil {
			w.t.Fatal(err)
		}
		return texts
	}
}

// TestQuotaOfImports: people are told when an import brings an owner near its quota,
// once a level; one that would go beyond is refused before a layer is fetched, which is
// told too, and what the owner has already counts once.
func TestQuotaOfImports(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	for tag, size := range map[string]int64{"a": 700_000, "b": 150_000, "c": 50_000, "d": 120_000, "e": 60_000} {
		s.push("team/model:"+tag, image(t, size, 1, nil))
	}
	if _, err := w.control.SetQuota(t.Context(), w.admin, "neo", 1_000_000); err != nil {
		t.Fatal(err)
	}
	told := w.told(constellation.NoticeQuotaNear, constellation.NoticeImportFailed)
	expect := func(when string, want ...string) {
		t.Helper()
		got := told()
		if len(got) != len(want) || slices.ContainsFunc(want, func(text string) bool {
			return !slices.ContainsFunc(got, func(told string) bool { return strings.Contains(told, text) })
		}) {
			t.Errorf("%s people are told %q, want %q", when, got, want)
		}
	}
	w.serve()
	take := func(n int, tag string) { t.Helper(); w.ask(s.host+"/team/model:"+tag, n); w.ready(n) }
	take(1, "a")
	expect("at 70 %")
	take(2, "b")
	expect("at 85 %", "quota.near: neo: 85 % of the quota are used")
	take(3, "c")
	expect("at 90 %")

	before := s.sent()
	w.ask(s.host+"/team/model:d", 4)
	const beyond = "which would take neo beyond its quota of 1.0 MB"
	if v := w.failed(4); !strings.Contains(said(v), beyond) {
		t.Errorf("an import beyond the quota says %q", said(v))
	}
	if sent := s.sent() - before; sent > 10_000 { // the config, to know its platform
		t.Errorf("%d bytes of blobs were fetched", sent)
	}
	expect("when an import is refused", "import.failed: Neo/hello/"+hash(4)+": the import of "+s.host+"/team/model:d failed: the image needs 12")

	take(5, "a") // again, under another hash
	expect("when nothing is new")
	take(6, "e")
	expect("at 96 %", "quota.near: neo: 96 % of the quota are used")
}

// TestQuotaOfImportsAtOnce: of two imports that fit each, and not both, the second is
// refused before a layer is fetched; and a quota that is made smaller under an import
// ends it.
func TestQuotaOfImportsAtOnce(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	first := image(t, 600_000, 1, nil)
	layers, err := first.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.push("team/model:v1", first)
	s.push("team/model:v2", image(t, 600_000, 1, nil))
	set := func(bytes int64) {
		t.Helper()
		if _, err := w.control.SetQuota(t.Context(), w.admin, "neo", bytes); err != nil {
			t.Fatal(err)
		}
	}
	set(1_000_000)
	told := w.told(constellation.NoticeImportFailed)
	copying, goOn := make(chan struct{}), make(chan struct{})
	began := sync.OnceFunc(func() { close(copying) })
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.HasSuffix(r.URL.Path, layer.String()) {
			began()
			<-goOn
		}
		inner.ServeHTTP(rw, r)
	})
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	<-copying
	s.answer(nil)
	w.ask(s.host+"/team/model:v2", 2)
	if v := w.failed(2); !strings.Contains(said(v), " bytes are used, and other imports are to bring 60") { // some of the first one's may have come
		t.Errorf("an import beside another one says %q", said(v))
	}
	if sent := s.sent(); sent > 10_000 {
		t.Errorf("%d bytes of blobs were fetched", sent)
	}
	set(500_000)
	release()
	if v := w.failed(1); !strings.Contains(said(v), "beyond its quota of 500 kB") {
		t.Errorf("an import under which the quota was made smaller says %q", said(v))
	}
	if texts := told(); len(texts) != 2 {
		t.Errorf("people are told %q, want both failures", texts)
	}
	use, err := w.db.OwnerRoom(t.Context(), "neo")
	if err != nil || use.Bytes > use.Quota {
		t.Errorf("after imports that failed the owner has %+v, %v", use, err)
	}
	set(2_000_000)
	w.ask(s.host+"/team/model:v1", 1)
	w.ready(1)
	w.ask(s.host+"/team/model:v2", 2)
	w.ready(2)
}
