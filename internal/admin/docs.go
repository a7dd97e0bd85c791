package admin

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/docs"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) docsRoutes() []route {
	return []route{
		{"GET", "/docs", anyone, public(s.showDocs)},
		{"GET", "/docs/{chapter}", anyone, public(s.showChapter)},
	}
}

// fqdn is this mothership as stage.fqdn takes it: a bare name means HTTPS.
func (s *server) fqdn() string {
	if s.https() {
		return s.host()
	}
	return s.publicURL
}

// newGuide renders the user guide with this mothership's address.
func (s *server) newGuide() *docs.Guide {
	return docs.New(docs.Values{URL: s.publicURL, Host: s.host(), FQDN: s.fqdn(), Version: s.control.Version()})
}

// reader is who reads the guide; nobody has to be signed in.
func (s *server) reader(r *http.Request) control.Principal {
	p, err := s.session(r)
	if err != nil {
		return control.Principal{}
	}
	return p
}

func (s *server) showDocs(w http.ResponseWriter, r *http.Request) error {
	m := page.Docs{Frame: s.frame(r, "User guide", s.reader(r)), Guide: s.guide}
	m.Frame.Section = "docs"
	return render(w, r, http.StatusOK, page.DocsPage(m))
}

func (s *server) showChapter(w http.ResponseWriter, r *http.Request) error {
	chapter, at := s.guide.Chapter(chi.URLParam(r, "chapter"))
	if chapter == nil {
		return constellation.Errorf(constellation.KindNotFound, "The user guide has no chapter at this address; /docs lists them.")
	}
	m := page.Docs{
		Frame: s.frame(r, chapter.Title, s.reader(r), component.Crumb{Name: "User guide", URL: "/docs"}, component.Crumb{Name: chapter.Title}),
		Guide: s.guide, Chapter: chapter,
	}
	m.Frame.Section = "docs"
	if at > 0 {
		m.Previous = &s.guide.Chapters[at-1]
	}
	if at+1 < len(s.guide.Chapters) {
		m.Next = &s.guide.Chapters[at+1]
	}
	return render(w, r, http.StatusOK, page.DocsPage(m))
}
