package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// satelliteView is a request about one satellite: who asks, and the view of it
// that is behind a dialog.
type satelliteView struct {
	w         http.ResponseWriter
	r         *http.Request
	p         control.Principal
	satellite *constellation.Satellite
}

func (v satelliteView) ctx() context.Context { return v.r.Context() }

// url is the address of the satellite, or of what is below it.
func (v satelliteView) url(below ...string) string {
	return "/" + strings.Join(append([]string{"satellites", v.satellite.ID}, below...), "/")
}

// satellite finds the satellite that the address names.
func (s *server) satellite(h func(v satelliteView) error) signedInHandler {
	return func(w http.ResponseWriter, r *http.Request, p control.Principal) error {
		satellite, err := s.control.GetSatellite(r.Context(), p, chi.URLParam(r, "satellite_id"))
		if err != nil {
			return s.explainRemoved(r, p, err)
		}
		return h(satelliteView{w: w, r: r, p: p, satellite: satellite})
	}
}

// explainRemoved says who removed a satellite that somebody still looks at.
func (s *server) explainRemoved(r *http.Request, p control.Principal, err error) error {
	if constellation.KindOf(err) != constellation.KindNotFound {
		return err
	}
	removal, readErr := s.control.SatelliteRemoval(r.Context(), p, chi.URLParam(r, "satellite_id"))
	if readErr != nil || removal == nil {
		return err
	}
	return constellation.Wrap(err, constellation.KindNotFound, "The satellite %s was removed by %s on %s. What runs keeps running; the audit log has what it was.",
		removal.TargetName, removal.Actor, removal.At.UTC().Format("2006-01-02 at 15:04:05 UTC"))
}

// base is the model that every view of the satellite shares.
func (s *server) base(v satelliteView, title, tab string, layer templ.Component) page.Satellite {
	trail := []component.Crumb{{Name: "Constellation", URL: "/"}, {Name: v.satellite.Name, URL: v.url()}}
	if title == v.satellite.Name {
		trail[1].URL = ""
	} else {
		trail = append(trail, component.Crumb{Name: title})
		title += " · " + v.satellite.Name
	}
	frame := s.frame(v.r, title, v.p, trail...)
	if layer != nil { // which has the line: it would be out of sight behind it
		frame.Flash = component.Flash{}
	}
	return page.Satellite{
		Frame: frame, Satellite: v.satellite, Tab: tab, Layer: layer,
		MayEdit: v.p.Role == constellation.RoleAdmin, MayLaunch: v.p.Role.Rank() >= constellation.RoleOperator.Rank(),
	}
}

func (s *server) showSatellite(v satelliteView) error {
	return s.showLaunches(v, v.satellite.Name, http.StatusOK, nil)
}

// showLaunches renders the launch instances, behind a layer when that is not
// nil; when the layer alone is asked for, nothing else is read.
func (s *server) showLaunches(v satelliteView, title string, status int, layer templ.Component) error {
	m := page.SatelliteLaunches{Satellite: s.base(v, title, "", layer)}
	if layer == nil || fragment(v.r) != "layer" {
		l := readList(v.r, v.url(), "name")
		if layer != nil { // the address is the layer's own
			l = list{path: v.url(), sort: "name", from: 1}
		}
		found, err := s.control.ListLaunches(v.ctx(), v.p, v.satellite.ID, l.query())
		if err != nil {
			return err
		}
		m.Query, m.Sort, m.Orders, m.Launches = l.q, l.sort, l.orders("name", "created_at"), found.Items
		m.Pager = l.pager(len(found.Items), found.Marker, v.satellite.LaunchCount)
	}
	return render(v.w, v.r, status, page.SatelliteLaunchesPage(m))
}

func (s *server) showAlgorithms(v satelliteView) error {
	q := v.r.URL.Query()
	version := &v.satellite.LatestVersion
	if text := q.Get("version"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return constellation.Errorf(constellation.KindNotFound, "A satellite version is a number from 1 to %d.", v.satellite.LatestVersion.Number)
		}
		if version, err = s.control.GetSatelliteVersion(v.ctx(), v.p, v.satellite.ID, n); err != nil {
			return err
		}
	}
	l := readList(v.r, v.url("algorithms"), "endpoint")
	l.keep = map[string]string{"version": strconv.Itoa(version.Number)}
	images, err := s.control.SatelliteImages(v.ctx(), v.p, version.Algorithms)
	if err != nil {
		return err
	}
	m := page.SatelliteAlgorithms{
		Satellite: s.base(v, v.satellite.Name, "algorithms", nil), Version: version.Number, Query: l.q, Sort: l.sort,
		Orders: l.orders("endpoint", "algorithm", "replicas"), Count: len(version.Algorithms),
	}
	needle := constellation.Fold(strings.TrimSpace(l.q))
	for i, a := range version.Algorithms {
		if !strings.Contains(constellation.Fold(a.VanityURL+" "+a.Algorithm.String()), needle) {
			continue
		}
		line := page.AlgorithmLine{SatelliteAlgorithm: a}
		if image := images[i]; image != nil {
			line.SemanticVersion, line.Digest, line.Size = image.SemanticVersion, image.Image.Digest, image.Image.Size
		}
		m.Lines = append(m.Lines, line)
	}
	sortLines(m.Lines, l.sort)
	return render(v.w, v.r, http.StatusOK, page.SatelliteAlgorithmsPage(m))
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
