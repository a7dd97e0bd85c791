package admin

import (
	"net/http"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) listAlgorithms(r *request) error {
	const path = "/algorithms"
	l := readList(r, path, "name")
	found, err := s.control.ListAlgorithms(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	m := page.Algorithms{
		Frame: s.frame(r, "Algorithms"), Query: l.q, Sort: l.sort, Algorithms: found.Items,
		Orders: l.orders("name", "created_at"), Pager: pagerOf(l, found),
		Push: s.pushCommands(r.p, "OWNER", "NAME"),
	}
	m.Frame.Section = "algorithms"
	var latest []constellation.AlgorithmVersion
	for _, a := range found.Items {
		if a.LatestVersion != nil {
			latest = append(latest, *a.LatestVersion)
		}
	}
	if m.Uses, err = s.control.UsageCounts(r.Context(), r.p, latest); err != nil {
		return err
	}
	if l.q == "" && l.marker == "" {
		if m.Unregistered, err = s.control.UnregisteredTags(r.Context(), r.p); err != nil {
			return err
		}
	}
	return r.render(http.StatusOK, page.AlgorithmsPage(m))
}

// pushCommands push a version of an algorithm; who may not gets none.
func (s *server) pushCommands(p control.Principal, owner, name string) []component.Command {
	if p.Role != constellation.RoleAdmin {
		return nil
	}
	image := s.registry + "/" + owner + "/" + name
	fill := func(words ...string) []string {
		for _, w := range []string{owner, name} {
			if w == "OWNER" || w == "NAME" {
				words = append(words, w)
			}
		}
		return words
	}
	return []component.Command{
		{
			Name: "Log in", Help: "With an admin API key of yours, from your account's page, in $API_KEY.",
			Text: `echo "$API_KEY" | docker login ` + s.registry + " --username " + p.Username + " --password-stdin",
		},
		{
			Name: "Push with Docker", Help: "The tag is the whole Git hash of the commit that the image is built from, and nothing else. It never moves.",
			Text: "docker tag IMAGE " + image + ":HASH\ndocker push " + image + ":HASH", Fill: fill("IMAGE", "HASH"),
		},
		{
			Name: "Or without Docker", Help: "From an image archive, or from another registry.",
			Text: "crane push IMAGE.tar " + image + ":HASH\nskopeo copy docker://REGISTRY/IMAGE docker://" + image + ":HASH", Fill: fill("IMAGE.tar", "REGISTRY/IMAGE", "HASH"),
		},
	}
}

func (s *server) showPush(r *request) error {
	m := page.Push{
		Frame:    s.frame(r, "Push an algorithm", component.Crumb{Name: "Algorithms", URL: "/algorithms"}, component.Crumb{Name: "Push an algorithm"}),
		Commands: s.pushCommands(r.p, "OWNER", "NAME"),
	}
	m.Frame.Section = "algorithms"
	return r.render(http.StatusOK, page.PushPage(m))
}

func (s *server) showAlgorithm(r *request) error {
	return s.showAlgorithmWith(r, http.StatusOK, func(*page.Mirrors) {})
}

// showAlgorithmWith shows an algorithm, with a layer of its mirrors above.
func (s *server) showAlgorithmWith(r *request, status int, with func(*page.Mirrors)) error {
	algorithm, err := s.control.GetAlgorithm(r.Context(), r.p, r.param("owner"), r.param("name"))
	if err != nil {
		return err
	}
	l := readList(r, "/algorithms/"+algorithm.Owner+"/"+algorithm.Name, "-created_at")
	found, err := s.control.ListAlgorithmVersions(r.Context(), r.p, algorithm.Owner, algorithm.Name, l.query())
	if err != nil {
		return err
	}
	m := page.Algorithm{
		Frame: s.frame(r, algorithm.Owner+"/"+algorithm.Name,
			component.Crumb{Name: "Algorithms", URL: "/algorithms"}, component.Crumb{Name: algorithm.Owner, URL: address("/algorithms", "q", algorithm.Owner+"/")},
			component.Crumb{Name: algorithm.Name}),
		Algorithm: algorithm, Query: l.q, Versions: found.Items, Push: s.pushCommands(r.p, algorithm.Owner, algorithm.Name),
		Pager: pagerOf(l, found),
	}
	m.Frame.Section = "algorithms"
	if m.Uses, err = s.control.UsageCounts(r.Context(), r.p, found.Items); err != nil {
		return err
	}
	if m.Tags, err = s.control.PushedTags(r.Context(), r.p, algorithm.Owner, algorithm.Name); err != nil {
		return err
	}
	if m.Mirrors, err = s.readMirrors(r, algorithm); err != nil {
		return err
	}
	if m.Mirrors != nil {
		with(m.Mirrors)
		m.Titled()
	}
	return r.render(status, page.AlgorithmPage(m))
}
