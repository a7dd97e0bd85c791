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

func (s *server) askPromote(r *request) error {
	return s.renderPromote(r, http.StatusOK, r.URL.Query(), nil)
}

// renderPromote shows what can be promoted where and, once that is chosen, the
// difference.
func (s *server) renderPromote(r *request, status int, chosen url.Values, problems component.Problems) error {
	m := page.Promotion{
		Confirm: component.Confirm{
			Dialog: component.Dialog{Title: "Promote " + r.launch.Name, Close: r.launchURL(), Wide: true}, Action: r.launchURL("promote"), Token: newToken(), Problems: problems,
		},
		Frame: s.frame(r, "Promote"), Satellite: r.satellite, Launch: r.launch, MayEdit: r.p.Role == constellation.RoleAdmin,
		Show: r.launchURL("promote"), Target: chosen.Get("target"), Query: chosen.Get("q"), Version: r.launch.SatelliteVersion,
	}
	var err error
	switch m.To = chosen.Get("to"); m.To {
	case "launch":
		err = s.promoteToLaunch(r, &m)
	case "satellite":
		err = s.promoteToSatellite(r, &m)
	default:
		m.To = "version"
		err = s.promoteToVersion(r, &m, chosen.Get("version"))
	}
	if err != nil {
		return err
	}
	return s.showLaunches(r, m.Title, status, page.PromoteLayer(m))
}

func (s *server) promoteToVersion(r *request, m *page.Promotion, version string) error {
	m.Version = r.satellite.LatestVersion.Number
	if n, err := strconv.Atoi(version); err == nil {
		m.Version = n
	}
	var err error
	m.Difference, err = s.control.DiffSatelliteVersions(r.Context(), r.p, r.satellite.ID, r.launch.SatelliteVersion, m.Version)
	m.Ready, m.Revision = m.Version != r.launch.SatelliteVersion, r.launch.Revision
	m.Says = "“" + r.launch.Name + "” goes from version " + strconv.Itoa(r.launch.SatelliteVersion) + " to version " + strconv.Itoa(m.Version) + ", with its next get and deploy:"
	return err
}

// promoteChoices is how many launches or satellites a search shows.
const promoteChoices = 10

func (s *server) promoteToLaunch(r *request, m *page.Promotion) error {
	if m.Target == "" {
		found, err := s.control.ListLaunches(r.Context(), r.p, r.satellite.ID, control.ListQuery{Q: m.Query, Limit: promoteChoices + 1, Expand: true})
		for _, l := range found.Items {
			if l.ID != r.launch.ID {
				m.Choices = append(m.Choices, page.PromotionChoice{ID: l.ID, Name: l.Name, Note: "version " + strconv.Itoa(l.SatelliteVersion)})
			}
		}
		return err
	}
	target, err := s.control.GetLaunch(r.Context(), r.p, r.satellite.ID, m.Target)
	if err != nil {
		return err
	}
	if m.Difference, err = s.control.DiffSatelliteVersions(r.Context(), r.p, r.satellite.ID, target.SatelliteVersion, r.launch.SatelliteVersion); err != nil {
		return err
	}
	m.Ready, m.Revision = target.SatelliteVersion != r.launch.SatelliteVersion, target.Revision
	m.Says = "“" + target.Name + "” goes from version " + strconv.Itoa(target.SatelliteVersion) + " to version " + strconv.Itoa(r.launch.SatelliteVersion) + ", which “" + r.launch.Name + "” has, with its next get and deploy:"
	if !m.Ready {
		m.Problems = component.Problems{"": "“" + target.Name + "” is to run version " + strconv.Itoa(target.SatelliteVersion) + " already"}
	}
	return nil
}

func (s *server) promoteToSatellite(r *request, m *page.Promotion) error {
	if !m.MayEdit {
		return constellation.Errorf(constellation.KindForbidden, "Changing another satellite's algorithms needs the role admin; %s has the role %s.", r.p.Username, r.p.Role)
	}
	if m.Target == "" {
		found, err := s.control.ListSatellites(r.Context(), r.p, control.ListQuery{Q: m.Query, Limit: promoteChoices + 1, Expand: true})
		for _, satellite := range found.Items {
			if satellite.ID != r.satellite.ID {
				m.Choices = append(m.Choices, page.PromotionChoice{ID: satellite.ID, Name: satellite.Name,
					Note: "version " + strconv.Itoa(satellite.LatestVersion.Number) + ", " + page.Contents(satellite.LatestVersion.Algorithms)})
			}
		}
		return err
	}
	target, err := s.control.GetSatellite(r.Context(), r.p, m.Target)
	if err != nil {
		return err
	}
	version, err := s.control.GetSatelliteVersion(r.Context(), r.p, r.satellite.ID, r.launch.SatelliteVersion)
	if err != nil {
		return err
	}
	m.Difference = constellation.DiffVersions(&target.LatestVersion, version)
	m.Ready, m.Revision = m.Difference.Count() > 0, target.Revision
	m.Says = "This makes version " + strconv.Itoa(target.LatestVersion.Number+1) + " of “" + target.Name + "” with what “" + r.launch.Name + "” has. Its launch instances keep their version until you change it."
	if !m.Ready {
		m.Problems = component.Problems{"": "“" + target.Name + "” has the same algorithms and schedules already"}
	}
	return nil
}

func (s *server) promote(r *request) error {
	f := r.PostForm
	var err error
	switch f.Get("to") {
	case "satellite":
		err = s.promoteSatellite(r, f.Get("target"))
	case "launch":
		var target *constellation.Launch
		if target, err = s.control.GetLaunch(r.Context(), r.p, r.satellite.ID, f.Get("target")); err == nil {
			err = s.moveLaunch(r, target, r.launch.SatelliteVersion)
		}
	case "", "version":
		version, _ := strconv.Atoi(f.Get("version")) // 0 is no version, and is said so
		err = s.moveLaunch(r, r.launch, version)
	default:
		return constellation.Errorf(constellation.KindNotFound, "A launch instance is promoted to a version, a launch or a satellite. Open the page again.")
	}
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		return s.renderPromote(r, http.StatusPreconditionFailed, f, component.Problems{"": "It was changed while you looked at this; the difference below is the one from now"})
	}
	if p, ok := problems(err); ok {
		return s.renderPromote(r, httpserve.Status(err), f, p)
	}
	return err
}

// promoteSatellite makes a version of another satellite out of what the launch
// has.
func (s *server) promoteSatellite(r *request, targetID string) error {
	revision, _ := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64) // 0 fits no satellite
	version, err := s.control.GetSatelliteVersion(r.Context(), r.p, r.satellite.ID, r.launch.SatelliteVersion)
	if err != nil {
		return err
	}
	return s.act(r, func(service *control.Service) (outcome, error) {
		made, _, err := service.CreateSatelliteVersion(r.Context(), r.p, targetID, &revision, control.SpecOf(version))
		if err != nil {
			return outcome{}, err
		}
		target := "/satellites/" + strings.ToLower(targetID)
		return outcome{Target: target + "/algorithms", Flash: component.Flash{
			Text: "Made version " + strconv.Itoa(made.Number) + " from version " + strconv.Itoa(version.Number) + " of " + r.satellite.Name + ".",
			URL:  target + "/versions/compare?from=" + strconv.Itoa(made.Number-1) + "&to=" + strconv.Itoa(made.Number), Label: "See what changed",
		}}, nil
	})
}
