package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// watchStorage has a server look at its storage at once, as the clock does each minute.
type watchStorage struct{}

// Kind is part of river.JobArgs.
func (watchStorage) Kind() string { return "storage_watch" }

// TestStorageThatFailsIsTold: two servers whose bucket refuses everything tell so once,
// and once that it is back.
func TestStorageThatFailsIsTold(t *testing.T) {
	t.Parallel()
	store, to, f := storagetest.New(t), newTold(t), newFleet(t)
	addresses := freeAddresses(t, 2)
	for _, address := range addresses {
		f.begin(t, "", address, "--storage", store.Text("watched"), "--outbound-allow", "127.0.0.1").ready(t)
	}
	f.account(t)
	c := &crasher{Written: loadtest.NewWritten(loadtest.Client{URL: "http://" + addresses[0], Key: f.key})}
	c.tells(t, to, "storage.unhealthy", "storage.back")
	db, err := postgres.Open(t.Context(), f.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	queue, err := jobs.NewQueue(db)
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string, want, back int) {
		t.Helper()
		for range 3 {
			if _, err := queue.Insert(t.Context(), db, watchStorage{}, nil); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, when+" the servers have looked", func() bool {
			counts, err := db.JobCounts(t.Context())
			if err != nil {
				return false
			}
			for _, count := range counts {
				if count.Kind == "storage_watch" {
					return false
				}
			}
			return true
		})
		eventually(t, when+" people are told", func() bool {
			return len(to.texts(t, "storage.unhealthy")) >= want && len(to.texts(t, "storage.back")) >= back
		})
		if bad, good := to.texts(t, "storage.unhealthy"), to.texts(t, "storage.back"); len(bad) != want || len(good) != back {
			t.Errorf("%s people were told %q and %q, want %d and %d", when, bad, good, want, back)
		}
	}
	look("while it is well", 0, 0)
	store.Fault(func(w http.ResponseWriter, _ *http.Request) bool {
		storagetest.Refuse(w, http.StatusForbidden, "AccessDenied")
		return true
	})
	look("while it fails", 1, 0)
	if text := to.texts(t, "storage.unhealthy")[0]; !strings.Contains(text, "pushes and pulls fail: ") || strings.Contains(text, "secret") {
		t.Errorf("people are told %q", text)
	}
	store.Fault(nil)
	look("once it is back", 1, 1)
}
