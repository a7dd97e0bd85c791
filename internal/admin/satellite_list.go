package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

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

func readList(r *request, path, sort string) list {
	q := r.URL.Query()
	l := list{path: path, sort: sort, from: 1}
	if r.URL.Path != path { // the address is that of a layer above the list
		return l
	}
	l.q, l.marker = q.Get("q"), q.Get("marker")
	if s := q.Get("sort"); s != "" {
		l.sort = s
	}
	if n, err := strconv.Atoi(q.Get("from")); err == nil && n > 0 && l.marker != "" {
		l.from = n
	}
	return l
}

func (l list) query() control.ListQuery {
	return control.ListQuery{Q: l.q, Sort: l.sort, Marker: l.marker, Limit: pageSize, Count: true, Expand: true}
}

func (l list) address(pairs ...string) string {
	all := append([]string{"q", l.q}, pairs...)
	for name, value := range l.keep {
		all = append(all, name, value)
	}
	return address(l.path, all...)
}

// orders returns the list's addresses in the order of each column: the other way
// round for the column it is ordered by.
func (l list) orders(columns ...string) map[string]string {
	m := make(map[string]string, len(columns))
	for _, c := range columns {
		m[c] = l.address("sort", other(l.sort, c))
	}
	return m
}

// pagerOf says which lines of a list are shown, and links to other pages. The
// links lead to the head of the list.
func pagerOf[T any](l list, found control.Page[T]) component.Pager {
	count := len(found.Items)
	p := component.Pager{From: l.from, Count: count, Total: found.Total, Most: control.CountLimit}
	turn := func(marker string, from int) string {
		pairs := []string{"sort", l.sort}
		if marker != "" {
			pairs = append(pairs, "marker", marker, "from", strconv.Itoa(from))
		}
		return l.address(pairs...) + "#results"
	}
	if l.marker != "" {
		p.First = turn("", 1)
	}
	switch {
	case found.Back != "" && l.from > pageSize+1:
		p.Previous = turn(found.Back, l.from-pageSize)
	case l.marker != "":
		p.Previous = p.First
	}
	if found.Marker != "" {
		p.Next = turn(found.Marker, l.from+count)
	}
	return p
}

// address returns path with the parameters that have a value, in a fixed order.
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

// other returns the order a click on a column's head asks for.
func other(sort, column string) string {
	if sort == column {
		return "-" + column
	}
	return column
}

// narrowed reads a list that labels narrow too.
func narrowed(r *request, path, sort, label string) (list, control.ListQuery, component.Narrow) {
	l := readList(r, path, sort)
	q := l.query()
	if r.URL.Path == path {
		q.Selector = strings.TrimSpace(r.URL.Query().Get("selector"))
	}
	l.keep = map[string]string{"selector": q.Selector}
	return l, q, component.Narrow{URL: path, Label: label, Query: l.q, Selector: q.Selector, Keep: map[string]string{"sort": l.sort}}
}

// unreadable returns what is wrong with a list's selector, for the list to show, and
// the status of that.
func unreadable(err error) (string, int, error) {
	p, _ := problems(err)
	if p["selector"] == "" {
		return "", http.StatusOK, err
	}
	return p["selector"], http.StatusBadRequest, nil
}

func (s *server) listSatellites(r *request) error {
	l, q, narrow := narrowed(r, "/", "-created_at", "Search satellites")
	found, err := s.control.ListSatellites(r.Context(), r.p, q)
	problem, status, err := unreadable(err)
	if err != nil {
		return err
	}
	return r.render(status, page.SatelliteListPage(page.SatelliteList{
		Frame: s.frame(r, "Constellation"), MayCreate: r.p.Role == constellation.RoleAdmin,
		Narrow: narrow, Problem: problem, Sort: l.sort, Orders: l.orders("name", "created_at", "expires_at", "latest_version", "launches"),
		Satellites: found.Items, Pager: pagerOf(l, found),
	}))
}
