package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func TestLaunchInstancesWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s, other := w.satellite("Edge"), w.satellite("Other")
	admin := control.Principal{Username: "neo", Role: constellation.RoleAdmin}
	if _, _, err := w.control.CreateSatelliteVersion(t.Context(), admin, s.ID, nil, control.VersionSpec{Algorithms: []control.AlgorithmSpec{{Algorithm: "neo/hello/" + hash, VanityURL: "second/sat", Replicas: 1}}}); err != nil {
		t.Fatal(err)
	}
	base := "/satellites/" + s.ID
	create := base + "/launches/new"
	form := with(fields(w.raw(create, neo)), "satellite_version", "2", "name", "")
	status, _, body := w.submit(create, form, neo)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("no name: %d, want 422", status)
	}
	wantIn(t, body, "A launch needs a name.", `aria-invalid="true"`)
	form = with(fields(w.raw(create, neo)), "satellite_version", "2", "name", "Line 1", "description", "paint shop")
	for range 2 {
		if status, location, _ := w.submit(create, form, neo); status != http.StatusSeeOther || location != base {
			t.Fatalf("Create launch instance: %d %s", status, location)
		}
	}
	found, err := w.control.ListLaunches(t.Context(), admin, s.ID, control.ListQuery{})
	if err != nil || len(found.Items) != 1 {
		t.Fatalf("a form sent twice makes %d launches, want 1 (%v)", len(found.Items), err)
	}
	launch := base + "/launches/" + found.Items[0].ID
	shown := func(want string) {
		t.Helper()
		wantIn(t, w.page(launch, neo, http.StatusOK), want)
	}

	rollback := w.raw(launch+"/rollback", neo)
	wantIn(t, rollback, "From version 2 to version 1", "first/try", "second/sat", "Roll back to version 1")
	w.submit(launch+"/rollback", fields(rollback), neo)
	shown("Latest is 2")

	promote := w.raw(launch+"/promote?to=version&version=2", neo)
	wantIn(t, promote, "goes from version 1 to version 2", "second/sat")
	stale := fields(promote)
	w.submit(launch+"/promote", fields(promote), neo)
	if status, _, body := w.submit(launch+"/promote", with(stale, "token", "another"), neo); status != http.StatusPreconditionFailed || !strings.Contains(body, "It was changed while you looked at this") {
		t.Errorf("promoting what somebody changed: %d, want 412", status)
	}

	promote = w.raw(launch+"/promote?to=satellite&target="+other.ID, neo)
	wantIn(t, promote, "This makes version 2 of “Other”", "second/sat", "first/try")
	if status, location, _ := w.submit(launch+"/promote", fields(promote), neo); status != http.StatusSeeOther || location != "/satellites/"+other.ID+"/algorithms" {
		t.Errorf("promoting to another satellite: %d %s", status, location)
	}
	wantIn(t, w.page("/satellites/"+other.ID+"/algorithms", neo, http.StatusOK), "second/sat")

	edit := with(fields(w.raw(launch+"/edit", neo)), "satellite_version", "1", "name", "Line one")
	w.submit(launch+"/edit", edit, neo)
	shown("Line one")
	remove := w.raw(launch+"/remove", neo)
	wantIn(t, remove, "The running installation stays", "Line one")
	for range 2 { // gone either way
		if status, location, _ := w.submit(launch+"/remove", fields(remove), neo); status != http.StatusSeeOther || location != base {
			t.Errorf("Remove launch instance: %d %s", status, location)
		}
	}
	w.page(launch, neo, http.StatusNotFound)
}

func TestKeysAndTheEndOfASatellite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo, trinity := w.visitor("neo", constellation.RoleAdmin), w.visitor("trinity", constellation.RoleViewer)
	s := w.satellite("Edge")
	base := "/satellites/" + s.ID
	_, _, body := w.submit(base+"/keys/new", with(fields(w.raw(base+"/keys/new", neo)), "name", "billing", "lifetime", "30"), neo)
	wantIn(t, body, "shown this once", "cst_", "/v1/algo/first/try", "until then a revoked key still works there")
	keys, err := w.control.ListSatelliteKeys(t.Context(), control.Shell(), s.ID, control.ListQuery{})
	if err != nil || len(keys.Items) != 1 || keys.Items[0].ExpiresAt == nil {
		t.Fatalf("the key: %+v %v", keys.Items, err)
	}
	listed := w.page(base+"/authentication", trinity, http.StatusOK)
	wantIn(t, listed, "billing", keys.Items[0].Prefix)
	if strings.Contains(listed, "Revoke") {
		t.Error("a viewer is offered to revoke a key")
	}
	form := w.raw(base+"/keys/new", neo)
	for _, bad := range []string{"many", "0", "-1", "NaN"} {
		_, _, body = w.submit(base+"/keys/new", with(fields(form), "name", "slow", "lifetime", "", "rate.per_second", bad), neo)
		wantIn(t, body, `value="`+bad+`"`, `aria-invalid="true"`)
	}
	w.submit(base+"/keys/new", with(fields(w.raw(base+"/keys/new", neo)), "name", "slow", "lifetime", "", "rate.per_second", " 0.5 "), neo)
	wantIn(t, w.page(base+"/authentication", neo, http.StatusOK), "At most 0.5 calls a second")
	revoke := base + "/keys/" + keys.Items[0].ID + "/revoke"
	asked := w.raw(revoke, neo)
	wantIn(t, asked, "within one heartbeat", "air-gapped")
	w.submit(revoke, fields(asked), neo)
	wantIn(t, w.page(base+"/authentication", neo, http.StatusOK), "Revoked")

	_, _, body = w.submit(base+"/renew", with(fields(w.raw(base+"/renew", neo)), "expires_at", "soon"), neo)
	wantIn(t, body, "Give a day as year, month and day", `value="soon"`)
	if status, _, _ := w.submit(base+"/renew", with(fields(w.raw(base+"/renew", neo)), "expires_at", "2036-05-04"), neo); status != http.StatusSeeOther {
		t.Errorf("Renew: %d", status)
	}
	wantIn(t, w.page(base, neo, http.StatusOK), "2036-05-04 23:59:59 UTC")

	gone := fields(w.raw(base+"/remove", neo))
	for range 2 {
		if status, location, _ := w.submit(base+"/remove", gone, neo); status != http.StatusSeeOther || location != "/" {
			t.Errorf("Remove satellite: %d %s", status, location)
		}
	}
	wantIn(t, w.page(base+"/edit", neo, http.StatusNotFound), "The satellite Edge was removed by neo on")
}
