package notify

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// TestRulesChooseByLabels tells of a launch by its own labels and those of its satellite.
func TestRulesChooseByLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slack := w.destination(constellation.DestinationSlack, "https://hooks.slack.com/…", constellation.DestinationSecret{})
	for _, labels := range []string{"region=eu", "tier=staging", "tier=prod", "tier!=prod", "!tier"} {
		w.rule(constellation.NotificationRule{Name: labels, Selector: constellation.SatelliteSelector{Labels: labels}}, slack)
	}
	s := &constellation.Satellite{
		ID: uuid.NewString(), Name: "Edge", Labels: constellation.Labels{"region": "eu", "tier": "prod"}, CreatedAt: w.now(), UpdatedAt: w.now(), ExpiresAt: w.now().Add(time.Hour), Revision: 1,
		LatestVersion: constellation.SatelliteVersion{Number: 1, CreatedAt: w.now()},
	}
	l := &constellation.Launch{ID: uuid.NewString(), SatelliteID: s.ID, SatelliteVersion: 1, Name: "Berlin", Labels: constellation.Labels{"tier": "staging"}, CreatedAt: w.now(), UpdatedAt: w.now(), Revision: 1}
	w.do(w.db.Transact(w.context(), func(db *postgres.DB) error {
		if err := db.InsertSatellite(w.context(), s); err != nil {
			return err
		}
		if err := db.InsertSatelliteVersion(w.context(), s.ID, &s.LatestVersion, postgres.VersionIDs{}); err != nil {
			return err
		}
		if err := db.InsertLaunch(w.context(), l, []byte{1}, "sum"); err != nil {
			return err
		}
		return db.InsertNotices(w.context(), w.now(), []postgres.NewNotice{{Notice: constellation.Notice{
			At: w.now(), Kind: stale, SubjectKind: "launch", SubjectID: l.ID, SubjectName: l.Name, SatelliteID: &s.ID, SatelliteName: s.Name,
		}}})
	}))
	w.route()
	var told []string
	for _, d := range w.deliveries() {
		told = append(told, d.RuleName)
	}
	slices.Sort(told)
	if diff := cmp.Diff([]string{"region=eu", "tier!=prod", "tier=staging"}, told); diff != "" {
		t.Errorf("the rules that told (-want +got):\n%s", diff)
	}
}
