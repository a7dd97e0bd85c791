package admin

import (
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// showImport shows the form Import a version.
func (s *server) showImport(r *request) error {
	q := r.URL.Query()
	return s.renderImport(r, http.StatusOK, page.ImportForm{Owner: q.Get("owner"), Name: q.Get("name")})
}

func (s *server) renderImport(r *request, status int, m page.ImportForm) error {
	m.Frame = s.frame(r, "Import a version", component.Crumb{Name: "Algorithms", URL: "/algorithms"}, component.Crumb{Name: "Import a version"})
	m.Frame.Section, m.Token = "algorithms", newToken()
	return r.render(status, page.ImportPage(m))
}

// importVersion has the image that was named imported, and shows how far that is.
func (s *server) importVersion(r *request) error {
	typed := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	m := page.ImportForm{Owner: typed("owner"), Name: typed("name"), GitHash: typed("git_hash"), SemanticVersion: typed("semantic_version"), Image: typed("image")}
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		v, asked, err := service.ImportVersion(r.Context(), r.p, control.ImportRequest{
			Ref: constellation.AlgorithmRef{Owner: m.Owner, Name: m.Name, Hash: m.GitHash}, SemanticVersion: m.SemanticVersion, Image: m.Image,
		})
		if err != nil {
			return outcome{}, err
		}
		text := "The image is being imported: this page tells how far that is."
		if !asked {
			text = "This image was asked for before: here is what there is."
		}
		return outcome{Target: versionURL(v.Ref(), ""), Flash: component.Flash{Text: text}}, nil
	})
	if p, ok := problems(err); ok {
		m.Problems = p
		return s.renderImport(r, httpserve.Status(err), m)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

func (s *server) cancelImport(r *request) error {
	return s.changeImport(r, "The import is cancelled.", func(service *control.Service) error {
		return service.CancelImport(r.Context(), r.p, r.versionRef())
	})
}

func (s *server) retryImport(r *request) error {
	return s.changeImport(r, "The image is being imported again.", func(service *control.Service) error {
		_, err := service.RetryImport(r.Context(), r.p, r.versionRef())
		return err
	})
}

// changeImport does what a button of an import says, and shows how that is then.
func (s *server) changeImport(r *request, done string, change func(*control.Service) error) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		return outcome{Target: versionURL(r.versionRef(), ""), Flash: component.Flash{Text: done}}, change(service)
	})
}
