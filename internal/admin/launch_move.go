package admin

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// earlierShown is how many versions a launch can be rolled back to at once.
const earlierShown = 50

func (s *server) askRollBack(r *request) error {
	chosen, _ := strconv.Atoi(r.URL.Query().Get("version")) // anything else is the one that it had before
	return s.renderRollBack(r, http.StatusOK, chosen, nil)
}

func (s *server) renderRollBack(r *request, status, chosen int, problems component.Problems) error {
	if r.launch.SatelliteVersion <= 1 {
		return constellation.Errorf(constellation.KindConflict, "%s has version 1: there is none to go back to.", r.launch.Name)
	}
	had, err := s.versionsHad(r)
	if err != nil {
		return err
	}
	found, err := s.control.ListSatelliteVersions(r.Context(), r.p, r.satellite.ID, control.ListQuery{Limit: earlierShown + r.satellite.LatestVersion.Number - r.launch.SatelliteVersion + 1})
	if err != nil {
		return err
	}
	m := page.RollBack{Frame: s.frame(r, "Roll back"), Launch: r.launch, Show: r.launchURL("rollback")}
	for _, version := range found.Items {
		if version.Number < r.launch.SatelliteVersion {
			m.Earlier = append(m.Earlier, page.EarlierVersion{Number: version.Number, By: version.CreatedBy, At: version.CreatedAt, WasHere: had[version.Number]})
		}
	}
	if len(m.Earlier) == 0 {
		return constellation.Errorf(constellation.KindConflict, "%s has version %d, and those before it were removed: there is none to go back to.", r.launch.Name, r.launch.SatelliteVersion)
	}
	m.Chosen = chosenVersion(m.Earlier, chosen, m.Earlier[0].Number)
	if m.Difference, err = s.control.DiffSatelliteVersions(r.Context(), r.p, r.satellite.ID, r.launch.SatelliteVersion, m.Chosen); err != nil {
		return err
	}
	m.Confirm = component.Confirm{
		Dialog: component.Dialog{Title: "Roll back", Close: r.launchURL(), Wide: true}, Action: r.launchURL("rollback"), Token: newToken(),
		Does: "Roll back to version " + strconv.Itoa(m.Chosen), Problems: problems,
	}
	return s.showLaunches(r, "Roll back "+r.launch.Name, status, page.RollBackLayer(m))
}

// chosenVersion returns the one asked for, else the newest that the launch had,
// else the one before.
func chosenVersion(list []page.EarlierVersion, asked, before int) int {
	for _, e := range list {
		if e.Number == asked {
			return asked
		}
	}
	for _, e := range list {
		if e.WasHere {
			return e.Number
		}
	}
	return before
}

// versionsHad returns the versions that the launch was to run at some time.
func (s *server) versionsHad(r *request) (map[int]bool, error) {
	events, err := s.control.SatelliteActivity(r.Context(), r.p, r.satellite.ID, r.launch.ID, control.ListQuery{Limit: 200})
	if err != nil {
		return nil, err
	}
	had := map[int]bool{}
	for _, e := range events.Items {
		var after struct {
			Version int `json:"satellite_version"`
		}
		if json.Unmarshal(e.After, &after) == nil {
			had[after.Version] = true
		}
	}
	return had, nil
}

func (s *server) rollBack(r *request) error {
	version, _ := strconv.Atoi(r.PostForm.Get("version")) // 0 is no version, and is said so
	err := s.moveLaunch(r, r.launch, version)
	if p, ok := problems(err); ok {
		return s.renderRollBack(r, httpserve.Status(err), version, p)
	}
	return err
}

// moveLaunch has a launch of the satellite run another version, and answers.
func (s *server) moveLaunch(r *request, target *constellation.Launch, version int) error {
	revision, _ := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64) // 0 fits no launch
	return s.act(r, func(service *control.Service) (outcome, error) {
		changed, err := service.UpdateLaunch(r.Context(), r.p, r.satellite.ID, target.ID, &revision, control.LaunchChange{SatelliteVersion: &version})
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.satelliteURL("launches", target.ID), Flash: changedLaunch(target, changed)}, nil
	})
}
