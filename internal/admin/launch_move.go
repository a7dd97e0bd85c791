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

func (s *server) askRollBack(v launchView) error {
	chosen, _ := strconv.Atoi(v.r.URL.Query().Get("version")) // anything else is the one that it had before
	return s.renderRollBack(v, http.StatusOK, chosen, nil)
}

func (s *server) renderRollBack(v launchView, status, chosen int, problems component.Problems) error {
	if v.launch.SatelliteVersion <= 1 {
		return constellation.Errorf(constellation.KindConflict, "%s has version 1: there is none to go back to.", v.launch.Name)
	}
	had, err := s.versionsHad(v)
	if err != nil {
		return err
	}
	found, err := s.control.ListSatelliteVersions(v.ctx(), v.p, v.satellite.ID, control.ListQuery{Limit: earlierShown + v.satellite.LatestVersion.Number - v.launch.SatelliteVersion + 1})
	if err != nil {
		return err
	}
	m := page.RollBack{Frame: s.frame(v.r, "Roll back", v.p), Launch: v.launch, Show: v.url("rollback")}
	for _, version := range found.Items {
		if version.Number < v.launch.SatelliteVersion {
			m.Earlier = append(m.Earlier, page.EarlierVersion{Number: version.Number, By: version.CreatedBy, At: version.CreatedAt, WasHere: had[version.Number]})
		}
	}
	m.Chosen = chosenVersion(m.Earlier, chosen, v.launch.SatelliteVersion-1)
	if m.Difference, err = s.control.DiffSatelliteVersions(v.ctx(), v.p, v.satellite.ID, v.launch.SatelliteVersion, m.Chosen); err != nil {
		return err
	}
	m.Confirm = component.Confirm{
		Dialog: component.Dialog{Title: "Roll back", Close: v.url(), Wide: true}, Action: v.url("rollback"), Token: newToken(),
		Does: "Roll back to version " + strconv.Itoa(m.Chosen), Problems: problems,
	}
	return s.showLaunches(v.satelliteView, "Roll back", status, page.RollBackLayer(m))
}

// chosenVersion is the one asked for, else the newest that the launch had,
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

// versionsHad are the versions that the launch was to run at some time.
func (s *server) versionsHad(v launchView) (map[int]bool, error) {
	events, err := s.control.SatelliteActivity(v.ctx(), v.p, v.satellite.ID, v.launch.ID, 0, 200)
	if err != nil {
		return nil, err
	}
	had := map[int]bool{}
	for _, e := range events {
		var after struct {
			Version int `json:"satellite_version"`
		}
		if json.Unmarshal(e.After, &after) == nil {
			had[after.Version] = true
		}
	}
	return had, nil
}

func (s *server) rollBack(v launchView) error {
	if err := parseForm(v.r); err != nil {
		return err
	}
	version, _ := strconv.Atoi(v.r.PostForm.Get("version")) // 0 is no version, and is said so
	err := s.moveLaunch(v, v.launch, version)
	if p, ok := problems(err); ok {
		return s.renderRollBack(v, httpserve.Status(err), version, p)
	}
	return err
}

// moveLaunch has a launch of the satellite run another version, and answers.
func (s *server) moveLaunch(v launchView, target *constellation.Launch, version int) error {
	revision, _ := strconv.ParseInt(v.r.PostForm.Get("revision"), 10, 64) // 0 fits no launch
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		changed, err := service.UpdateLaunch(v.ctx(), v.p, v.satellite.ID, target.ID, &revision, control.LaunchChange{SatelliteVersion: &version})
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: v.satelliteView.url("launches", target.ID), Flash: changedLaunch(target, changed)}, nil
	})
	if err != nil {
		return err
	}
	return finish(v.w, v.r, o)
}
