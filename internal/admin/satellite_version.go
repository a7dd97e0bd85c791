package admin

import (
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showVersions(r *request) error {
	return s.versionsPage(r, r.satellite.Name, http.StatusOK, nil)
}

// versionsPage renders the versions, behind a layer when that is not nil.
func (s *server) versionsPage(r *request, title string, status int, layer templ.Component) error {
	m := page.SatelliteVersions{Satellite: s.base(r, title, "versions", layer)}
	if layer != nil && r.fragment() == "layer" {
		return r.render(status, page.SatelliteVersionsPage(m))
	}
	l := readList(r, r.satelliteURL("versions"), "-number")
	found, err := s.control.ListSatelliteVersions(r.Context(), r.p, r.satellite.ID, l.query())
	if err != nil {
		return err
	}
	if m.Compared, err = s.control.SatelliteVersionBefore(r.Context(), r.p, r.satellite.ID, r.satellite.LatestVersion.Number); err != nil {
		return err
	}
	for i, version := range found.Items {
		before := &constellation.SatelliteVersion{}
		if i+1 < len(found.Items) && found.Items[i+1].Number == version.Number-1 {
			before = &found.Items[i+1]
		} else if before, err = s.versionBefore(r, version.Number); err != nil {
			return err
		}
		m.Lines = append(m.Lines, page.VersionLine{SatelliteVersion: version, Before: before.Number, Changed: constellation.DiffVersions(before, &version)})
	}
	m.Pager = pagerOf(l, found)
	return r.render(status, page.SatelliteVersionsPage(m))
}

// versionBefore returns the version before that of a number, an empty one where there
// is none.
func (s *server) versionBefore(r *request, number int) (*constellation.SatelliteVersion, error) {
	before, err := s.control.SatelliteVersionBefore(r.Context(), r.p, r.satellite.ID, number)
	if err != nil || before == 0 {
		return &constellation.SatelliteVersion{}, err
	}
	return s.control.GetSatelliteVersion(r.Context(), r.p, r.satellite.ID, before)
}

// version finds the satellite version that a text from outside names.
func (s *server) version(r *request, text string) (*constellation.SatelliteVersion, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, constellation.Errorf(constellation.KindNotFound, "A satellite version is a number; this satellite has the versions 1 to %d.", r.satellite.LatestVersion.Number)
	}
	return s.control.GetSatelliteVersion(r.Context(), r.p, r.satellite.ID, n)
}

func (s *server) compareVersions(r *request) error {
	from, err := s.version(r, r.URL.Query().Get("from"))
	if err != nil {
		return err
	}
	to, err := s.version(r, r.URL.Query().Get("to"))
	if err != nil {
		return err
	}
	return r.render(http.StatusOK, page.ComparisonPage(page.Comparison{
		Satellite: s.base(r, "Compare versions "+strconv.Itoa(from.Number)+" and "+strconv.Itoa(to.Number), "versions", nil), From: from, To: to,
		Difference: constellation.DiffVersions(from, to),
	}))
}

// previewRestore shows what a new version made from an old one would change.
func (s *server) previewRestore(r *request) error {
	return s.renderAgain(r, http.StatusOK, newToken(), nil)
}

func (s *server) renderAgain(r *request, status int, token string, problems component.Problems) error {
	old, err := s.version(r, r.param("number"))
	if err != nil {
		return err
	}
	path := r.satelliteURL("versions", strconv.Itoa(old.Number), "again")
	latest := r.satellite.LatestVersion
	c := component.Confirm{
		Dialog: component.Dialog{Title: "Make a new version from version " + strconv.Itoa(old.Number), Close: r.satelliteURL("versions"), Wide: true},
		Action: path + "?revision=" + strconv.FormatInt(r.satellite.Revision, 10), Token: token, Does: "Make version " + strconv.Itoa(latest.Number+1), Harmless: true, Problems: problems,
	}
	return s.versionsPage(r, c.Title, status, page.AgainLayer(c, old.Number, latest.Number, constellation.DiffVersions(&latest, old)))
}

func (s *server) makeAgain(r *request) error {
	old, err := s.version(r, r.param("number"))
	if err != nil {
		return err
	}
	revision, _ := strconv.ParseInt(r.URL.Query().Get("revision"), 10, 64) // 0 fits no satellite
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		made, _, err := service.CreateSatelliteVersion(r.Context(), r.p, r.satellite.ID, &revision, control.SpecOf(old))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.satelliteURL("versions"), Flash: component.Flash{
			Text: "Made version " + strconv.Itoa(made.Number) + " from version " + strconv.Itoa(old.Number) + ".",
			URL:  r.satelliteURL("versions", "compare") + "?from=" + strconv.Itoa(made.Number-1) + "&to=" + strconv.Itoa(made.Number), Label: "See what changed",
		}}, nil
	})
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		return s.renderAgain(r, http.StatusPreconditionFailed, newToken(), component.Problems{"": "The satellite was changed while you looked at this; the difference below is the one from now"})
	}
	if p, ok := problems(err); ok {
		return s.renderAgain(r, http.StatusUnprocessableEntity, newToken(), p)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}
