package control_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func asError(err error, target **constellation.Error) bool { return errors.As(err, target) }

func TestSatelliteLifecycle(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	h.push(t, "neo", "hello", hashB)
	s := h.satellite(t, "Edge 🛰 <script>")
	got, err := h.GetSatellite(ctx, shell, strings.ToUpper(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("GetSatellite differs from CreateSatellite (-want +got):\n%s", diff)
	}
	if lifetime := s.ExpiresAt.Sub(s.CreatedAt); lifetime != constellation.DefaultSatelliteLifetime {
		t.Errorf("expires after %v, want a year", lifetime)
	}

	v, revision, err := h.CreateSatelliteVersion(ctx, shell, s.ID, ptr(int64(1)), control.VersionSpec{Algorithms: []control.AlgorithmSpec{
		{Algorithm: "NEO/Hello/" + hashB, VanityURL: "foo/bar", Replicas: 0},
		{Algorithm: "neo/hello/" + hashA, VanityURL: "foo/baz.v2/x", Replicas: 1000},
	}})
	if err != nil || v.Number != 2 || revision != 2 {
		t.Fatalf("CreateSatelliteVersion = %+v, revision %d, %v, want version 2, revision 2", v, revision, err)
	}
	if ref := v.Algorithms[0].Algorithm.String(); ref != "neo/hello/"+hashB {
		t.Errorf("algorithm = %s, want the case it is known by", ref)
	}
	first, err := h.GetSatelliteVersion(ctx, shell, s.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&s.LatestVersion, first); diff != "" {
		t.Errorf("version 1 changed (-want +got):\n%s", diff)
	}
	d, err := h.DiffSatelliteVersions(ctx, shell, s.ID, 1, 2)
	if err != nil || len(d.Added) != 1 || len(d.Changed) != 1 || len(d.Removed) != 0 {
		t.Errorf("DiffSatelliteVersions = %+v, %v, want one added and one changed", d, err)
	}
	_, err = h.GetSatelliteVersion(ctx, shell, s.ID, 9)
	wantKind(t, "GetSatelliteVersion(9)", err, constellation.KindNotFound)
	if err == nil || !strings.Contains(err.Error(), "1 to 2") {
		t.Errorf("GetSatelliteVersion(9) = %v, want it to say which versions there are", err)
	}

	renamed, err := h.UpdateSatellite(ctx, shell, s.ID, nil, control.SatelliteChange{Name: ptr("Edge")})
	if err != nil || renamed.Revision != 3 || renamed.LatestVersion.Number != 2 {
		t.Errorf("rename = %+v, %v, want revision 3, version still 2", renamed, err)
	}
	same, err := h.UpdateSatellite(ctx, shell, s.ID, nil, control.SatelliteChange{Name: ptr("Edge"), ExpiresAt: &s.ExpiresAt})
	if err != nil || same.Revision != 3 {
		t.Errorf("update without a change = %+v, %v, want revision 3", same, err)
	}
	if err := h.DeleteSatellite(ctx, shell, s.ID, ptr(int64(3))); err != nil {
		t.Fatal(err)
	}
	_, err = h.GetSatellite(ctx, shell, s.ID)
	wantKind(t, "GetSatellite of a deleted one", err, constellation.KindNotFound)
	want := []string{
		"algorithm_version.create neo/hello/" + hashA, "algorithm_version.create neo/hello/" + hashB,
		"satellite.create Edge 🛰 <script>", "satellite_version.create Edge 🛰 <script>", "satellite.update Edge", "satellite.delete Edge",
	}
	if diff := cmp.Diff(want, h.events(t)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}

func TestSatellitesSayHowManyLaunches(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	busy := h.satellite(t, "busy")
	h.satellite(t, "idle")
	for i := range 3 {
		if _, err := h.CreateLaunch(ctx, shell, busy.ID, control.NewLaunch{Name: fmt.Sprint("plant ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := h.ListSatellites(ctx, shell, control.ListQuery{Sort: "name"})
	if err != nil || len(page.Items) != 2 || page.Items[0].LaunchCount != 3 || page.Items[1].LaunchCount != 0 {
		t.Errorf("ListSatellites = %+v, %v, want 3 launches of busy and none of idle", page.Items, err)
	}
	if got, err := h.GetSatellite(ctx, shell, busy.ID); err != nil || got.LaunchCount != 3 {
		t.Errorf("GetSatellite(busy) = %+v, %v, want 3 launches", got, err)
	}
}

func TestExpiryInTheYear10000(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	s := h.satellite(t, "edge")
	last := time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)
	late := time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -2*60*60)) // 10000 in UTC
	for at, want := range map[time.Time]constellation.Kind{last: "", late: constellation.KindInvalid} {
		_, _, err := h.CreateSatelliteKey(ctx, shell, s.ID, control.NewSatelliteKey{Name: at.Format(time.RFC3339), ExpiresAt: &at})
		wantKind(t, "a key until "+at.String(), err, want)
	}
}

func TestCreateSatelliteRefusals(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	h.satellite(t, "Straße")
	good := control.AlgorithmSpec{Algorithm: "neo/hello/" + hashA, VanityURL: "foo/bar", Replicas: 1}
	with := func(change func(*control.AlgorithmSpec)) []control.AlgorithmSpec {
		spec := good
		change(&spec)
		return []control.AlgorithmSpec{spec}
	}
	for _, test := range []struct {
		name   string
		n      control.NewSatellite
		kind   constellation.Kind
		fields []string
		says   string
	}{
		{"no name", control.NewSatellite{}, constellation.KindInvalid, []string{"name"}, "needs a name"},
		{"long name", control.NewSatellite{Name: strings.Repeat("ü", 300)}, constellation.KindInvalid, []string{"name"}, "300"},
		{"control character", control.NewSatellite{Name: "a\x00b"}, constellation.KindInvalid, []string{"name"}, ""},
		{"taken ignoring case", control.NewSatellite{Name: "STRAẞE"}, constellation.KindConflict, []string{"name"}, "exists already"},
		{"expired", control.NewSatellite{Name: "x", ExpiresAt: ptr(time.Now().Add(-time.Hour))}, constellation.KindInvalid, []string{"expires_at"}, "has passed"},
		{"unknown hash", control.NewSatellite{Name: "x", Algorithms: with(func(s *control.AlgorithmSpec) { s.Algorithm = "neo/hello/" + hashC })},
			constellation.KindInvalid, []string{"algorithms[0].algorithm"}, "its only version is " + hashA},
		{"unknown algorithm", control.NewSatellite{Name: "x", Algorithms: with(func(s *control.AlgorithmSpec) { s.Algorithm = "neo/bye/" + hashC })},
			constellation.KindInvalid, []string{"algorithms[0].algorithm"}, "no algorithm neo/bye"},
		{"no reference", control.NewSatellite{Name: "x", Algorithms: with(func(s *control.AlgorithmSpec) { s.Algorithm = "hello" })},
			constellation.KindInvalid, []string{"algorithms[0].algorithm"}, "OWNER/NAME/HASH"},
		{"traversal", control.NewSatellite{Name: "x", Algorithms: with(func(s *control.AlgorithmSpec) { s.Algorithm = "../etc/" + hashA })},
			constellation.KindInvalid, []string{"algorithms[0].algorithm"}, ""},
		{"vanity traversal", control.NewSatellite{Name: "x", Algorithms: with(func(s *control.AlgorithmSpec) { s.VanityURL = "foo/../bar" })},
			constellation.KindInvalid, []string{"algorithms[0].vanity_url"}, ""},
		{"all at once", control.NewSatellite{Algorithms: []control.AlgorithmSpec{good, {Algorithm: "x", VanityURL: "foo/bar", Replicas: -1}, {Algorithm: "neo/hello/" + hashC, VanityURL: "foo", Replicas: 100000}}},
			constellation.KindInvalid, []string{"name", "algorithms[1].algorithm", "algorithms[1].vanity_url", "algorithms[1].replicas",
				"algorithms[2].vanity_url", "algorithms[2].replicas", "algorithms[2].algorithm"}, "7 fields"},
	} {
		before := len(h.events(t))
		_, err := h.CreateSatellite(ctx, shell, test.n)
		wantKind(t, test.name, err, test.kind)
		if diff := cmp.Diff(test.fields, fields(err)); diff != "" {
			t.Errorf("%s: fields (-want +got):\n%s", test.name, diff)
		}
		if err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s = %v, want it to say %q", test.name, err, test.says)
		}
		if after := len(h.events(t)); after != before {
			t.Errorf("%s: %d new audit rows, want none", test.name, after-before)
		}
	}
	page, err := h.ListSatellites(ctx, shell, control.ListQuery{})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("after refusals there are %d satellites, %v, want 1", len(page.Items), err)
	}
}

func TestTwoEditors(t *testing.T) {
	t.Parallel()
	ctx, h := t.Context(), newHouse(t)
	h.push(t, "neo", "hello", hashA)
	s := h.satellite(t, "edge")
	ann := h.account(t, "ann", constellation.RoleAdmin)
	spec := []control.AlgorithmSpec{{Algorithm: "neo/hello/" + hashA, VanityURL: "foo/bar", Replicas: 3}}
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			_, _, errs[i] = h.CreateSatelliteVersion(ctx, ann, s.ID, ptr(s.Revision), control.VersionSpec{Algorithms: spec})
		})
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantKind(t, "the later editor", err, constellation.KindPreconditionFailed)
		if !strings.Contains(err.Error(), "changed by ann on ") {
			t.Errorf("the later editor reads %q, want who changed it when", err)
		}
	}
	if won != 1 {
		t.Errorf("%d editors won, want 1", won)
	}
	// Without If-Match everybody gets a number of their own.
	for i := range errs {
		group.Go(func() {
			_, _, errs[i] = h.CreateSatelliteVersion(ctx, ann, s.ID, nil, control.VersionSpec{Algorithms: spec})
		})
	}
	group.Wait()
	got, err := h.GetSatellite(ctx, ann, s.ID)
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
	if got.LatestVersion.Number != 10 || got.Revision != 10 {
		t.Errorf("version %d, revision %d, want 10 and 10", got.LatestVersion.Number, got.Revision)
	}
	wantKind(t, "stale delete", h.DeleteSatellite(ctx, ann, s.ID, ptr(int64(1))), constellation.KindPreconditionFailed)
	_, err = h.UpdateSatellite(ctx, ann, s.ID, ptr(int64(1)), control.SatelliteChange{Name: ptr("x")})
	wantKind(t, "stale rename", err, constellation.KindPreconditionFailed)
}

func TestListsPageOverTies(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	fixed := time.Now()
	options := h.options
	options.Now = func() time.Time { return fixed } // every created_at the same
	tied := control.New(options)
	const total = 23
	for i := range total {
		if _, err := tied.CreateSatellite(ctx, shell, control.NewSatellite{Name: fmt.Sprintf("Edge_%02d%%", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, sort := range []string{"", "name", "-name", "created_at", "-created_at", "updated_at", "-expires_at"} {
		seen, pages := map[string]bool{}, 0
		q := control.ListQuery{Sort: sort, Limit: 5, Q: "EDGE_"}
		for {
			page, err := h.ListSatellites(ctx, shell, q)
			if err != nil {
				t.Fatalf("sort %q: %v", sort, err)
			}
			for _, s := range page.Items {
				if seen[s.ID] {
					t.Errorf("sort %q: %s is there twice", sort, s.Name)
				}
				seen[s.ID] = true
			}
			pages++
			if q.Marker = page.Marker; q.Marker == "" {
				break
			}
		}
		if len(seen) != total || pages != 5 {
			t.Errorf("sort %q: %d satellites on %d pages, want %d on 5", sort, len(seen), pages, total)
		}
	}
	page, err := h.ListSatellites(ctx, shell, control.ListQuery{Limit: total})
	if err != nil || len(page.Items) != total || page.Marker != "" {
		t.Errorf("a page that just fits = %d items, marker %q, %v, want %d and none", len(page.Items), page.Marker, err, total)
	}
	if page, err := h.ListSatellites(ctx, shell, control.ListQuery{Q: "_1_"}); err != nil || len(page.Items) != 0 {
		t.Errorf("q=_1_ = %d items, %v, want none: _ is no wildcard", len(page.Items), err)
	}
	first, err := h.ListSatellites(ctx, shell, control.ListQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]control.ListQuery{
		"sort":   {Sort: "name; DROP TABLE satellites"},
		"limit":  {Limit: 501},
		"marker": {Marker: first.Marker, Sort: "-name"},
		"q":      {Q: "a\x00"},
	} {
		_, err := h.ListSatellites(ctx, shell, q)
		wantKind(t, "bad "+name, err, constellation.KindMalformed)
		if diff := cmp.Diff([]string{name}, fields(err)); diff != "" {
			t.Errorf("bad %s: fields (-want +got):\n%s", name, diff)
		}
	}
	_, err = h.ListAlgorithms(ctx, shell, control.ListQuery{Marker: first.Marker})
	wantKind(t, "another list's marker", err, constellation.KindMalformed)
	for _, bad := range []string{"x", "%%%", strings.Repeat("A", 5000), first.Marker[:len(first.Marker)-3]} {
		_, err := h.ListSatellites(ctx, shell, control.ListQuery{Marker: bad})
		wantKind(t, "marker "+bad[:1], err, constellation.KindMalformed)
	}
}

func TestPushAlgorithm(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	first := h.push(t, "neo", "hello", hashA)
	stores := 0
	push := control.Push{Ref: first.Ref(), Image: first.Image}
	store := func(context.Context) error { stores++; return nil }
	v, created, err := h.PushAlgorithm(ctx, shell, push, store)
	if err != nil || created || v.ID != first.ID || stores != 1 {
		t.Errorf("same digest again = %+v, created %v, %v, stored %d times, want the first, false, 1", v, created, err, stores)
	}
	push.Image.Digest = "sha256:" + strings.Repeat("0", 64)
	_, _, err = h.PushAlgorithm(ctx, shell, push, store)
	wantKind(t, "another digest", err, constellation.KindConflict)
	want := fmt.Sprintf("commit %s of neo/hello is registered already, as %s, and never changes: skip the push, or commit what changed and push under the new hash", hashA, first.Image.Digest)
	if err == nil || err.Error() != want || stores != 1 {
		t.Errorf("another digest = %v after %d stores, want %q and no store", err, stores, want)
	}
	push.Ref.Hash = hashB
	_, _, err = h.PushAlgorithm(ctx, shell, push, func(context.Context) error { return errors.New("disk full") })
	wantKind(t, "store that fails", err, constellation.KindInternal)
	_, err = h.GetAlgorithmVersion(ctx, shell, push.Ref)
	wantKind(t, "version whose store failed", err, constellation.KindNotFound)

	// While one push stores its manifest, another of the same tag waits: it
	// does not store its own, which would move the tag in the registry.
	_, _, err = h.PushAlgorithm(ctx, shell, push, func(ctx context.Context) error {
		impatient, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		rival := push
		rival.Image.Digest = first.Image.Digest
		_, _, err := h.PushAlgorithm(impatient, shell, rival, func(context.Context) error {
			t.Error("a second push stored its manifest while the first was under way")
			return nil
		})
		if err == nil {
			t.Error("a second push = nil error while the first was under way, want it to wait")
		}
		return errors.New("roll back")
	})
	wantKind(t, "push that is rolled back", err, constellation.KindInternal)

	// Many at once, two of each digest: one digest wins, for both that push
	// it, and no other is stored.
	var group sync.WaitGroup
	var mu sync.Mutex
	winners, stored := map[string]int{}, map[string]bool{}
	for i := range 8 {
		group.Go(func() {
			p := push
			p.Image.Digest = fmt.Sprintf("sha256:%064d", i/2)
			_, _, err := h.PushAlgorithm(ctx, shell, p, func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				stored[p.Image.Digest] = true
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners[p.Image.Digest]++
			} else if constellation.KindOf(err) != constellation.KindConflict {
				t.Errorf("push of another digest = %v, want conflict", err)
			}
		})
	}
	group.Wait()
	if len(winners) != 1 || len(stored) != 1 {
		t.Errorf("%v won the tag and %v were stored, want one", winners, stored)
	}
	for digest, n := range winners {
		if n != 2 {
			t.Errorf("%d pushes of %s succeeded, want both", n, digest)
		}
	}
	_, err = h.GetAlgorithmVersion(ctx, shell, constellation.AlgorithmRef{Owner: "NEO", Name: "Hello", Hash: hashC})
	if err == nil || !strings.Contains(err.Error(), "its versions are "+hashB+", "+hashA) {
		t.Errorf("unknown version = %v, want the ones there are", err)
	}
	a, err := h.GetAlgorithm(ctx, shell, "Neo", "HELLO")
	if err != nil || a.VersionCount != 2 || a.LatestVersion == nil || a.LatestVersion.GitHash != hashB {
		t.Errorf("GetAlgorithm = %+v, %v, want 2 versions, newest %s", a, err, hashB)
	}
	for name, change := range map[string]func(*control.Push){
		"tag":      func(p *control.Push) { p.Ref.Hash = "latest" },
		"owner":    func(p *control.Push) { p.Ref.Owner = "satellites" },
		"protocol": func(p *control.Push) { p.Runtime.Protocol = "telepathy" },
	} {
		p := push
		change(&p)
		_, _, err := h.PushAlgorithm(ctx, shell, p, store)
		wantKind(t, "push with a bad "+name, err, constellation.KindInvalid)
	}
	h.push(t, "neo", "other", hashA)
	page, err := h.ListAlgorithms(ctx, shell, control.ListQuery{Q: "OTH", Sort: "-created_at"})
	if err != nil || len(page.Items) != 1 || page.Items[0].Name != "other" {
		t.Errorf("ListAlgorithms(q=OTH) = %+v, %v, want neo/other", page.Items, err)
	}
	for _, sort := range []string{"git_hash", "-created_at"} {
		versions, err := h.ListAlgorithmVersions(ctx, shell, "neo", "hello", control.ListQuery{Limit: 1, Sort: sort})
		if err != nil || versions.Marker == "" {
			t.Fatalf("first page by %s = %+v, %v, want a marker", sort, versions, err)
		}
		rest, err := h.ListAlgorithmVersions(ctx, shell, "neo", "hello", control.ListQuery{Marker: versions.Marker, Sort: sort})
		if err != nil || len(rest.Items) != 1 || rest.Items[0].ID == versions.Items[0].ID {
			t.Errorf("second page by %s = %+v, %v, want the other version", sort, rest, err)
		}
	}
}
