package control_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestSchedulesArePartOfAVersion: they are kept with it, an editor who does not
// know of them removes none, and one who gives an empty list removes all.
func TestSchedulesArePartOfAVersion(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, shell := t.Context(), control.Shell()
	h.push(t, "neo", "hello", hashA)
	algorithms := []control.AlgorithmSpec{
		{Algorithm: "neo/hello/" + hashA, VanityURL: "foo/bar", Replicas: 1, MinReplicas: new(0), MaxReplicas: 5},
		{Algorithm: "neo/hello/" + hashA, VanityURL: "foo/baz", Replicas: 2, MaxReplicas: 3},
	}
	s, err := h.CreateSatellite(ctx, shell, control.NewSatellite{Name: "Nightly", Algorithms: algorithms, Schedules: []constellation.Schedule{
		{Name: "night", Cron: "0 6 * * 1-5", TimeZone: "Europe/Berlin", VanityURL: "foo/bar", Input: `{"day":"yesterday"}`, Missed: constellation.MissedOnce},
		{Name: "Hour", Cron: "@hourly", VanityURL: "foo/baz"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []constellation.Schedule{
		{Name: "night", Cron: "0 6 * * 1-5", TimeZone: "Europe/Berlin", VanityURL: "foo/bar", Input: `{"day":"yesterday"}`, ContentType: "application/json", Missed: "once"},
		{Name: "Hour", Cron: "@hourly", TimeZone: "UTC", VanityURL: "foo/baz", Input: "null", ContentType: "application/json", Missed: "skip"},
	}
	got, err := h.GetSatellite(ctx, shell, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("GetSatellite differs from CreateSatellite (-created +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, got.LatestVersion.Schedules); diff != "" {
		t.Errorf("schedules (-want +got):\n%s", diff)
	}
	if a := got.LatestVersion.Algorithms; a[0].Scale().String() != "0..5" || a[1].Scale().String() != "1..3" {
		t.Errorf("scales = %v and %v, want 0..5 and 1..3", a[0].Scale(), a[1].Scale())
	}
	second, _, err := h.CreateSatelliteVersion(ctx, shell, s.ID, nil, control.VersionSpec{Algorithms: algorithms})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, second.Schedules); diff != "" {
		t.Errorf("schedules of a version whose editor gave none (-want +got):\n%s", diff)
	}
	// What the kept schedules call must be there still.
	if _, _, err = h.CreateSatelliteVersion(ctx, shell, s.ID, nil, control.VersionSpec{Algorithms: algorithms[:1]}); err == nil || !strings.Contains(err.Error(), "schedules[1].vanity_url") {
		t.Errorf("a version without what a schedule calls = %v, want schedules[1].vanity_url refused", err)
	}
	third, _, err := h.CreateSatelliteVersion(ctx, shell, s.ID, nil, control.VersionSpec{Algorithms: algorithms[:1], Schedules: []constellation.Schedule{}})
	if err != nil || len(third.Schedules) != 0 {
		t.Errorf("a version with no schedules = %v, %v, want none", third, err)
	}
	d, err := h.DiffSatelliteVersions(ctx, shell, s.ID, 2, 3)
	if err != nil || len(d.Removed) != 1 || len(d.Schedules.Removed) != 2 || d.Count() != 3 {
		t.Errorf("DiffSatelliteVersions = %+v, %v, want an algorithm and two schedules removed", d, err)
	}
	page, err := h.ListSatelliteVersions(ctx, shell, s.ID, control.ListQuery{Expand: true, Sort: "number"})
	if err != nil || len(page.Items) != 3 || len(page.Items[0].Schedules) != 2 || len(page.Items[2].Schedules) != 0 {
		t.Errorf("ListSatelliteVersions = %+v, %v, want the schedules of each", page, err)
	}
	events, err := h.ListEvents(ctx, shell, control.EventQuery{ListQuery: control.ListQuery{Expand: true}, Action: "satellite.create"})
	if err != nil || len(events.Items) != 1 {
		t.Fatalf("ListEvents = %+v, %v, want one", events, err)
	}
	if after := string(events.Items[0].After); !strings.Contains(after, `"cron": "0 6 * * 1-5"`) || !strings.Contains(after, `"max_replicas": 5`) || strings.Contains(after, "yesterday") {
		t.Errorf("the audit row is %s, want the schedule without its input, and max_replicas", after)
	}
}

// TestSchedulesThatCannotBe: each says which and why, all at once.
func TestSchedulesThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.push(t, "neo", "hello", hashA)
	for _, test := range []struct {
		name     string
		schedule constellation.Schedule
		field    string
		words    string
	}{
		{"never", constellation.Schedule{Name: "a", Cron: "0 0 30 2 *", VanityURL: "foo/bar"}, "schedules[0].cron", "never runs"},
		{"six fields", constellation.Schedule{Name: "a", Cron: "0 0 0 * * *", VanityURL: "foo/bar"}, "schedules[0].cron", "6 fields"},
		{"no cron", constellation.Schedule{Name: "a", VanityURL: "foo/bar"}, "schedules[0].cron", "needs a cron"},
		{"zone", constellation.Schedule{Name: "a", Cron: "@daily", TimeZone: "Local", VanityURL: "foo/bar"}, "schedules[0].time_zone", "IANA"},
		{"nothing there", constellation.Schedule{Name: "a", Cron: "@daily", VanityURL: "foo/other"}, "schedules[0].vanity_url", "no algorithm at"},
	} {
		_, err := h.CreateSatellite(t.Context(), control.Shell(), control.NewSatellite{
			Name: "x", Algorithms: []control.AlgorithmSpec{{Algorithm: "neo/hello/" + hashA, VanityURL: "foo/bar"}}, Schedules: []constellation.Schedule{test.schedule},
		})
		if constellation.KindOf(err) != constellation.KindInvalid || !strings.Contains(err.Error(), test.field+": ") || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: CreateSatellite = %v, want %s: …%s…", test.name, err, test.field, test.words)
		}
	}
}

// TestKeysHaveACallback: it is in the plan, the digest and the heartbeat, and
// one that cannot be posted to is refused.
func TestKeysHaveACallback(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	s := h.satellite(t, "edge")
	_, _, err := h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: "files", CallbackURL: "file:///etc/passwd"})
	wantKind(t, "a callback to a file", err, constellation.KindInvalid)
	const place = "https://host.example/results?token=hidden"
	_, key, err := h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: "billing", CallbackURL: place})
	if err != nil || key.CallbackURL != place {
		t.Fatalf("CreateSatelliteKey = %+v, %v, want the callback", key, err)
	}
	launch, err := h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := h.LaunchBundle(ctx, shell, s.ID, launch.ID)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := bundle.ParsePlan(b.Plan)
	if err != nil {
		t.Fatal(err)
	}
	if plan.SchemaVersion != 2 || len(plan.Keys) != 1 || plan.Keys[0].CallbackURL != place {
		t.Errorf("the plan has schema version %d and the keys %+v, want version 2 and the callback", plan.SchemaVersion, plan.Keys)
	}
	events, err := h.ListEvents(ctx, shell, control.EventQuery{ListQuery: control.ListQuery{Expand: true}, Action: "satellite_key.create"})
	if err != nil || len(events.Items) != 1 || !strings.Contains(string(events.Items[0].After), "https://host.example/results?…") {
		t.Errorf("the audit row is %+v, %v, want the callback without its query", events.Items, err)
	}
}

// TestAVersionHasRoomInItsCluster: algorithms and schedules that are fine alone
// and would not fit together are refused where they are made.
func TestAVersionHasRoomInItsCluster(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, shell := t.Context(), control.Shell()
	ref := constellation.AlgorithmRef{Owner: "neo", Name: "hello", Hash: hashA}
	long := "/" + strings.Repeat("x", constellation.MaxPath-1)
	push := control.Push{
		Ref: ref, Image: constellation.Image{Digest: h.content.add(t, ref.Repository(), ref.String()), MediaType: string(types.OCIManifestSchema1), Size: 10, Platforms: []string{"linux/amd64"}},
		Runtime: constellation.Runtime{Protocol: constellation.ProtocolHTTP, Path: long, HealthPath: long}.WithDefaults(),
	}
	if _, _, err := h.PushAlgorithm(ctx, shell, push, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	algorithms := make([]control.AlgorithmSpec, constellation.MaxAlgorithms)
	for i := range algorithms {
		algorithms[i] = control.AlgorithmSpec{Algorithm: ref.String(), VanityURL: fmt.Sprintf("foo/%d_%s", i, strings.Repeat("y", 190)), Replicas: 1}
	}
	schedules := func(size int) (list []constellation.Schedule) {
		for i := range 4 {
			list = append(list, constellation.Schedule{Name: fmt.Sprint("s", i), Cron: "@daily", VanityURL: algorithms[i].VanityURL, ContentType: constellation.ContentText, Input: strings.Repeat("z", size)})
		}
		return list
	}
	_, err := h.CreateSatellite(ctx, shell, control.NewSatellite{Name: "full", Algorithms: algorithms, Schedules: schedules(120_000)})
	wantKind(t, "what does not fit together", err, constellation.KindInvalid)
	if err != nil && !strings.Contains(err.Error(), "there is room for 1000; shorten the inputs") {
		t.Errorf("what does not fit together: %v, want what to do", err)
	}
	s, err := h.CreateSatellite(ctx, shell, control.NewSatellite{Name: "full", Algorithms: algorithms, Schedules: schedules(50_000)})
	if err != nil {
		t.Fatalf("what fits together: %v", err)
	}
	if _, _, err := h.CreateSatelliteVersion(ctx, shell, s.ID, nil, control.VersionSpec{Algorithms: algorithms[:4], Schedules: schedules(120_000)}); err != nil {
		t.Errorf("the same schedules of few algorithms: %v", err)
	}
	_, _, err = h.CreateSatelliteVersion(ctx, shell, s.ID, nil, control.VersionSpec{Algorithms: algorithms}) // whose schedules stay
	wantKind(t, "more algorithms for schedules that stay", err, constellation.KindInvalid)
}
