package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) askPromote(v launchView) error {
	return s.renderPromote(v, http.StatusOK, v.r.URL.Query(), nil)
}

// renderPromote shows what can be promoted where and, once that is chosen, the
// difference.
func (s *server) renderPromote(v launchView, status int, chosen url.Values, problems component.Problems) error {
	m := page.Promotion{
		Confirm: component.Confirm{
			Dialog: component.Dialog{Title: "Promote " + v.launch.Name, Close: v.url(), Wide: true}, Action: v.url("promote"), Token: newToken(), Problems: problems,
		},
		Frame: s.frame(v.r, "Promote", v.p), Satellite: v.satellite, Launch: v.launch, MayEdit: v.p.Role == constellation.RoleAdmin,
		Show: v.url("promote"), Target: chosen.Get("target"), Query: chosen.Get("q"), Version: v.launch.SatelliteVersion,
	}
	var err error
	switch m.To = chosen.Get("to"); m.To {
	case "launch":
		err = s.promoteToLaunch(v, &m)
	case "satellite":
		err = s.promoteToSatellite(v, &m)
	default:
		m.To = "version"
		err = s.promoteToVersion(v, &m, chosen.Get("version"))
	}
	if err != nil {
		return err
	}
	return s.showLaunches(v.satelliteView, "Promote", status, page.PromoteLayer(m))
}

func (s *server) promoteToVersion(v launchView, m *page.Promotion, version string) error {
	m.Version = v.satellite.LatestVersion.Number
	if n, err := strconv.Atoi(version); err == nil {
		m.Version = n
	}
	var err error
	m.Difference, err = s.control.DiffSatelliteVersions(v.ctx(), v.p, v.satellite.ID, v.launch.SatelliteVersion, m.Version)
	m.Ready, m.Revision = m.Version != v.launch.SatelliteVersion, v.launch.Revision
	m.Says = "“" + v.launch.Name + "” goes from version " + strconv.Itoa(v.launch.SatelliteVersion) + " to version " + strconv.Itoa(m.Version) + ", with its next get and deploy:"
	return err
}

// promoteChoices is how many launches or satellites a search shows.
const promoteChoices = 10

func (s *server) promoteToLaunch(v launchView, m *page.Promotion) error {
	if m.Target == "" {
		found, err := s.control.ListLaunches(v.ctx(), v.p, v.satellite.ID, control.ListQuery{Q: m.Query, Limit: promoteChoices + 1})
		for _, l := range found.Items {
			if l.ID != v.launch.ID {
				m.Choices = append(m.Choices, page.PromotionChoice{ID: l.ID, Name: l.Name, Note: "version " + strconv.Itoa(l.SatelliteVersion)})
			}
		}
		return err
	}
	target, err := s.control.GetLaunch(v.ctx(), v.p, v.satellite.ID, m.Target)
	if err != nil {
		return err
	}
	if m.Difference, err = s.control.DiffSatelliteVersions(v.ctx(), v.p, v.satellite.ID, target.SatelliteVersion, v.launch.SatelliteVersion); err != nil {
		return err
	}
	m.Ready, m.Revision = target.SatelliteVersion != v.launch.SatelliteVersion, target.Revision
	m.Says = "“" + target.Name + "” goes from version " + strconv.Itoa(target.SatelliteVersion) + " to version " + strconv.Itoa(v.launch.SatelliteVersion) + ", which “" + v.launch.Name + "” has, with its next get and deploy:"
	if !m.Ready {
		m.Problems = component.Problems{"": "“" + target.Name + "” is to run version " + strconv.Itoa(target.SatelliteVersion) + " already"}
	}
	return nil
}

func (s *server) promoteToSatellite(v launchView, m *page.Promotion) error {
	if !m.MayEdit {
		return constellation.Errorf(constellation.KindForbidden, "Changing another satellite's algorithms needs the role admin; %s has the role %s.", v.p.Username, v.p.Role)
	}
	if m.Target == "" {
		found, err := s.control.ListSatellites(v.ctx(), v.p, control.ListQuery{Q: m.Query, Limit: promoteChoices + 1})
		for _, satellite := range found.Items {
			if satellite.ID != v.satellite.ID {
				m.Choices = append(m.Choices, page.PromotionChoice{ID: satellite.ID, Name: satellite.Name,
					Note: "version " + strconv.Itoa(satellite.LatestVersion.Number) + ", " + page.Contents(satellite.LatestVersion.Algorithms)})
			}
		}
		return err
	}
	target, err := s.control.GetSatellite(v.ctx(), v.p, m.Target)
	if err != nil {
		return err
	}
	version, err := s.control.GetSatelliteVersion(v.ctx(), v.p, v.satellite.ID, v.launch.SatelliteVersion)
	if err != nil {
		return err
	}
	m.Difference = constellation.DiffVersions(target.LatestVersion.Algorithms, version.Algorithms)
	m.Ready, m.Revision = component.Changes(m.Difference) > 0, target.Revision
	m.Says = "This makes version " + strconv.Itoa(target.LatestVersion.Number+1) + " of “" + target.Name + "” with what “" + v.launch.Name + "” has. Its launch instances keep their version until you change it."
	if !m.Ready {
		m.Problems = component.Problems{"": "“" + target.Name + "” has the same algorithms already"}
	}
	return nil
}

func (s *server) promote(v launchView) error {
	if err := parseForm(v.r); err != nil {
		return err
	}
	f := v.r.PostForm
	var err error
	switch f.Get("to") {
	case "satellite":
		err = s.promoteSatellite(v, f.Get("target"))
	case "launch":
		var target *constellation.Launch
		if target, err = s.control.GetLaunch(v.ctx(), v.p, v.satellite.ID, f.Get("target")); err == nil {
			err = s.moveLaunch(v, target, v.launch.SatelliteVersion)
		}
	default:
		version, _ := strconv.Atoi(f.Get("version")) // 0 is no version, and is said so
		err = s.moveLaunch(v, v.launch, version)
	}
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		return s.renderPromote(v, http.StatusPreconditionFailed, f, component.Problems{"": "It was changed while you looked at this; the difference below is the one from now"})
	}
	if p, ok := problems(err); ok {
		return s.renderPromote(v, httpserve.Status(err), f, p)
	}
	return err
}

// promoteSatellite makes a version of another satellite out of what the launch
// has.
func (s *server) promoteSatellite(v launchView, targetID string) error {
	revision, _ := strconv.ParseInt(v.r.PostForm.Get("revision"), 10, 64) // 0 fits no satellite
	version, err := s.control.GetSatelliteVersion(v.ctx(), v.p, v.satellite.ID, v.launch.SatelliteVersion)
	if err != nil {
		return err
	}
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		made, _, err := service.CreateSatelliteVersion(v.ctx(), v.p, targetID, &revision, specs(version.Algorithms))
		if err != nil {
			return outcome{}, err
		}
		target := "/satellites/" + strings.ToLower(targetID)
		return outcome{Target: target + "/algorithms", Flash: component.Flash{
			Text: "Made version " + strconv.Itoa(made.Number) + " from version " + strconv.Itoa(version.Number) + " of " + v.satellite.Name + ".",
			URL:  target + "/versions/compare?from=" + strconv.Itoa(made.Number-1) + "&to=" + strconv.Itoa(made.Number), Label: "See what changed",
		}}, nil
	})
	if err != nil {
		return err
	}
	return finish(v.w, v.r, o)
}
