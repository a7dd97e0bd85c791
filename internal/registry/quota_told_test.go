package registry_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/space"
)

// told has what is told at once of some kinds delivered to a receiver, and returns what
// events say that came since it was last called.
func (w *world) told(kinds ...constellation.NoticeKind) (*notify.Service, func() []string) {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var bodies []string
	to := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(body))
		answer.WriteHeader(http.StatusNoContent)
	}))
	w.t.Cleanup(to.Close)
	d, _, err := w.control.CreateDestination(w.t.Context(), control.Shell(), control.DestinationChange{Name: new("ops"), Kind: constellation.DestinationWebhook, URL: &to.URL})
	must(err)
	_, err = w.control.CreateNotificationRule(w.t.Context(), control.Shell(), constellation.NotificationRule{Name: "all", DestinationIDs: []string{d.ID}, Kinds: kinds})
	must(err)
	queue, err := jobs.NewQueue(w.db)
	must(err)
	sealer, err := auth.NewSealer(make([]byte, 32))
	must(err)
	n := notify.New(notify.Config{DB: w.db, Sealer: sealer, Queue: queue, PublicURL: "https://mothership.example.com", Check: func(string, netip.Addr) error { return nil }})
	delivered := map[string]bool{}
	return n, func() (texts []string) {
		w.t.Helper()
		for more := true; more; {
			var err error
			more, err = n.Route(w.t.Context())
			must(err)
		}
		list, err := w.db.Deliveries(w.t.Context(), "", "", postgres.List{Sort: "created_at", Limit: 500})
		must(err)
		for _, d := range list {
			if !delivered[d.ID] {
				delivered[d.ID] = true
				must(n.Deliver(w.t.Context(), d.ID))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for _, body := range bodies {
			var message struct {
				Data struct {
					Events []struct {
						Type, Text, URL string
						Subject         struct{ Name string }
					}
				}
			}
			must(json.Unmarshal([]byte(body), &message))
			for _, e := range message.Data.Events {
				texts = append(texts, e.Type+": "+e.Subject.Name+": "+e.Text+" "+e.URL)
			}
		}
		bodies = nil
		return texts
	}
}

// TestQuotaNearIsTold at 80 and at 95 percent, once until less is used again.
func TestQuotaNearIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, told := w.told(constellation.NoticeQuotaNear)
	if _, err := w.control.SetQuota(t.Context(), control.Shell(), "acme", 100_000); err != nil {
		t.Fatal(err)
	}
	expect := func(when, want string) {
		t.Helper()
		got := told()
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
			t.Errorf("%s people are told %q, want %q once", when, got, want)
		}
	}
	push := func(n int, bytes int64) {
		t.Helper()
		w.mustPush("acme/one:"+gitHash(n), layered(t, layerOf(t, bytes)))
	}
	push(1, 60_000)
	expect("at 60 %", "")
	push(2, 20_000)
	expect("at 80 %", "quota.near: acme: 8")
	push(3, 4_000)
	expect("at 85 %", "")
	w.mustPush("acme/two:"+gitHash(4), layered(t, layerOf(t, 9_000)))
	expect("at 95 %", "quota.near: acme: 9")
	if err := w.push("acme/two:"+gitHash(5), layered(t, layerOf(t, 30_000))); !overQuota(err) {
		t.Errorf("a push beyond the quota: %v", err)
	}
	expect("when a push is refused", "")

	if err := w.control.DeleteAlgorithmVersion(t.Context(), control.Shell(), constellation.AlgorithmRef{Owner: "acme", Name: "one", Hash: gitHash(1)}, nil); err != nil {
		t.Fatal(err)
	}
	w.collect(space.CollectOptions{})
	expect("when space is freed", "")
	push(6, 55_000)
	expect("when it is used again, at once to 95 %", "quota.near: acme: 9")

	if _, err := w.control.SetQuota(t.Context(), control.Shell(), "acme", 110_000); err != nil {
		t.Fatal(err)
	}
	push(7, 1_000)
	expect("with a larger quota", "quota.near: acme: 8")
	if _, err := w.control.SetQuota(t.Context(), control.Shell(), "acme", 1_000_000); err != nil {
		t.Fatal(err)
	}
	push(8, 1_000)
	expect("with a quota that is far away", "")
}
