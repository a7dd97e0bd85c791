package admin

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// pageSize is how many lines a list has.
const pageSize = 25

// list is what the address says of a list: what is looked for, the order, and
// where the page begins.
type list struct {
	path, q, sort, marker string
	from                  int               // the number of the page's first line
	keep                  map[string]string // other parameters of the address
}

func readList(r *http.Request, path, sort string) list {
	q := r.URL.Query()
	l := list{path: path, q: q.Get("q"), sort: sort, marker: q.Get("marker"), from: 1}
	if s := q.Get("sort"); s != "" {
		l.sort = s
	}
	if n, err := strconv.Atoi(q.Get("from")); err == nil && n > 0 && l.marker != "" {
		l.from = n
	}
	return l
}

func (l list) query() control.ListQuery {
	return control.ListQuery{Q: l.q, Sort: l.sort, Marker: l.marker, Limit: pageSize}
}

func (l list) address(pairs ...string) string {
	all := append([]string{"q", l.q}, pairs...)
	for name, value := range l.keep {
		all = append(all, name, value)
	}
	return address(l.path, all...)
}

// orders are the list's addresses in the order of each column: the other way
// round for the column it is ordered by.
func (l list) orders(columns ...string) map[string]string {
	m := make(map[string]string, len(columns))
	for _, c := range columns {
		m[c] = l.address("sort", other(l.sort, c))
	}
	return m
}

// pager says which lines are shown; total 0 is not known.
func (l list) pager(count int, next string, total int) component.Pager {
	p := component.Pager{From: l.from, Count: count}
	if l.q == "" {
		p.Total = total
	}
	if l.marker != "" {
		p.First = l.address("sort", l.sort)
	}
	if next != "" {
		p.Next = l.address("sort", l.sort, "marker", next, "from", strconv.Itoa(l.from+count))
	} else if l.marker == "" {
		p.Total = count
	}
	return p
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

// listQuery is what an address asks of a list, in the order sort when it names
// none.
func listQuery(q url.Values, sort string) control.ListQuery {
	if s := q.Get("sort"); s != "" {
		sort = s
	}
	return control.ListQuery{Q: q.Get("q"), Sort: sort, Marker: q.Get("marker"), Limit: pageSize}
}

// other is the order a click on a column's head asks for.
func other(sort, column string) string {
	if sort == column {
		return "-" + column
	}
	return column
}

func (s *server) listSatellites(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	l := readList(r, "/", "-created_at")
	found, err := s.control.ListSatellites(r.Context(), p, l.query())
	if err != nil {
		return err
	}
	return render(w, r, http.StatusOK, page.SatelliteListPage(page.SatelliteList{
		Frame: s.frame(r, "Constellation", p), MayCreate: p.Role == constellation.RoleAdmin,
		Query: l.q, Sort: l.sort, Orders: l.orders("name", "created_at", "expires_at", "latest_version", "launches"),
		Satellites: found.Items, Pager: l.pager(len(found.Items), found.Marker, 0),
	}))
}
