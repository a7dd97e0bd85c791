package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// editor is a request about a draft: of a new satellite, or of one that is.
// What is typed is kept in the database under the draft's id at every step,
// so that each dialog has an address and Back works.
type editor struct {
	w         http.ResponseWriter
	r         *http.Request
	p         control.Principal
	satellite *constellation.Satellite // nil for a new one
	draft     constellation.SatelliteDraft
}

// path is the form's address, or that of what is below it.
func (e editor) path(below string) string {
	path := "/satellites/new"
	if e.satellite != nil {
		path = "/satellites/" + e.satellite.ID + "/edit"
	}
	return path + below
}

// here is the address of the draft, or of a dialog above it.
func (e editor) here(below string, pairs ...string) string {
	return address(e.path(below), append([]string{"draft", e.draft.ID}, pairs...)...)
}

func (e editor) back() string {
	if e.satellite == nil {
		return "/"
	}
	return "/satellites/" + e.satellite.ID + "/algorithms"
}

// edit finds the satellite, if there is one yet, and the draft that the
// address names.
func (s *server) edit(h func(e editor) error) signedInHandler {
	return func(w http.ResponseWriter, r *http.Request, p control.Principal) error {
		e := editor{w: w, r: r, p: p}
		if id := chi.URLParam(r, "satellite_id"); id != "" {
			var err error
			if e.satellite, err = s.control.GetSatellite(r.Context(), p, id); err != nil {
				return s.explainRemoved(r, p, err)
			}
		}
		e.draft = fresh(e.satellite)
		if r.Method == http.MethodPost {
			if err := parseForm(r); err != nil {
				return err
			}
			return h(e)
		}
		if id := r.URL.Query().Get("draft"); id != "" {
			d, err := s.control.SatelliteDraft(r.Context(), p, id)
			if constellation.KindOf(err) == constellation.KindNotFound { // Back after it was saved
				setFlash(w, r, component.Flash{Text: "That draft was saved or discarded. This is how it is now."})
				redirect(w, r, e.path(""))
				return nil
			}
			if err != nil {
				return err
			}
			e.draft = *d
		}
		return h(e)
	}
}

// fresh is the draft of a form that nobody typed into yet.
func fresh(satellite *constellation.Satellite) constellation.SatelliteDraft {
	d := constellation.SatelliteDraft{ID: uuid.NewString()}
	if satellite != nil {
		d.SatelliteID, d.Name, d.BaseName = satellite.ID, satellite.Name, satellite.Name
		d.BaseRevision, d.BaseVersion = satellite.Revision, satellite.LatestVersion.Number
		d.Algorithms = constellation.DraftAlgorithms(satellite.LatestVersion.Algorithms)
	}
	return d
}

// readDraft is the draft as the form has it.
func readDraft(e editor) constellation.SatelliteDraft {
	f := e.r.PostForm
	d := constellation.SatelliteDraft{ID: f.Get("draft"), Name: strings.TrimSpace(f.Get("name")), BaseName: f.Get("base_name")}
	if e.satellite != nil {
		d.SatelliteID = e.satellite.ID
		d.BaseRevision, _ = strconv.ParseInt(f.Get("base_revision"), 10, 64) // 0 fits no satellite: seen as a conflict
		d.BaseVersion, _ = strconv.Atoi(f.Get("base_version"))
	}
	at := func(name string, i int) string {
		if list := f[name]; i < len(list) {
			return list[i]
		}
		return ""
	}
	for i := range f["vanity_url"] {
		d.Algorithms = append(d.Algorithms, constellation.DraftAlgorithm{
			Algorithm: at("algorithm", i), VanityURL: at("vanity_url", i), Replicas: strings.TrimSpace(at("replicas", i)),
		})
	}
	return d
}

func (s *server) showEditor(e editor) error {
	return s.renderEditor(e, http.StatusOK, page.SatelliteEditor{})
}

// renderEditor shows the draft; when somebody else saved meanwhile, how the
// two differ.
func (s *server) renderEditor(e editor, status int, m page.SatelliteEditor) error {
	title := "New satellite"
	trail := []component.Crumb{{Name: "Constellation", URL: "/"}, {Name: title}}
	if e.satellite != nil {
		title = "Edit satellite"
		trail = []component.Crumb{{Name: "Constellation", URL: "/"}, {Name: e.satellite.Name, URL: "/satellites/" + e.satellite.ID}, {Name: title}}
	}
	m.Frame, m.Draft, m.Action, m.Back, m.Token = s.frame(e.r, title, e.p, trail...), e.draft, e.path(""), e.back(), newToken()
	if e.satellite != nil {
		base, err := s.baseOf(e)
		if err != nil {
			return err
		}
		typed := constellation.TypedAlgorithms(e.draft.Algorithms)
		m.Difference = constellation.DiffVersions(base, typed)
		if e.draft.BaseRevision != e.satellite.Revision {
			_, both := constellation.MergeVersions(base, e.satellite.LatestVersion.Algorithms, typed, nil)
			m.Conflict = &page.EditConflict{
				By: e.satellite.UpdatedBy, Number: e.satellite.LatestVersion.Number, Name: e.satellite.Name,
				Theirs: constellation.DiffVersions(base, e.satellite.LatestVersion.Algorithms), Mine: m.Difference, Both: both,
			}
			if status == http.StatusOK && e.r.Method == http.MethodPost {
				status = http.StatusPreconditionFailed
			}
		}
	}
	var err error
	if m.HasKey, err = s.control.HasAdminKey(e.r.Context(), e.p); err != nil {
		return err
	}
	return render(e.w, e.r, status, page.SatelliteEditorPage(m))
}

// baseOf are the algorithms that the draft began with.
func (s *server) baseOf(e editor) ([]constellation.SatelliteAlgorithm, error) {
	if e.draft.BaseVersion == e.satellite.LatestVersion.Number {
		return e.satellite.LatestVersion.Algorithms, nil
	}
	version, err := s.control.GetSatelliteVersion(e.r.Context(), e.p, e.satellite.ID, e.draft.BaseVersion)
	if err != nil {
		return nil, err
	}
	return version.Algorithms, nil
}

// change does what a button of the form asks for: save, or a step of editing
// that is kept in the draft.
func (s *server) change(e editor) error {
	e.draft = readDraft(e)
	do, row, _ := strings.Cut(e.r.PostForm.Get("do"), "-")
	at, err := strconv.Atoi(row)
	ok := err == nil && at >= 0 && at < len(e.draft.Algorithms)
	target := e.here("")
	switch {
	case do == "add":
		target = e.here("/algorithm")
	case do == "row" && ok:
		target = e.here("/algorithm", "row", row)
	case do == "remove" && ok:
		e.draft.Algorithms = append(e.draft.Algorithms[:at:at], e.draft.Algorithms[at+1:]...)
	case do == "key":
		return s.makeAdminKey(e)
	case do == "discard":
		if err := s.control.DropSatelliteDraft(e.r.Context(), e.p, e.draft.ID); err != nil {
			return err
		}
		redirect(e.w, e.r, e.path(""))
		return nil
	case do == "rebase":
		if err := s.rebase(&e); err != nil {
			return err
		}
	default:
		return s.save(e)
	}
	if err := s.control.KeepSatelliteDraft(e.r.Context(), e.p, &e.draft); err != nil {
		return err
	}
	follow(e.w, e.r, target)
	return nil
}

// follow goes on to another address of the same dialogs: htmx fetches it into
// the part that it asked for.
func follow(w http.ResponseWriter, r *http.Request, target string) {
	if fragment(r) == "" {
		redirect(w, r, target)
		return
	}
	http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // callers give paths of ours only
}

// rebase puts the draft's changes on what is saved now.
func (s *server) rebase(e *editor) error {
	if e.satellite == nil {
		return nil
	}
	base, err := s.baseOf(*e)
	if err != nil {
		return err
	}
	var useMine []string
	for name, values := range e.r.PostForm {
		if vanity, ok := strings.CutPrefix(name, "side:"); ok && values[0] == "mine" {
			useMine = append(useMine, vanity)
		}
	}
	merged, _ := constellation.MergeVersions(base, e.satellite.LatestVersion.Algorithms, constellation.TypedAlgorithms(e.draft.Algorithms), useMine)
	if e.draft.Name == e.draft.BaseName {
		e.draft.Name = e.satellite.Name
	}
	e.draft.BaseName, e.draft.BaseRevision, e.draft.BaseVersion = e.satellite.Name, e.satellite.Revision, e.satellite.LatestVersion.Number
	e.draft.Algorithms = constellation.DraftAlgorithms(merged)
	return nil
}

// makeAdminKey makes the API key that adding algorithms needs, and shows it.
func (s *server) makeAdminKey(e editor) error {
	if err := s.control.KeepSatelliteDraft(e.r.Context(), e.p, &e.draft); err != nil {
		return err
	}
	o, err := s.once(e.r, e.p, func(service *control.Service) (outcome, error) {
		secret, _, err := service.CreateKey(e.r.Context(), e.p, e.p.Username, control.NewKey{
			Name: "Admin panel, " + s.now().UTC().Format("2006-01-02"), Role: constellation.RoleAdmin,
		})
		return outcome{Secret: secret}, err
	})
	if err != nil {
		return err
	}
	return s.renderEditor(e, http.StatusOK, page.SatelliteEditor{NewKey: o.Secret})
}

// layered shows a dialog above the draft.
func (s *server) layered(e editor, status int, layer templ.Component) error {
	return s.renderEditor(e, status, page.SatelliteEditor{Layer: layer})
}
