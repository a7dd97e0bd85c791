package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// base returns the model that every view of the satellite shares.
func (s *server) base(r *request, title, tab string, layer templ.Component) page.Satellite {
	trail := []component.Crumb{{Name: "Constellation", URL: "/"}, {Name: r.satellite.Name, URL: r.satelliteURL()}}
	if title == r.satellite.Name {
		trail[1].URL = ""
		title = page.TabTitle(tab) + " · " + title
	} else {
		trail = append(trail, component.Crumb{Name: title})
		title += " · " + r.satellite.Name
	}
	frame := s.frame(r, title, trail...)
	if layer != nil { // which has the line: it would be out of sight behind it
		frame.Flash = component.Flash{}
	}
	return page.Satellite{
		Frame: frame, Satellite: r.satellite, Tab: tab, Layer: layer,
		MayEdit: r.p.Role == constellation.RoleAdmin, MayLaunch: r.p.Role.Rank() >= constellation.RoleOperator.Rank(),
	}
}

func (s *server) showSatellite(r *request) error {
	return s.showLaunches(r, r.satellite.Name, http.StatusOK, nil)
}

// showLaunches renders the launch instances, behind a layer when that is not
// nil; when the layer alone is asked for, nothing else is read.
func (s *server) showLaunches(r *request, title string, status int, layer templ.Component) error {
	m := page.SatelliteLaunches{Satellite: s.base(r, title, "", layer)}
	var wrong int
	if layer == nil || r.fragment() != "layer" {
		l, q, narrow := narrowed(r, r.satelliteURL(), "name", "Find an instance")
		found, err := s.control.ListLaunches(r.Context(), r.p, r.satellite.ID, q)
		if m.Problem, wrong, err = unreadable(err); err != nil {
			return err
		}
		if status == http.StatusOK {
			status = wrong
		}
		m.Narrow, m.Sort, m.Orders, m.Launches = narrow, l.sort, l.orders("name", "created_at"), found.Items
		m.Pager = pagerOf(l, found)
	}
	return r.render(status, page.SatelliteLaunchesPage(m))
}

func (s *server) showAlgorithms(r *request) error {
	q := r.URL.Query()
	version := &r.satellite.LatestVersion
	if text := q.Get("version"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return constellation.Errorf(constellation.KindNotFound, "A satellite version is a number from 1 to %d.", r.satellite.LatestVersion.Number)
		}
		if version, err = s.control.GetSatelliteVersion(r.Context(), r.p, r.satellite.ID, n); err != nil {
			return err
		}
	}
	l := readList(r, r.satelliteURL("algorithms"), "endpoint")
	l.keep = map[string]string{"version": strconv.Itoa(version.Number)}
	images, err := s.control.SatelliteImages(r.Context(), r.p, version.Algorithms)
	if err != nil {
		return err
	}
	m := page.SatelliteAlgorithms{
		Satellite: s.base(r, r.satellite.Name, "algorithms", nil), Version: version.Number, Query: l.q, Sort: l.sort,
		Orders: l.orders("endpoint", "algorithm", "replicas"),
	}
	m.Schedules = scheduleLines(version.Schedules)
	needle := constellation.Fold(strings.TrimSpace(l.q))
	for i, a := range version.Algorithms {
		if !strings.Contains(constellation.Fold(a.VanityURL+" "+a.Algorithm.String()), needle) {
			continue
		}
		line := page.AlgorithmLine{SatelliteAlgorithm: a}
		if image := images[i]; image != nil {
			line.SemanticVersion, line.Digest, line.Size, line.NewestSettings = image.SemanticVersion, image.Image.Digest, image.Image.Size, image.RuntimeRevision
		}
		m.Lines = append(m.Lines, line)
	}
	sortLines(m.Lines, l.sort)
	return r.render(http.StatusOK, page.SatelliteAlgorithmsPage(m))
}

func sortLines(lines []page.AlgorithmLine, sort string) {
	column, descending := strings.CutPrefix(sort, "-")
	slices.SortStableFunc(lines, func(a, b page.AlgorithmLine) int {
		if descending {
			a, b = b, a
		}
		switch column {
		case "algorithm":
			return strings.Compare(a.Algorithm.String(), b.Algorithm.String())
		case "replicas":
			return a.Replicas - b.Replicas
		}
		return strings.Compare(a.VanityURL, b.VanityURL)
	})
}
