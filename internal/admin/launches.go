package admin

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/page"
)

// launchesPath is where the launches of all satellites are.
const launchesPath = "/launches"

// launchesFilter reads what the launches of all satellites are narrowed to.
func launchesFilter(q url.Values) page.LaunchesFilter {
	text := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	f := page.LaunchesFilter{
		Query: text("q"), Selector: text("selector"), Satellite: text("satellite"), Algorithm: text("algorithm"), Owner: text("owner"),
		CreatedBy: text("created_by"), Behind: text("behind"), ExpiresBefore: text("expires_before"),
	}
	for _, status := range q["status"] { // boxes of a form, or with commas between
		for one := range strings.SplitSeq(status, ",") {
			if one != "" && !f.Has(one) {
				f.Statuses = append(f.Statuses, one)
			}
		}
	}
	return f
}

// launchesQuery returns what is asked for of the list. What is behind for a while is
// named by how long.
func launchesQuery(f page.LaunchesFilter, q control.ListQuery) control.ListQuery {
	q.Status, q.Selector, q.Algorithm = strings.Join(f.Statuses, ","), f.Selector, f.Algorithm
	q.Narrowing = control.Narrowing{Satellite: f.Satellite, Owner: f.Owner, CreatedBy: f.CreatedBy, ExpiresBefore: f.ExpiresBefore, Behind: f.Behind}
	if f.Behind != "" && f.Behind != "true" && f.Behind != "false" {
		q.Behind, q.BehindFor = "", f.Behind
	}
	return q
}

func (s *server) listLaunches(r *request) error {
	l := readList(r, launchesPath, "status")
	f := launchesFilter(r.URL.Query())
	l.keep = f.Parameters()
	delete(l.keep, "q")
	found, err := s.control.ListEveryLaunch(r.Context(), r.p, launchesQuery(f, l.query()))
	m := page.Launches{Frame: s.frame(r, "Launches"), Filter: f, Sort: l.sort, Orders: l.orders("name", "status", "behind_since", "last_seen_at")}
	m.Frame.Section = "launches"
	status := http.StatusOK
	if shown, ok := problems(err); ok {
		m.Problems, status, err = shown, http.StatusBadRequest, nil
	}
	if err != nil {
		return err
	}
	if strings.TrimPrefix(l.sort, "-") == "last_seen_at" {
		control.ByLastReport(found.Items, l.sort[0] == '-')
	}
	m.Launches, m.Pager = found.Items, pagerOf(l, found)
	return r.render(status, page.LaunchesPage(m))
}
