package registry_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/space"
)

// overQuota reports whether a push was refused for its owner's quota, in a sentence.
func overQuota(err error) bool {
	var refused *transport.Error
	return errors.As(err, &refused) && refused.StatusCode == http.StatusForbidden && strings.Contains(refused.Error(), "beyond its quota of")
}

// TestQuota refuses a push beyond the quota before its bytes are stored, and of two at
// once the one that does not fit.
func TestQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.control.SetQuota(t.Context(), control.Shell(), "Acme", 20_000); err != nil {
		t.Fatal(err)
	}
	shared := layerOf(t, 8000)
	w.mustPush("acme/one:"+gitHash(1), layered(t, shared))
	large := layerOf(t, 30_000)
	if err := w.push("acme/one:"+gitHash(2), layered(t, large)); !overQuota(err) {
		t.Errorf("a push beyond the quota: %v", err)
	}
	digest, err := large.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.storage.StoredBlob(t.Context(), "", digest.String()); constellation.KindOf(err) != constellation.KindNotFound {
		t.Errorf("the layer that was refused is stored: %v", err)
	}
	w.mustPush("acme/two:"+gitHash(3), layered(t, shared)) // counts once
	errs := make([]error, 2)
	var pushing sync.WaitGroup
	for i := range errs {
		pushing.Go(func() { errs[i] = w.push("acme/two:"+gitHash(4+i), layered(t, layerOf(t, 6000))) })
	}
	pushing.Wait()
	if overQuota(errs[0]) == overQuota(errs[1]) || (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("of two pushes that do not both fit: %v and %v, want one refused", errs[0], errs[1])
	}
	usage, err := w.control.Usage(t.Context(), control.Shell(), control.UsageShown)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range usage.Owners {
		if o.Name == "acme" && o.Bytes > 20_000 {
			t.Errorf("acme takes %d bytes of 20000", o.Bytes)
		}
	}
	if err := w.push("beta/one:"+gitHash(6), layered(t, large)); err != nil {
		t.Errorf("an owner without a quota: %v", err)
	}
}

// TestRetention lets versions go that no satellite has, but the newest.
func TestRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 5 {
		w.mustPush("acme/old:"+gitHash(n+1), layered(t, layerOf(t, 1000)))
		w.advance(1000)
	}
	w.launch("acme/old:" + gitHash(1))
	rule := constellation.RetentionRule{Scope: "Acme", Keep: 2, Days: 1}
	if _, err := w.control.SetRetentionRule(t.Context(), control.Shell(), rule); err != nil {
		t.Fatal(err)
	}
	if c := w.collect(space.CollectOptions{}); c.Retired != 0 {
		t.Errorf("%d versions went before their time", c.Retired)
	}
	w.advance(25 * 3600e9)
	if c := w.collect(space.CollectOptions{DryRun: true}); c.Retired != 2 {
		t.Errorf("a dry run says that %d versions go, want 2", c.Retired)
	}
	if c := w.collect(space.CollectOptions{}); c.Retired != 2 {
		t.Errorf("%d versions went, want 2", c.Retired)
	}
	for n, stays := range map[int]bool{1: true, 2: false, 3: false, 4: true, 5: true} {
		if _, err := w.version("acme/old:" + gitHash(n)); (err == nil) != stays {
			t.Errorf("version %d stays: %v, want %v", n, err, stays)
		}
	}
}
