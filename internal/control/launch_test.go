package control_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func TestLaunches(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	s, other := h.satellite(t, "edge"), h.satellite(t, "other")
	l, err := h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{Name: "Plant 7", Description: "a\nb"})
	if err != nil || l.SatelliteVersion != 1 {
		t.Fatalf("CreateLaunch = %+v, %v, want version 1", l, err)
	}
	got, err := h.GetLaunch(ctx, shell, s.ID, l.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, got); diff != "" {
		t.Errorf("GetLaunch differs from CreateLaunch (-want +got):\n%s", diff)
	}
	_, err = h.GetLaunch(ctx, shell, other.ID, l.ID)
	if wantKind(t, "launch of another satellite", err, constellation.KindNotFound); err == nil || !strings.Contains(err.Error(), "of another satellite") {
		t.Errorf("launch of another satellite = %v, want it said", err)
	}
	_, err = h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{Name: "PLANT 7"})
	wantKind(t, "taken name", err, constellation.KindConflict)
	if _, err := h.CreateLaunch(ctx, shell, other.ID, control.NewLaunch{Name: "Plant 7"}); err != nil {
		t.Errorf("same name in another satellite = %v, want nil", err)
	}
	_, err = h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{Name: "", SatelliteVersion: 2, Description: strings.Repeat("x", 2001)})
	wantKind(t, "bad launch", err, constellation.KindInvalid)
	if diff := cmp.Diff([]string{"name", "description", "satellite_version"}, fields(err)); diff != "" {
		t.Errorf("bad launch: fields (-want +got):\n%s", diff)
	}
	if _, _, err := h.CreateSatelliteVersion(ctx, shell, s.ID, nil, control.VersionSpec{}); err != nil {
		t.Fatal(err)
	}
	moved, err := h.UpdateLaunch(ctx, shell, s.ID, l.ID, ptr(int64(1)), control.LaunchChange{SatelliteVersion: ptr(2)})
	if err != nil || moved.SatelliteVersion != 2 || moved.Revision != 2 || moved.Name != "Plant 7" {
		t.Errorf("UpdateLaunch = %+v, %v, want version 2, revision 2", moved, err)
	}
	_, err = h.UpdateLaunch(ctx, shell, s.ID, l.ID, ptr(int64(1)), control.LaunchChange{Name: ptr("x")})
	wantKind(t, "stale edit", err, constellation.KindPreconditionFailed)
	page, err := h.ListLaunches(ctx, shell, s.ID, control.ListQuery{Q: "plant", Sort: "-created_at"})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("ListLaunches = %+v, %v, want one", page, err)
	}
	for _, id := range []string{"x", "../" + l.ID, s.ID, ""} {
		_, err := h.GetLaunch(ctx, shell, s.ID, id)
		wantKind(t, "launch "+id, err, constellation.KindNotFound)
	}
	wantKind(t, "stale delete", h.DeleteLaunch(ctx, shell, s.ID, l.ID, ptr(int64(1))), constellation.KindPreconditionFailed)
	if err := h.DeleteLaunch(ctx, shell, s.ID, l.ID, ptr(int64(2))); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "delete again", h.DeleteLaunch(ctx, shell, s.ID, l.ID, nil), constellation.KindNotFound)
}

func TestLaunchBundle(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	algorithm := h.push(t, "neo", "hello", hashA)
	s := h.satellite(t, "edge")
	secret, key, err := h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: "app", Algorithms: []string{"foo/bar"}, Rate: &constellation.KeyRate{PerSecond: 5}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{Name: "plant"})
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := h.LaunchBundle(ctx, shell, s.ID, l.ID)
	if err != nil {
		t.Fatal(err)
	}
	public, err := h.PublicKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Signature.Verify(first.Root, public); err != nil {
		t.Error(err)
	}
	plan, err := bundle.ParsePlan(first.Plan)
	if err != nil {
		t.Fatal(err)
	}
	want := &bundle.Plan{
		SchemaVersion: 1,
		Satellite:     bundle.Satellite{ID: s.ID, Name: "edge", Version: 1, VersionCreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, AccessVersion: plan.Satellite.AccessVersion},
		Launch:        bundle.Launch{ID: l.ID, Name: "plant", Token: plan.Launch.Token},
		Mothership:    bundle.Mothership{URL: "https://mothership.example.com", Version: "1.2.3"},
		System:        plan.System,
		Algorithms: []bundle.Algorithm{{
			VanityURL: "foo/bar", Algorithm: "neo/hello/" + hashA, Replicas: 2, Runtime: constellation.Runtime{}.WithDefaults(),
			Image: bundle.Image{Repository: "neo/hello", Digest: algorithm.Image.Digest, MediaType: algorithm.Image.MediaType, Platforms: []string{"linux/amd64"}},
		}},
		Keys: []bundle.Key{{ID: key.ID, Name: "app", SHA256: auth.HashKey(secret), Algorithms: []string{"foo/bar"}, Rate: constellation.KeyRate{PerSecond: 5}}},
	}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(plan.Launch.Token, "cstl_") {
		t.Errorf("launch token %q, want cstl_…", plan.Launch.Token)
	}

	// The same rows give the same bytes, from memory or in another process.
	reads := h.content.reads.Load()
	if _, _, err := h.LaunchBundle(ctx, shell, s.ID, l.ID); err != nil || h.content.reads.Load() != reads {
		t.Errorf("second bundle read %d manifests, %v, want none", h.content.reads.Load()-reads, err)
	}
	restarted := control.New(h.options)
	again, _, err := restarted.LaunchBundle(ctx, shell, s.ID, l.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("bundle after a restart (-want +got):\n%s", diff)
	}

	// A pull by digest goes on after the launch changed.
	if err := h.RevokeSatelliteKey(ctx, shell, s.ID, key.ID); err != nil {
		t.Fatal(err)
	}
	second, _, err := h.LaunchBundle(ctx, shell, s.ID, l.ID)
	if err != nil || bundle.Digest(second.Index) == bundle.Digest(first.Index) {
		t.Fatalf("bundle after a revoked key is the same, %v", err)
	}
	for _, digest := range []string{bundle.Digest(first.Plan), bundle.Digest(first.Index), bundle.Digest(second.Root), algorithm.Image.Digest} {
		if _, err := h.BundleDocument(ctx, shell, s.ID, digest); err != nil {
			t.Errorf("BundleDocument(%s) = %v, want a bundle", digest, err)
		}
	}
	for what, want := range map[string]*bundle.Bundle{"the bundle that is": second, "the bundle that was": first} {
		got, err := control.New(h.options).BundleDocument(ctx, shell, s.ID, bundle.Digest(want.Root))
		if err != nil {
			t.Errorf("%s, at another server = %v, want a bundle", what, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, at another server (-want +got):\n%s", what, diff)
		}
	}
	_, err = h.BundleDocument(ctx, shell, s.ID, bundle.Digest([]byte("?")))
	wantKind(t, "unknown digest", err, constellation.KindNotFound)

	h.ahead(constellation.DefaultSatelliteLifetime)
	for what, get := range map[string]func() error{
		"LaunchBundle":   func() error { _, _, err := h.LaunchBundle(ctx, shell, s.ID, l.ID); return err },
		"BundleDocument": func() error { _, err := h.BundleDocument(ctx, shell, s.ID, bundle.Digest(first.Plan)); return err },
	} {
		err := get()
		if wantKind(t, what+" of an expired satellite", err, constellation.KindForbidden); err == nil || !strings.Contains(err.Error(), "renew") {
			t.Errorf("%s of an expired satellite = %v, want advice to renew", what, err)
		}
	}
	if _, err := h.UpdateSatellite(ctx, shell, s.ID, nil, control.SatelliteChange{ExpiresAt: ptr(time.Now().Add(1000 * 24 * time.Hour))}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.LaunchBundle(ctx, shell, s.ID, l.ID); err != nil {
		t.Errorf("bundle of a renewed satellite = %v, want nil", err)
	}
	if err := h.DeleteLaunch(ctx, shell, s.ID, l.ID, nil); err != nil {
		t.Fatal(err)
	}
	_, err = h.BundleDocument(ctx, shell, s.ID, bundle.Digest(first.Plan))
	wantKind(t, "document of a deleted launch", err, constellation.KindNotFound)
}

// TestAccessVersionGrows: each change of who may call, and until when, is newer
// than what was before it, in plans as in heartbeats; nothing else is.
func TestAccessVersionGrows(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	s := h.satellite(t, "edge")
	l, err := h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{Name: "plant"})
	if err != nil {
		t.Fatal(err)
	}
	version := func() int64 {
		t.Helper()
		b, _, err := h.LaunchBundle(ctx, shell, s.ID, l.ID)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := bundle.ParsePlan(b.Plan)
		if err != nil {
			t.Fatal(err)
		}
		return plan.Satellite.AccessVersion
	}
	var key *constellation.SatelliteKey
	last := version()
	if last < time.Now().Add(-time.Hour).UnixMilli() {
		t.Errorf("the first access version is %d, want the time in milliseconds", last)
	}
	for _, step := range []struct {
		name  string
		newer bool
		do    func() error
	}{
		{"a key is made", true, func() (err error) {
			_, key, err = h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: "app"})
			return err
		}},
		{"it is revoked", true, func() error { return h.RevokeSatelliteKey(ctx, shell, s.ID, key.ID) }},
		{"it is revoked again", false, func() error { return h.RevokeSatelliteKey(ctx, shell, s.ID, key.ID) }},
		{"the satellite is renamed", false, func() error {
			_, err := h.UpdateSatellite(ctx, shell, s.ID, nil, control.SatelliteChange{Name: ptr("renamed")})
			return err
		}},
		{"the satellite is renewed", true, func() error {
			_, err := h.UpdateSatellite(ctx, shell, s.ID, nil, control.SatelliteChange{ExpiresAt: ptr(s.ExpiresAt.AddDate(1, 0, 0))})
			return err
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got := version()
		if step.newer != (got > last) || got < last {
			t.Errorf("%s: the access version goes from %d to %d, want newer %v", step.name, last, got, step.newer)
		}
		last = got
	}
}

func TestSigningKeyIsOne(t *testing.T) {
	t.Parallel()
	ctx, h := t.Context(), newHouse(t)
	keys := make([]ed25519.PublicKey, 6)
	errs := make([]error, len(keys))
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() { keys[i], errs[i] = control.New(h.options).PublicKey(ctx) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys[1:] {
		if !key.Equal(keys[0]) {
			t.Error("motherships that start together have different signing keys")
		}
	}
	sealed, err := h.db.Setting(ctx, "signing_key")
	if err != nil || len(sealed) == 0 || strings.Contains(string(sealed), string(keys[0])) {
		t.Errorf("the stored signing key is %d bytes, %v, want a sealed one", len(sealed), err)
	}
}

func TestIdempotent(t *testing.T) {
	t.Parallel()
	ctx, h := t.Context(), newHouse(t)
	ann := h.account(t, "ann", constellation.RoleAdmin)
	request := control.IdempotentRequest{Key: "k-1", Method: "POST", Path: "/v1/users/ann/keys", BodyHash: [32]byte{1}}
	create := func(s *control.Service) (*control.StoredResponse, error) {
		secret, _, err := s.CreateKey(ctx, ann, "ann", control.NewKey{Name: "ci"})
		return &control.StoredResponse{Status: 201, Header: map[string]string{"Location": "/x"}, Body: []byte(secret)}, err
	}
	answers, replays := make([]*control.StoredResponse, 8), make([]bool, 8)
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i], replays[i], errs[i] = h.Idempotent(ctx, ann, request, create) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	fresh := 0
	for i, a := range answers {
		if diff := cmp.Diff(answers[0], a); diff != "" {
			t.Errorf("answer %d differs (-first +this):\n%s", i, diff)
		}
		if !replays[i] {
			fresh++
		}
	}
	page, err := h.ListKeys(ctx, ann, "ann", control.ListQuery{})
	if err != nil || len(page.Items) != 1 || fresh != 1 {
		t.Errorf("%d keys, %d fresh answers, %v, want 1 and 1", len(page.Items), fresh, err)
	}
	changed := request
	changed.BodyHash = [32]byte{2}
	_, _, err = h.Idempotent(ctx, ann, changed, create)
	wantKind(t, "same key, another body", err, constellation.KindConflict)

	// A failure is not kept, and leaves nothing behind.
	failing := request
	failing.Key = "k-2"
	boom := constellation.Errorf(constellation.KindInvalid, "boom")
	_, _, err = h.Idempotent(ctx, ann, failing, func(s *control.Service) (*control.StoredResponse, error) {
		if _, err := create(s); err != nil {
			return nil, err
		}
		return nil, boom
	})
	wantKind(t, "failing request", err, constellation.KindInvalid)
	if page, err := h.ListKeys(ctx, ann, "ann", control.ListQuery{}); err != nil || len(page.Items) != 1 {
		t.Errorf("after a failure %d keys, %v, want 1", len(page.Items), err)
	}
	if _, replayed, err := h.Idempotent(ctx, ann, failing, create); err != nil || replayed {
		t.Errorf("retry after a failure: replayed %v, %v, want a fresh answer", replayed, err)
	}
	bob := h.account(t, "bob", constellation.RoleViewer)
	if _, replayed, err := h.Idempotent(ctx, bob, changed, func(*control.Service) (*control.StoredResponse, error) {
		return &control.StoredResponse{Status: 200}, nil
	}); err != nil || replayed {
		t.Errorf("another account's same key: replayed %v, %v, want a fresh answer", replayed, err)
	}
	for _, bad := range []string{"", strings.Repeat("x", 256), "é", "a\n"} {
		_, _, err := h.Idempotent(ctx, ann, control.IdempotentRequest{Key: bad}, create)
		wantKind(t, "key "+bad, err, constellation.KindMalformed)
	}
	h.ahead(25 * time.Hour)
	if err := h.Purge(ctx); err != nil {
		t.Fatal(err)
	}
	if _, replayed, err := h.Idempotent(ctx, ann, changed, create); err != nil || replayed {
		t.Errorf("after a day: replayed %v, %v, want a fresh answer", replayed, err)
	}
}

func TestAuditIsInTheTransaction(t *testing.T) {
	t.Parallel()
	ctx, h := t.Context(), newHouse(t)
	ann := h.account(t, "ann", constellation.RoleAdmin)
	before := h.events(t)
	_, _, err := h.Idempotent(ctx, ann, control.IdempotentRequest{Key: "x"}, func(s *control.Service) (*control.StoredResponse, error) {
		if _, err := s.CreateAccount(ctx, ann, control.NewAccount{Username: "gone", Role: constellation.RoleViewer}); err != nil {
			return nil, err
		}
		return nil, context.Canceled
	})
	if err == nil {
		t.Fatal("Idempotent = nil, want the function's error")
	}
	if diff := cmp.Diff(before, h.events(t)); diff != "" {
		t.Errorf("audit log after a rolled back change (-before +after):\n%s", diff)
	}
}

func TestReadyAndStats(t *testing.T) {
	t.Parallel()
	ctx, h := t.Context(), newHouse(t)
	h.push(t, "neo", "hello", hashA)
	h.satellite(t, "edge")
	if err := h.Ready(ctx); err != nil {
		t.Errorf("Ready = %v, want nil", err)
	}
	got, err := h.Stats(ctx)
	if want := (control.Stats{Algorithms: 1, AlgorithmVersions: 1, Satellites: 1}); err != nil || got != want {
		t.Errorf("Stats = %+v, %v, want %+v", got, err, want)
	}
	h.satellite(t, "edge 2")
	if got, _ := h.Stats(ctx); got.Satellites != 1 {
		t.Errorf("Stats within a minute = %+v, want the ones before", got)
	}
	h.ahead(2 * time.Minute)
	if got, _ := h.Stats(ctx); got.Satellites != 2 {
		t.Errorf("Stats after a minute = %+v, want 2 satellites", got)
	}
	h.db.Close()
	if err := h.Ready(ctx); err == nil {
		t.Error("Ready without a database = nil, want an error")
	}
}
