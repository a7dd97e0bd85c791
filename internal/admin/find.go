package admin

import (
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// find shows what the command palette finds: satellites, launch instances and
// algorithms by a part of their name or by ID, and the panel's own pages.
func (s *server) find(r *request) error {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	found, err := s.control.Find(r.Context(), r.p, q)
	if err != nil {
		return err
	}
	m := page.Find{Frame: s.frame(r, "Find"), Query: q}
	m.Frame.Section = "find"
	var satellites, launches, algorithms []page.FindItem
	for _, f := range found.Satellites {
		satellites = append(satellites, page.FindItem{Name: f.Name, URL: "/satellites/" + f.ID})
	}
	for _, f := range found.Launches {
		launches = append(launches, page.FindItem{Name: f.Name, Detail: f.SatelliteName, URL: "/satellites/" + f.SatelliteID + "/launches/" + f.ID})
	}
	for _, f := range found.Algorithms {
		algorithms = append(algorithms, page.FindItem{Name: f.Owner + "/" + f.Name, URL: "/algorithms/" + f.Owner + "/" + f.Name})
	}
	for _, g := range []page.FindGroup{
		{Name: "Satellites", Items: satellites}, {Name: "Launch instances", Items: launches},
		{Name: "Algorithms", Items: algorithms}, {Name: "Pages", Items: s.findPages(r.p, q)},
	} {
		if len(g.Items) > 0 {
			m.Groups = append(m.Groups, g)
		}
	}
	return r.render(http.StatusOK, page.FindPage(m))
}

// findPages returns the panel's pages that the visitor may open and whose name
// has q, all of the navigation for "".
func (s *server) findPages(p control.Principal, q string) []page.FindItem {
	var list []page.FindItem
	add := func(name, detail, url string) {
		if strings.Contains(constellation.Fold(name+" "+detail), constellation.Fold(q)) {
			list = append(list, page.FindItem{Name: name, Detail: detail, URL: url})
		}
	}
	for _, group := range component.Navigation(string(p.Role)) {
		for _, e := range group.Entries {
			add(e.Name, group.Name, e.URL)
		}
	}
	add("Your account", "", component.AccountURL)
	add("New API key", "Your account", "/account/keys/new")
	if p.Role == constellation.RoleAdmin {
		add("New satellite", "", "/satellites/new")
		add("Invite user", "Users", "/users/new")
		add("Push an algorithm", "Algorithms", "/algorithms/push")
	}
	if q != "" {
		for _, c := range s.guide.Chapters {
			add(c.Title, "User guide", "/docs/"+c.Slug)
		}
		add("API reference", "User guide", "/docs/api")
	}
	return list
}
