package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// longURLs are as many of the longest vanity URLs as a key may be limited to,
// which a new version of the satellite has.
func (h *house) longURLs(t *testing.T, satelliteID, prefix string) (urls []string) {
	t.Helper()
	var specs []control.AlgorithmSpec
	for i := range constellation.MaxKeyAlgorithms {
		url := fmt.Sprintf("%s/%d/", prefix, i)
		url += strings.Repeat("x", 200-len(url))
		urls = append(urls, url)
		specs = append(specs, control.AlgorithmSpec{Algorithm: "neo/hello/" + hashA, VanityURL: url})
	}
	if _, _, err := h.CreateSatelliteVersion(t.Context(), control.Shell(), satelliteID, nil, control.VersionSpec{Algorithms: specs}); err != nil {
		t.Fatal(err)
	}
	return urls
}

// Keys that the satellite's cluster has no room for are refused where they are
// made. What many keys have in common counts once.
func TestSatelliteKeysHaveABound(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	s := h.satellite(t, "edge")
	shared := h.longURLs(t, s.ID, "shared")
	for i := range 60 {
		if _, _, err := h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: fmt.Sprint(i), Algorithms: shared}); err != nil {
			t.Fatalf("key %d of 60 with the same 100 vanity URLs: %v", i, err)
		}
	}
	var last *constellation.SatelliteKey
	var err error
	made := 0
	for ; err == nil && made < 100; made++ {
		var key *constellation.SatelliteKey
		if _, key, err = h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: fmt.Sprint("own ", made), Algorithms: h.longURLs(t, s.ID, fmt.Sprint("own_", made))}); err == nil {
			last = key
		}
	}
	wantKind(t, "a key beyond the room", err, constellation.KindInvalid)
	if made < 30 || made > 60 || !strings.Contains(err.Error(), "revoke keys that nobody uses") {
		t.Errorf("after %d keys of 100 vanity URLs of their own: %v", made, err)
	}
	if err := h.RevokeSatelliteKey(ctx, shell, s.ID, last.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: "after", Algorithms: h.longURLs(t, s.ID, "after")}); err != nil {
		t.Errorf("a key in the place of a revoked one: %v", err)
	}
}

// An expired key is in no bundle and in no answer to a heartbeat.
func TestExpiredKeysLeave(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	s := h.satellite(t, "edge")
	for name, lives := range map[string]time.Duration{"short": time.Hour, "long": 100 * time.Hour} {
		expires := time.Now().Add(lives)
		if _, _, err := h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: name, ExpiresAt: &expires}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{Name: "plant"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 1, 0} {
		b, _, err := h.LaunchBundle(ctx, shell, s.ID, l.ID)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := bundle.ParsePlan(b.Plan)
		if err != nil || len(plan.Keys) != want {
			t.Errorf("%d keys in the bundle, %v; want %d", len(plan.Keys), err, want)
		}
		keys, err := h.db.WorkingSatelliteKeys(ctx, s.ID, time.Now().Add(time.Duration(h.shift.Load())))
		if err != nil || len(keys) != want {
			t.Errorf("%d keys work, %v; want %d", len(keys), err, want)
		}
		h.ahead(50 * time.Hour)
		if want == 1 {
			h.ahead(50 * time.Hour)
		}
	}
}
