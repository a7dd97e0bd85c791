package admin

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// pageSize is how many lines a list has.
const pageSize = 50

func listQuery(q url.Values, sort string) control.ListQuery {
	if s := q.Get("sort"); s != "" {
		sort = s
	}
	return control.ListQuery{Q: q.Get("q"), Sort: sort, Marker: q.Get("marker"), Limit: pageSize}
}

// address is path with the parameters that have a value, in a fixed order.
func address(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func (s *server) listSatellites(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	q := listQuery(r.URL.Query(), "-created_at")
	found, err := s.control.ListSatellites(r.Context(), p, q)
	if err != nil {
		return err
	}
	m := page.SatelliteList{
		Frame: s.frame(r, "Satellites", p, component.Crumb{Name: "Constellation"}), Query: q.Q, Sort: q.Sort,
		Create:    s.createSatelliteCommands(p),
		ByName:    address("/", "q", q.Q, "sort", other(q.Sort, "name")),
		ByCreated: address("/", "q", q.Q, "sort", other(q.Sort, "created_at")),
	}
	if q.Marker != "" {
		m.First = address("/", "q", q.Q, "sort", q.Sort)
	}
	if found.Marker != "" {
		m.Next = address("/", "q", q.Q, "sort", q.Sort, "marker", found.Marker)
	}
	for _, sat := range found.Items {
		m.Satellites = append(m.Satellites, page.SatelliteRow{
			ID: sat.ID, Name: sat.Name, Created: sat.CreatedAt, Expires: sat.ExpiresAt,
			Version: sat.LatestVersion.Number, Algorithms: len(sat.LatestVersion.Algorithms), Launches: strconv.Itoa(sat.LaunchCount),
		})
	}
	return render(w, r, http.StatusOK, page.SatelliteListPage(m))
}

// other is the order a click on a column's head asks for.
func other(sort, column string) string {
	if sort == column {
		return "-" + column
	}
	return column
}

func (s *server) showSatellite(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	sat, err := s.control.GetSatellite(r.Context(), p, chi.URLParam(r, "satellite_id"))
	if err != nil {
		return err
	}
	m := page.Satellite{
		Frame:     s.frame(r, sat.Name, p, component.Crumb{Name: "Constellation", URL: "/"}, component.Crumb{Name: sat.Name}),
		Satellite: sat, Tab: "launches",
	}
	if r.URL.Query().Get("tab") == "algorithms" {
		m.Tab = "algorithms"
		return render(w, r, http.StatusOK, page.SatellitePage(m))
	}
	q := listQuery(r.URL.Query(), "-created_at")
	launches, err := s.control.ListLaunches(r.Context(), p, sat.ID, q)
	if err != nil {
		return err
	}
	path := "/satellites/" + sat.ID
	m.Query, m.Launches, m.Create = q.Q, launches.Items, s.createLaunchCommands(sat)
	if q.Marker != "" {
		m.First = address(path, "q", q.Q, "sort", q.Sort)
	}
	if launches.Marker != "" {
		m.Next = address(path, "q", q.Q, "sort", q.Sort, "marker", launches.Marker)
	}
	return render(w, r, http.StatusOK, page.SatellitePage(m))
}

func (s *server) showLaunch(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	sat, err := s.control.GetSatellite(r.Context(), p, chi.URLParam(r, "satellite_id"))
	if err != nil {
		return err
	}
	launch, err := s.control.GetLaunch(r.Context(), p, sat.ID, chi.URLParam(r, "launch_id"))
	if err != nil {
		return err
	}
	return render(w, r, http.StatusOK, page.LaunchPage(page.Launch{
		Frame: s.frame(r, launch.Name, p, component.Crumb{Name: "Constellation", URL: "/"},
			component.Crumb{Name: sat.Name, URL: "/satellites/" + sat.ID}, component.Crumb{Name: launch.Name}),
		Satellite: sat, Launch: launch, Commands: s.installCommands(launch),
	}))
}
