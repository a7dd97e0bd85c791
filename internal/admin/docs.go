package admin

import (
	"net/http"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/docs"
	"github.com/constellation-serving/constellation/web/page"
)

// fqdn returns this mothership as stage.fqdn takes it: a bare name means HTTPS.
func (s *server) fqdn() string {
	if s.https() && s.root.path == "" {
		return s.host()
	}
	return s.publicURL
}

// newGuide renders the user guide with this mothership's address.
func (s *server) newGuide() *docs.Guide {
	return docs.New(docs.Values{URL: s.publicURL, Host: s.registry, FQDN: s.fqdn(), Version: constellation.ImageTag(s.control.Version())})
}

// reader returns who reads the guide; nobody has to be signed in.
func (s *server) reader(r *http.Request) control.Principal {
	p, err := s.session(r)
	if err != nil {
		return control.Principal{}
	}
	return p
}

func (s *server) showDocs(r *request) error {
	r.p = s.reader(r.Request)
	m := page.Docs{Frame: s.frame(r, "User guide"), Guide: s.guide}
	m.Frame.Section = "docs"
	return r.render(http.StatusOK, page.DocsPage(m))
}

func (s *server) showReference(r *request) error {
	r.p = s.reader(r.Request)
	m := page.Docs{
		Frame: s.frame(r, "API reference", component.Crumb{Name: "User guide", URL: "/docs"}, component.Crumb{Name: "API reference"}),
		Guide: s.guide, Reference: s.reference,
	}
	m.Frame.Section = "docs"
	return r.render(http.StatusOK, page.DocsPage(m))
}

func (s *server) showChapter(r *request) error {
	chapter, at := s.guide.Chapter(r.param("chapter"))
	if chapter == nil {
		return constellation.Errorf(constellation.KindNotFound, "The user guide has no chapter at this address; /docs lists them.")
	}
	r.p = s.reader(r.Request)
	m := page.Docs{
		Frame: s.frame(r, chapter.Title, component.Crumb{Name: "User guide", URL: "/docs"}, component.Crumb{Name: chapter.Title}),
		Guide: s.guide, Chapter: chapter,
	}
	m.Frame.Section = "docs"
	if at > 0 {
		m.Previous = &s.guide.Chapters[at-1]
	}
	if at+1 < len(s.guide.Chapters) {
		m.Next = &s.guide.Chapters[at+1]
	}
	return r.render(http.StatusOK, page.DocsPage(m))
}
