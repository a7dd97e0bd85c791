package registry_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/space"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// TestUnhealthyStorageIsTold once when it fails, however many servers look however
// often, and once when it is back; a failure that is over when it is looked at again is
// none.
func TestUnhealthyStorageIsTold(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]func(t *testing.T) (w *world, fail, mend func(), says string){
		"a bucket": func(t *testing.T) (*world, func(), func(), string) {
			store := storagetest.New(t)
			w := newWorldOn(t, registry.StorageConfig{Location: store.Location(t, "registry")})
			return w, func() {
				store.Fault(func(answer http.ResponseWriter, _ *http.Request) bool {
					storagetest.Refuse(answer, http.StatusForbidden, "AccessDenied")
					return true
				})
			}, func() { store.Fault(nil) }, "its credentials lack a right"
		},
		"a volume that goes": func(t *testing.T) (*world, func(), func(), string) {
			w := newWorld(t)
			move := func(from, to string) {
				if err := os.Rename(from, to); err != nil {
					t.Error(err)
				}
			}
			return w, func() { move(w.dir, w.dir+".away") }, func() {
				if err := os.RemoveAll(w.dir); err != nil { // what was written meanwhile
					t.Error(err)
				}
				move(w.dir+".away", w.dir)
			}, "is its volume still mounted?"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, fail, mend, says := failing(t)
			w.system.Wait() // it writes too
			if err := space.ClaimStore(t.Context(), w.db, w.storage); err != nil {
				t.Fatal(err)
			}
			n, told := w.told(constellation.NoticeStorageUnhealthy, constellation.NoticeStorageBack)
			check := func(ctx context.Context) error { // as a server does
				if err := w.storage.Check(ctx); err != nil {
					return err
				}
				return space.CheckStore(ctx, w.db, w.storage)
			}
			look := func(when, want string, servers int, check func(context.Context) error) {
				t.Helper()
				var all errgroup.Group
				for range servers {
					all.Go(func() error { return n.WatchStorage(t.Context(), check, 10*time.Millisecond) })
				}
				if err := all.Wait(); err != nil {
					t.Fatalf("%s: %v", when, err)
				}
				got := told()
				if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
					t.Errorf("%s people are told %q, want %q once", when, got, want)
				}
			}
			look("while it is well", "", 2, check)
			for range 2 { // each time anew
				fail()
				look("when it fails", says, 3, check)
				look("while it fails on", "", 2, check)
				mend()
				look("when it is back", "storage.back: The registry's storage: it answers again", 3, check)
				look("while it stays well", "", 2, check)
			}
			var looks atomic.Int64
			look("after one failure that is over", "", 1, func(ctx context.Context) error {
				if looks.Add(1) == 1 {
					fail()
					defer mend()
				}
				return check(ctx)
			})
			if looks.Load() != 2 {
				t.Errorf("it was looked at %d times, want twice", looks.Load())
			}
			if err := w.push("acme/one:"+gitHash(1), layered(t, layerOf(t, 1000))); err != nil {
				t.Errorf("a push once it is back: %v", err)
			}
		})
	}
}
