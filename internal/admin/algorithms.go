package admin

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) algorithmRoutes() []route {
	return []route{
		{"GET", "/algorithms", constellation.RoleViewer, s.listAlgorithms},
		{"GET", "/algorithms/push", constellation.RoleAdmin, s.showPush},
		{"GET", "/algorithms/{owner}/{name}", constellation.RoleViewer, s.showAlgorithm},
		{"GET", "/algorithms/{owner}/{name}/{hash}", constellation.RoleViewer, s.showAlgorithmVersion},
	}
}

func (s *server) listAlgorithms(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	const path = "/algorithms"
	q := listQuery(r.URL.Query(), "name")
	found, err := s.control.ListAlgorithms(r.Context(), p, q)
	if err != nil {
		return err
	}
	m := page.Algorithms{
		Frame: s.frame(r, "Algorithms", p), Query: q.Q, Sort: q.Sort, Algorithms: found.Items,
		ByName: address(path, "q", q.Q, "sort", other(q.Sort, "name")),
		ByDate: address(path, "q", q.Q, "sort", other(q.Sort, "created_at")),
		Pager:  turn(path, q.Marker, found.Marker, len(found.Items), "q", q.Q, "sort", q.Sort),
		Push:   s.pushCommands(p, "OWNER", "NAME"),
	}
	m.Frame.Section = "algorithms"
	var latest []constellation.AlgorithmVersion
	for _, a := range found.Items {
		if a.LatestVersion != nil {
			latest = append(latest, *a.LatestVersion)
		}
	}
	if m.Uses, err = s.control.UsageCounts(r.Context(), p, latest); err != nil {
		return err
	}
	return render(w, r, http.StatusOK, page.AlgorithmsPage(m))
}

// pushCommands push a version of an algorithm; who may not gets none.
func (s *server) pushCommands(p control.Principal, owner, name string) []component.Command {
	if p.Role != constellation.RoleAdmin {
		return nil
	}
	image := s.host() + "/" + owner + "/" + name
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
			Text: `echo "$API_KEY" | docker login ` + s.host() + " --username " + p.Username + " --password-stdin",
		},
		{
			Name: "Push with Docker", Help: "The tag is the 40-digit Git hash of the commit that the image is built from. It never moves.",
			Text: "docker tag IMAGE " + image + ":HASH\ndocker push " + image + ":HASH", Fill: fill("IMAGE", "HASH"),
		},
		{
			Name: "Or without Docker", Help: "From an image archive, or from another registry.",
			Text: "crane push IMAGE.tar " + image + ":HASH\nskopeo copy docker://REGISTRY/IMAGE docker://" + image + ":HASH", Fill: fill("IMAGE.tar", "REGISTRY/IMAGE", "HASH"),
		},
	}
}

func (s *server) showPush(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	m := page.Push{
		Frame:    s.frame(r, "Push an algorithm", p, component.Crumb{Name: "Algorithms", URL: "/algorithms"}, component.Crumb{Name: "Push an algorithm"}),
		Commands: s.pushCommands(p, "OWNER", "NAME"),
	}
	m.Frame.Section = "algorithms"
	return render(w, r, http.StatusOK, page.PushPage(m))
}

func (s *server) showAlgorithm(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	algorithm, err := s.control.GetAlgorithm(r.Context(), p, chi.URLParam(r, "owner"), chi.URLParam(r, "name"))
	if err != nil {
		return err
	}
	q := listQuery(r.URL.Query(), "-created_at")
	found, err := s.control.ListAlgorithmVersions(r.Context(), p, algorithm.Owner, algorithm.Name, q)
	if err != nil {
		return err
	}
	path := "/algorithms/" + algorithm.Owner + "/" + algorithm.Name
	m := page.Algorithm{
		Frame: s.frame(r, algorithm.Owner+"/"+algorithm.Name, p,
			component.Crumb{Name: "Algorithms", URL: "/algorithms"}, component.Crumb{Name: algorithm.Owner, URL: address("/algorithms", "q", algorithm.Owner+"/")},
			component.Crumb{Name: algorithm.Name}),
		Algorithm: algorithm, Query: q.Q, Versions: found.Items, Push: s.pushCommands(p, algorithm.Owner, algorithm.Name),
		Pager: turn(path, q.Marker, found.Marker, len(found.Items), "q", q.Q),
	}
	m.Frame.Section = "algorithms"
	if m.Uses, err = s.control.UsageCounts(r.Context(), p, found.Items); err != nil {
		return err
	}
	return render(w, r, http.StatusOK, page.AlgorithmPage(m))
}

func (s *server) showAlgorithmVersion(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	ref := constellation.AlgorithmRef{Owner: chi.URLParam(r, "owner"), Name: chi.URLParam(r, "name"), Hash: chi.URLParam(r, "hash")}
	version, err := s.control.GetAlgorithmVersion(r.Context(), p, ref)
	if err != nil {
		return err
	}
	q := control.ListQuery{Sort: "name", Marker: r.URL.Query().Get("marker"), Limit: pageSize}
	found, err := s.control.ListUses(r.Context(), p, version.Ref(), q)
	if err != nil {
		return err
	}
	path := "/algorithms/" + version.Owner + "/" + version.Name
	m := page.AlgorithmVersion{
		Frame: s.frame(r, version.Owner+"/"+version.Name+" "+version.GitHash[:12], p,
			component.Crumb{Name: "Algorithms", URL: "/algorithms"}, component.Crumb{Name: version.Owner, URL: address("/algorithms", "q", version.Owner+"/")},
			component.Crumb{Name: version.Name, URL: path}, component.Crumb{Name: version.GitHash[:12]}),
		Version: version, Host: s.host(), Uses: found.Items, Pager: turn(path+"/"+version.GitHash, q.Marker, found.Marker, len(found.Items)),
	}
	m.Frame.Section = "algorithms"
	return render(w, r, http.StatusOK, page.AlgorithmVersionPage(m))
}
