package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// versionRef is the algorithm version that the address names.
func (r *request) versionRef() constellation.AlgorithmRef {
	return constellation.AlgorithmRef{Owner: r.param("owner"), Name: r.param("name"), Hash: r.param("hash")}
}

// versionURL returns the address of an algorithm version, or of what is below it.
func versionURL(ref constellation.AlgorithmRef, below string) string {
	return "/algorithms/" + ref.String() + below
}

func (s *server) showAlgorithmVersion(r *request) error {
	version, err := s.control.GetAlgorithmVersion(r.Context(), r.p, r.versionRef())
	if err != nil {
		return err
	}
	return s.versionPage(r, version, "", http.StatusOK, nil)
}

// versionPage renders an algorithm version, behind a layer when that is not nil;
// when the layer or a part of it is asked for, nothing else is read.
func (s *server) versionPage(r *request, version *constellation.AlgorithmVersion, title string, status int, layer templ.Component) error {
	ref, path := version.Ref(), "/algorithms/"+version.Owner+"/"+version.Name
	name := version.Owner + "/" + version.Name + " " + constellation.ShortHash(version.GitHash)
	trail := []component.Crumb{
		{Name: "Algorithms", URL: "/algorithms"}, {Name: version.Owner, URL: address("/algorithms", "q", version.Owner+"/")},
		{Name: version.Name, URL: path}, {Name: constellation.ShortHash(version.GitHash)},
	}
	if title != "" {
		name = title + " · " + name
		trail[3].URL = versionURL(ref, "")
		trail = append(trail, component.Crumb{Name: title})
	}
	m := page.AlgorithmVersion{
		Frame: s.frame(r, name, trail...), Version: version, Host: s.registry, MayEdit: r.p.Role == constellation.RoleAdmin, Token: newToken(), Layer: layer,
	}
	m.Frame.Section = "algorithms"
	if layer != nil {
		m.Frame.Flash = component.Flash{} // it would be out of sight behind it
	}
	if part := r.fragment(); part == "layer" || part == "difference" {
		return r.render(status, page.AlgorithmVersionPage(m))
	}
	below := versionURL(ref, "")
	if layer == nil {
		below = r.URL.Path // in the case that it was asked for
	}
	l := readList(r, below, "name")
	found, err := s.control.ListUses(r.Context(), r.p, ref, l.query())
	if err != nil {
		return err
	}
	m.Uses, m.Pager = found.Items, pagerOf(l, found)
	if m.Revisions, err = s.control.RuntimeRevisions(r.Context(), r.p, ref); err != nil {
		return err
	}
	return r.render(status, page.AlgorithmVersionPage(m))
}

// runs finds the version that the address names, when it is code.
func (s *server) runs(r *request) (*constellation.AlgorithmVersion, error) {
	version, err := s.control.GetAlgorithmVersion(r.Context(), r.p, r.versionRef())
	if err == nil && version.Weights != nil {
		err = constellation.Errorf(constellation.KindNotFound, "%s/%s holds weights, which do not run: there are no settings to edit.", version.Owner, version.Name)
	}
	return version, err
}

func (s *server) askSettings(r *request) error {
	version, err := s.runs(r)
	if err != nil {
		return err
	}
	form := page.SettingsForm{Typed: page.SettingsOf(version.Runtime), Revision: strconv.Itoa(version.RuntimeRevision)}
	if q := r.URL.Query(); q.Has("revision") { // all that is typed, to see the difference
		form = typedSettings(q)
	}
	return s.renderSettings(r, version, http.StatusOK, form, nil)
}

// renderSettings shows the dialog Edit settings, with what saving would change.
func (s *server) renderSettings(r *request, version *constellation.AlgorithmVersion, status int, m page.SettingsForm, problem component.Problems) error {
	m.Confirm = component.Confirm{
		Dialog: component.Dialog{Title: "Edit settings", Close: versionURL(version.Ref(), ""), Wide: true}, Action: versionURL(version.Ref(), "/settings"), Token: newToken(),
		Does: "Save as revision " + strconv.Itoa(version.RuntimeRevision+1), Harmless: true, Problems: problem,
	}
	m.Current = version.RuntimeRevision
	if change, unread := readSettings(m.Typed); len(unread) == 0 {
		m.Changes = constellation.DiffRuntimes(version.Runtime, change.Apply(version.Runtime).WithDefaults())
	}
	if r.fragment() != "difference" {
		found, err := s.control.ListUses(r.Context(), r.p, version.Ref(), readList(r, "", "name").query())
		if err != nil {
			return err
		}
		m.Uses, m.MoreUses = found.Items, found.Marker != ""
	}
	return s.versionPage(r, version, "Edit settings", status, page.SettingsLayer(m))
}

// typedSettings returns the form Edit settings as it was sent.
func typedSettings(f url.Values) page.SettingsForm {
	m := page.SettingsForm{Revision: f.Get("revision")}
	for _, field := range m.Typed.Fields() {
		*field.Value = strings.TrimSpace(f.Get(field.Name))
	}
	return m
}

// readSettings returns what was typed as a correction; unread are the fields that
// cannot be read, by name.
func readSettings(t page.TypedSettings) (c constellation.RuntimeChange, unread component.Problems) {
	unread = component.Problems{}
	number := func(name, text, rule string, least int) *int {
		n, err := strconv.Atoi(text)
		if text != "" && (err != nil || n < least) {
			unread[name] = rule
		}
		return &n
	}
	return constellation.RuntimeChange{
		Protocol: &t.Protocol, Path: &t.Path, HealthPath: &t.HealthPath, Network: &t.Network, CPU: &t.CPU, Memory: &t.Memory,
		Port:        number("port", t.Port, "The port is a number from 1 to 65535, or left empty for the protocol's own", 1),
		Concurrency: number("concurrency", t.Concurrency, "The calls at once are a number from 1 to 10000, or left empty for the protocol's own", 1),
		GPU:         number("gpu", t.GPU, "The GPUs are a number from 0 to 64, or left empty for none", 0),
		Response:    &t.Response, HTTP2: new(t.HTTP2 == "true"), MaxBody: &t.MaxBody, IdleTimeout: &t.IdleTimeout,
	}, unread
}

// correctSettings stores the settings that were typed as the version's next
// revision.
func (s *server) correctSettings(r *request) error {
	version, err := s.runs(r)
	if err != nil {
		return err
	}
	m := typedSettings(r.PostForm)
	change, unread := readSettings(m.Typed)
	if len(unread) > 0 {
		return s.renderSettings(r, version, http.StatusUnprocessableEntity, m, unread)
	}
	revision, _ := strconv.ParseInt(m.Revision, 10, 64) // 0 is no revision
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		corrected, err := service.CorrectRuntime(r.Context(), r.p, version.Ref(), &revision, change)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: versionURL(version.Ref(), ""), Flash: correctedFlash(revision, corrected)}, nil
	})
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		return s.settingsConflict(r, m)
	}
	if p, ok := problems(err); ok {
		return s.renderSettings(r, version, httpserve.Status(err), m, withoutPrefix(p, "runtime."))
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

// withoutPrefix returns problems by the names that the form has.
func withoutPrefix(p component.Problems, prefix string) component.Problems {
	named := component.Problems{}
	for field, problem := range p {
		named[strings.TrimPrefix(field, prefix)] = problem
	}
	return named
}

// settingsConflict shows what was typed over what somebody else saved meanwhile.
func (s *server) settingsConflict(r *request, m page.SettingsForm) error {
	version, err := s.runs(r) // as it is now
	if err != nil {
		return err
	}
	m.Revision = strconv.Itoa(version.RuntimeRevision)
	return s.renderSettings(r, version, http.StatusPreconditionFailed, m, component.Problems{"": "These settings were corrected by " + version.CorrectedBy + " while you edited them: they are at revision " + m.Revision +
		" now. What you typed is below, with its difference from that; save again to put it in place"})
}

// correctedFlash says what a correction did, and what it did not.
func correctedFlash(before int64, v *constellation.AlgorithmVersion) component.Flash {
	if int64(v.RuntimeRevision) == before {
		return component.Flash{Text: "Nothing was changed."}
	}
	return component.Flash{Text: "Saved as revision " + strconv.Itoa(v.RuntimeRevision) + ". Satellites that use this version keep the settings they have until they are edited and take these."}
}

func (s *server) askRemoveVersion(r *request) error {
	return s.renderRemoveVersion(r, http.StatusOK, nil)
}

func (s *server) renderRemoveVersion(r *request, status int, problem component.Problems) error {
	version, err := s.control.GetAlgorithmVersion(r.Context(), r.p, r.versionRef())
	if err != nil {
		return err
	}
	users, err := s.control.VersionUsers(r.Context(), r.p, version.Ref())
	if err != nil {
		return err
	}
	back := versionURL(version.Ref(), "")
	return s.versionPage(r, version, "Remove version", status, page.RemoveVersionLayer(page.RemoveVersion{
		Confirm: component.Confirm{
			Dialog: component.Dialog{Title: "Remove version?", Close: back}, Action: versionURL(version.Ref(), "/remove"), Token: newToken(), Does: "Remove version", Problems: problem,
		},
		Version: version, Users: users, MoreUsers: len(users) == control.MaxVersionUsers,
	}))
}

// removeVersion removes the version that the address names, as it was when it was
// asked for. Sent twice, it is gone after the first time.
func (s *server) removeVersion(r *request) error {
	ref := r.versionRef()
	revision, _ := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64) // 0 is no revision
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		err := service.DeleteAlgorithmVersion(r.Context(), r.p, ref, &revision)
		return outcome{Target: "/algorithms/" + ref.Owner + "/" + ref.Name, Flash: component.Flash{
			Text: "Removed version " + constellation.ShortHash(ref.Hash) + " of " + ref.Owner + "/" + ref.Name + ". What runs keeps running.",
		}}, err
	})
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		return s.renderRemoveVersion(r, http.StatusPreconditionFailed, component.Problems{"": "The settings of this version were corrected while you looked at this: it may be about to be used. Remove it only if you still mean to"})
	}
	if p, ok := problems(err); ok {
		return s.renderRemoveVersion(r, httpserve.Status(err), p)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}
