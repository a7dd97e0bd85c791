package control_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
)

func TestFind(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, ada := t.Context(), control.Principal{AccountID: "x", Username: "ada", Role: constellation.RoleViewer}
	shell := control.Shell()
	s, err := h.CreateSatellite(ctx, shell, control.NewSatellite{Name: "Paint shop 100%"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{SatelliteVersion: 1, Name: "Line painter"})
	if err != nil {
		t.Fatal(err)
	}
	for q, want := range map[string]string{
		"": "0 0", "pain": "1 1", "PAINT S": "1 0", "pa": "1 0", "er": "0 0", "0%": "0 0", "100%": "1 0", "\x00": "0 0", "painter": "0 1",
		s.ID: "1 0", l.ID: "0 1", "00000000-0000-0000-0000-000000000000": "0 0",
	} {
		found, err := h.Find(ctx, ada, q)
		if got := fmt.Sprint(len(found.Satellites), len(found.Launches)); err != nil || got != want {
			t.Errorf("Find(%q) = %s satellites and launches, %v, want %s", q, got, err, want)
		}
	}
	_, err = h.Find(ctx, control.Principal{}, "pain")
	wantKind(t, "a stranger searches", err, constellation.KindUnauthenticated)
}

func TestExportEvents(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, shell := t.Context(), control.Shell()
	const n = 1003 // more than two pages
	err := h.db.Transact(ctx, func(tx *postgres.DB) error {
		for i := range n {
			at := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
			e := &constellation.Event{At: at, Actor: "ada", Action: "satellite.create", TargetKind: "satellite", TargetID: fmt.Sprint(i), TargetName: "Edge"}
			if err := tx.InsertEvent(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	collect := func(list []constellation.Event) error {
		for _, e := range list {
			seen[e.TargetID] = true
		}
		return nil
	}
	if err := h.ExportEvents(ctx, shell, control.EventQuery{Actor: "ada"}, collect); err != nil || len(seen) != n {
		t.Errorf("ExportEvents gave %d rows, %v, want %d", len(seen), err, n)
	}
	until := time.Date(2026, 1, 1, 0, 0, 10, 0, time.UTC)
	clear(seen)
	if err := h.ExportEvents(ctx, shell, control.EventQuery{Until: &until}, collect); err != nil || len(seen) != 10 {
		t.Errorf("ExportEvents until 10 s gave %d rows, %v, want 10", len(seen), err)
	}
	stop := errors.New("the browser is gone")
	if err := h.ExportEvents(ctx, shell, control.EventQuery{}, func([]constellation.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ExportEvents with a failing writer = %v, want %v", err, stop)
	}
	err = h.ExportEvents(ctx, shell, control.EventQuery{Since: &until, Until: &until}, collect)
	wantKind(t, "a time that ends before it starts", err, constellation.KindMalformed)
	viewer := control.Principal{AccountID: "x", Username: "bob", Role: constellation.RoleOperator}
	wantKind(t, "an operator exports", h.ExportEvents(ctx, viewer, control.EventQuery{}, collect), constellation.KindForbidden)
}

func TestSystem(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, err := h.System(t.Context(), control.Shell())
	if err != nil {
		t.Fatal(err)
	}
	if s.Version != "1.2.3" || s.Database.Version == "" || s.Database.Size == 0 || s.Database.Schema == 0 || len(s.SigningKey.Fingerprint) != 64 || s.SigningKey.ID != s.SigningKey.Fingerprint[:16] || s.SystemImage == nil {
		t.Errorf("System = %+v", s)
	}
	_, err = h.System(t.Context(), control.Principal{AccountID: "x", Username: "bob", Role: constellation.RoleOperator})
	wantKind(t, "an operator reads the system's state", err, constellation.KindForbidden)
}

func TestUses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, shell := t.Context(), control.Shell()
	ref := h.push(t, "neo", "hello", hashA).Ref().String()
	for i := range 3 {
		_, err := h.CreateSatellite(ctx, shell, control.NewSatellite{Name: fmt.Sprintf("Edge %d", i), Algorithms: []control.AlgorithmSpec{
			{Algorithm: ref, VanityURL: "a/one", Replicas: 1}, {Algorithm: ref, VanityURL: "a/two", Replicas: 2},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := constellation.ParseAlgorithmRef(ref)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	q := control.ListQuery{Limit: 2}
	for {
		page, err := h.ListUses(ctx, shell, parsed, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Items {
			names = append(names, fmt.Sprint(u.SatelliteName, " ", u.SatelliteVersion, u.VanityURLs, u.Replicas))
		}
		if q.Marker = page.Marker; q.Marker == "" {
			break
		}
	}
	want := "[Edge 0 1 [a/one a/two] 3 Edge 1 1 [a/one a/two] 3 Edge 2 1 [a/one a/two] 3]"
	if got := fmt.Sprint(names); got != want {
		t.Errorf("ListUses = %s, want %s", got, want)
	}
	version, err := h.GetAlgorithmVersion(ctx, shell, parsed)
	if err != nil {
		t.Fatal(err)
	}
	counts, err := h.UsageCounts(ctx, shell, []constellation.AlgorithmVersion{*version})
	if err != nil || counts[version.ID] != 6 {
		t.Errorf("UsageCounts = %v, %v, want 6 uses", counts, err)
	}
}
