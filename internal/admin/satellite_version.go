package admin

import (
	"net/http"
	"strconv"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showVersions(v satelliteView) error {
	return s.versionsPage(v, v.satellite.Name, http.StatusOK, nil)
}

// versionsPage renders the versions, behind a layer when that is not nil.
func (s *server) versionsPage(v satelliteView, title string, status int, layer templ.Component) error {
	m := page.SatelliteVersions{Satellite: s.base(v, title, "versions", layer)}
	if layer != nil && fragment(v.r) == "layer" {
		return render(v.w, v.r, status, page.SatelliteVersionsPage(m))
	}
	l := readList(v.r, v.url("versions"), "-number")
	found, err := s.control.ListSatelliteVersions(v.ctx(), v.p, v.satellite.ID, l.query())
	if err != nil {
		return err
	}
	for i, version := range found.Items {
		line := page.VersionLine{SatelliteVersion: version}
		var before []constellation.SatelliteAlgorithm
		if i+1 < len(found.Items) && found.Items[i+1].Number == version.Number-1 {
			before = found.Items[i+1].Algorithms
		} else if version.Number > 1 {
			earlier, err := s.control.GetSatelliteVersion(v.ctx(), v.p, v.satellite.ID, version.Number-1)
			if err != nil {
				return err
			}
			before = earlier.Algorithms
		}
		line.Changed = constellation.DiffVersions(before, version.Algorithms)
		m.Lines = append(m.Lines, line)
	}
	m.Pager = l.pager(len(found.Items), found.Marker, v.satellite.LatestVersion.Number)
	return render(v.w, v.r, status, page.SatelliteVersionsPage(m))
}

// version finds the satellite version that a text from outside names.
func (s *server) version(v satelliteView, text string) (*constellation.SatelliteVersion, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, constellation.Errorf(constellation.KindNotFound, "A satellite version is a number; this satellite has the versions 1 to %d.", v.satellite.LatestVersion.Number)
	}
	return s.control.GetSatelliteVersion(v.ctx(), v.p, v.satellite.ID, n)
}

func (s *server) compareVersions(v satelliteView) error {
	from, err := s.version(v, v.r.URL.Query().Get("from"))
	if err != nil {
		return err
	}
	to, err := s.version(v, v.r.URL.Query().Get("to"))
	if err != nil {
		return err
	}
	return render(v.w, v.r, http.StatusOK, page.ComparisonPage(page.Comparison{
		Satellite: s.base(v, "Compare versions", "versions", nil), From: from, To: to,
		Difference: constellation.DiffVersions(from.Algorithms, to.Algorithms),
	}))
}

// askAgain shows what a new version made from an old one would change.
func (s *server) askAgain(v satelliteView) error {
	return s.renderAgain(v, http.StatusOK, newToken(), nil)
}

func (s *server) renderAgain(v satelliteView, status int, token string, problems component.Problems) error {
	old, err := s.version(v, chi.URLParam(v.r, "number"))
	if err != nil {
		return err
	}
	path := v.url("versions", strconv.Itoa(old.Number), "again")
	latest := v.satellite.LatestVersion
	c := component.Confirm{
		Dialog: component.Dialog{Title: "Make a new version from version " + strconv.Itoa(old.Number), Close: v.url("versions"), Wide: true},
		Action: path + "?revision=" + strconv.FormatInt(v.satellite.Revision, 10), Token: token, Does: "Make version " + strconv.Itoa(latest.Number+1), Harmless: true, Problems: problems,
	}
	return s.versionsPage(v, c.Title, status, page.AgainLayer(c, old.Number, latest.Number, constellation.DiffVersions(latest.Algorithms, old.Algorithms)))
}

func (s *server) makeAgain(v satelliteView) error {
	if err := parseForm(v.r); err != nil {
		return err
	}
	old, err := s.version(v, chi.URLParam(v.r, "number"))
	if err != nil {
		return err
	}
	revision, _ := strconv.ParseInt(v.r.URL.Query().Get("revision"), 10, 64) // 0 fits no satellite
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		made, _, err := service.CreateSatelliteVersion(v.ctx(), v.p, v.satellite.ID, &revision, specs(old.Algorithms))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: v.url("versions"), Flash: component.Flash{
			Text: "Made version " + strconv.Itoa(made.Number) + " from version " + strconv.Itoa(old.Number) + ".",
			URL:  v.url("versions", "compare") + "?from=" + strconv.Itoa(made.Number-1) + "&to=" + strconv.Itoa(made.Number), Label: "See what changed",
		}}, nil
	})
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		return s.renderAgain(v, http.StatusPreconditionFailed, newToken(), component.Problems{"": "The satellite was changed while you looked at this; the difference below is the one from now"})
	}
	if p, ok := problems(err); ok {
		return s.renderAgain(v, http.StatusUnprocessableEntity, newToken(), p)
	}
	if err != nil {
		return err
	}
	return finish(v.w, v.r, o)
}

// specs are a version's algorithms as an editor writes them.
func specs(list []constellation.SatelliteAlgorithm) []control.AlgorithmSpec {
	specs := make([]control.AlgorithmSpec, len(list))
	for i, a := range list {
		specs[i] = control.AlgorithmSpec{Algorithm: a.Algorithm.String(), VanityURL: a.VanityURL, Replicas: a.Replicas}
	}
	return specs
}
