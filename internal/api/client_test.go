package api

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/client"
)

// TestClientSpeaksThisAPI takes the Go client along the installer's and the
// demo's path.
func TestClientSpeaksThisAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	admin := client.New(w.server.URL, w.admin, w.server.Client())
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	account, err := admin.Account(ctx)
	check(err)
	if account.Username != "neo" || account.Role != "admin" {
		t.Errorf("Account() = %+v", account)
	}
	_, err = admin.CreateUser(ctx, apiv1.UserCreate{Username: "tank", Role: "operator"})
	check(err)
	key, err := admin.CreateKey(ctx, "tank", apiv1.KeyCreate{Name: "jump host"})
	check(err)
	operator := client.New(w.server.URL, key.Secret, w.server.Client())

	algorithms, err := admin.ListAlgorithms(ctx, client.ListOptions{Q: "hello", Sort: "name", Limit: 1})
	check(err)
	if len(algorithms.Results) != 1 || algorithms.Results[0].VersionCount != 2 || algorithms.NextLink != nil {
		t.Errorf("ListAlgorithms() = %+v", algorithms)
	}
	version, err := admin.GetAlgorithmVersion(ctx, "neo", "hello", hash1)
	check(err)

	routes := []apiv1.SatelliteAlgorithm{{Algorithm: version.Algorithm, VanityURL: "foo/bar", Replicas: 1}}
	made, err := admin.CreateSatellite(ctx, apiv1.SatelliteCreate{Name: "Edge", Algorithms: routes})
	check(err)
	got, etag, err := operator.GetSatellite(ctx, made.ID)
	check(err)
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("GetSatellite() after CreateSatellite() (-made +got):\n%s", diff)
	}
	launch, err := operator.CreateLaunch(ctx, made.ID, apiv1.LaunchCreate{SatelliteVersion: 1, Name: "berlin"})
	check(err)
	plan, planTag, notModified, err := operator.Plan(ctx, made.ID, launch.ID, "")
	check(err)
	if notModified {
		t.Error("the first Plan() is not modified")
	}
	parsed, err := bundle.ParsePlan([]byte(plan.Plan))
	check(err)
	if parsed.Launch.ID != launch.ID || parsed.Algorithms[0].VanityURL != "foo/bar" {
		t.Errorf("plan = %+v", parsed)
	}
	if _, _, notModified, err = operator.Plan(ctx, made.ID, launch.ID, planTag); err != nil || !notModified {
		t.Errorf("Plan(%s) = %v, %v; want not modified", planTag, notModified, err)
	}

	routes[0].Algorithm = "neo/hello/" + hash2
	next, err := admin.CreateSatelliteVersion(ctx, made.ID, etag, routes)
	check(err)
	diff, err := operator.Diff(ctx, made.ID, 1, next.Number)
	check(err)
	if len(diff.Changed) != 1 {
		t.Errorf("Diff() = %+v", diff)
	}
	_, launchTag, err := operator.GetLaunch(ctx, made.ID, launch.ID)
	check(err)
	updated, _, err := operator.UpdateLaunch(ctx, made.ID, launch.ID, launchTag, apiv1.LaunchUpdate{SatelliteVersion: &next.Number})
	check(err)
	if updated.SatelliteVersion != 2 {
		t.Errorf("UpdateLaunch() = %+v", updated)
	}
	name := "Renamed"
	if _, _, err = admin.UpdateSatellite(ctx, made.ID, etag, apiv1.SatelliteUpdate{Name: &name}); !client.IsPreconditionFailed(err) {
		t.Errorf("UpdateSatellite() with an old ETag: %v, want 412", err)
	}
	caller, err := admin.CreateSatelliteKey(ctx, made.ID, apiv1.SatelliteKeyCreate{Name: "billing"})
	check(err)
	check(admin.RevokeSatelliteKey(ctx, made.ID, caller.ID))
	events, err := admin.Events(ctx, client.EventOptions{TargetID: made.ID})
	check(err)
	if len(events.Results) == 0 {
		t.Error("Events() of the satellite are none")
	}

	_, err = operator.CreateSatellite(ctx, apiv1.SatelliteCreate{Name: "x", Algorithms: routes})
	if !client.IsAuthentication(err) {
		t.Errorf("CreateSatellite() by an operator: %v, want 403", err)
	}
	_, err = admin.CreateSatellite(ctx, apiv1.SatelliteCreate{})
	var refusal *client.Error
	if !errors.As(err, &refusal) || refusal.Status != 422 || refusal.Code != apiv1.CodeValidationError || len(refusal.Fields) == 0 || refusal.RequestID == "" {
		t.Errorf("CreateSatellite() of nothing: %+v", err)
	}
	check(operator.DeleteLaunch(ctx, made.ID, launch.ID))
	check(admin.DeleteSatellite(ctx, made.ID, ""))
	if _, _, err = operator.GetLaunch(ctx, made.ID, launch.ID); !client.IsNotFound(err) {
		t.Errorf("GetLaunch() after all is removed: %v, want 404", err)
	}
}
