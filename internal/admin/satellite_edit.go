package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showEditor(r *request) error {
	return s.renderEditor(r, http.StatusOK, page.SatelliteEditor{})
}

// renderEditor shows the draft; when somebody else saved meanwhile, how the
// two differ.
func (s *server) renderEditor(r *request, status int, m page.SatelliteEditor) error {
	title := "New satellite"
	trail := []component.Crumb{{Name: "Constellation", URL: "/"}, {Name: title}}
	if r.satellite != nil {
		title = "Edit satellite"
		trail = []component.Crumb{{Name: "Constellation", URL: "/"}, {Name: r.satellite.Name, URL: "/satellites/" + r.satellite.ID}, {Name: title}}
		title += " · " + r.satellite.Name
	}
	m.Frame, m.Draft, m.Action, m.Back, m.Token = s.frame(r, title, trail...), r.draft, r.draftPath(""), "/", newToken()
	m.Schedules, m.SchedulesSum = scheduleLines(r.draft.Schedules), schedulesSum(r.draft.Schedules)
	if r.satellite != nil {
		m.Back = r.satelliteURL("algorithms")
		base, err := s.baseOf(r)
		if err != nil {
			return err
		}
		typed := r.draft.Typed()
		m.Difference = constellation.DiffVersions(base, typed)
		if r.draft.BaseRevision != r.satellite.Revision {
			_, both := constellation.MergeVersions(base, &r.satellite.LatestVersion, typed, nil)
			m.Conflict = &page.EditConflict{
				By: r.satellite.UpdatedBy, Number: r.satellite.LatestVersion.Number, Name: r.satellite.Name, Labels: r.satellite.Labels.Text(),
				Theirs: constellation.DiffVersions(base, &r.satellite.LatestVersion), Mine: m.Difference, Both: both,
			}
			if status == http.StatusOK && r.Method == http.MethodPost {
				status = http.StatusPreconditionFailed
			}
		}
	}
	switch {
	case r.Method != http.MethodPost:
	case m.Layer != nil:
		m.Frame.Here = r.draftURL("")
	default: // the address of an action is none to come back to
		m.Frame.Here = r.draftPath("")
	}
	if r.fragment() == "saving" {
		return r.render(http.StatusOK, page.Saving(m))
	}
	var err error
	if m.Settings, err = s.compareSettings(r); err != nil {
		return err
	}
	if m.HasKey, err = s.control.HasAdminKey(r.Context(), r.p); err != nil {
		return err
	}
	return r.render(status, page.SatelliteEditorPage(m))
}

// baseOf returns the version that the draft began with.
func (s *server) baseOf(r *request) (*constellation.SatelliteVersion, error) {
	if r.draft.BaseVersion == r.satellite.LatestVersion.Number {
		return &r.satellite.LatestVersion, nil
	}
	base, err := s.control.GetSatelliteVersion(r.Context(), r.p, r.satellite.ID, r.draft.BaseVersion)
	if constellation.KindOf(err) == constellation.KindNotFound { // it was removed meanwhile
		return &r.satellite.LatestVersion, nil
	}
	return base, err
}

// compareSettings says of which lines of the draft there are newer runtime settings,
// or are to be others than before; a new satellite has the newest.
func (s *server) compareSettings(r *request) ([]page.NewerSettings, error) {
	if r.satellite == nil {
		return nil, nil
	}
	base, err := s.baseOf(r)
	if err != nil {
		return nil, err
	}
	compared, err := s.control.CompareRuntimes(r.Context(), r.p, base.Algorithms, r.draft.Typed().Algorithms)
	newer := make([]page.NewerSettings, len(compared))
	for i, c := range compared {
		newer[i] = page.NewerSettings(c)
	}
	return newer, err
}

// keepAnd keeps the draft and goes on to an address.
func (s *server) keepAnd(r *request, target string) error {
	if err := s.control.KeepSatelliteDraft(r.Context(), r.p, &r.draft); err != nil {
		return err
	}
	r.follow(target)
	return nil
}

// openNewLine goes on to the dialog Add an algorithm.
func (s *server) openNewLine(r *request) error {
	return s.keepAnd(r, r.draftURL("/algorithm"))
}

// openLine goes on to the dialog of one line of the draft.
func (s *server) openLine(r *request) error {
	i, err := lineOf(r)
	if err != nil {
		return err
	}
	return s.keepAnd(r, r.draftURL("/algorithm", "row", strconv.Itoa(i)))
}

// takeSettings puts a revision of an algorithm's runtime settings into its line of
// the draft: the one that the address names, or the newest.
func (s *server) takeSettings(r *request) error {
	i, err := lineOf(r)
	if err != nil {
		return err
	}
	line := &r.draft.Algorithms[i]
	ref, err := constellation.ParseAlgorithmRef(line.Algorithm)
	if err != nil {
		return err
	}
	version, err := s.control.GetAlgorithmVersion(r.Context(), r.p, ref)
	if err != nil {
		return err
	}
	line.RuntimeRevision = version.RuntimeRevision
	if n, err := strconv.Atoi(r.URL.Query().Get("revision")); err == nil && n >= 1 && n < version.RuntimeRevision {
		line.RuntimeRevision = n
	}
	return s.keepAnd(r, r.draftURL(""))
}

// removeLine takes one line out of the draft.
func (s *server) removeLine(r *request) error {
	i, err := lineOf(r)
	if err != nil {
		return err
	}
	r.draft.Algorithms = append(r.draft.Algorithms[:i:i], r.draft.Algorithms[i+1:]...)
	return s.keepAnd(r, r.draftURL(""))
}

// lineOf returns the index of the draft's line that the address names.
func lineOf(r *request) (int, error) {
	i, err := strconv.Atoi(r.param("index"))
	if err != nil || i < 0 || i >= len(r.draft.Algorithms) {
		return 0, constellation.Errorf(constellation.KindNotFound, "The draft has no algorithm there. Open its page again.")
	}
	return i, nil
}

// preview shows what saving does; without a script it keeps the draft and shows
// that on the page.
func (s *server) preview(r *request) error {
	if r.fragment() == "saving" {
		return s.showEditor(r)
	}
	return s.keepAnd(r, r.draftURL(""))
}

// discard drops the draft.
func (s *server) discard(r *request) error {
	if err := s.control.DropSatelliteDraft(r.Context(), r.p, r.draft.ID); err != nil {
		return err
	}
	r.redirect(r.draftPath(""))
	return nil
}

// follow goes on to another address of the same dialogs: htmx fetches it into
// the part that it asked for.
func (r *request) follow(target string) {
	if r.fragment() == "" {
		r.redirect(target)
		return
	}
	r.goTo(target)
}

// rebase puts the draft's changes on what is saved now.
func (s *server) rebase(r *request) error {
	base, err := s.baseOf(r)
	if err != nil {
		return err
	}
	var useMine []string
	for name, values := range r.PostForm {
		if key, ok := strings.CutPrefix(name, "side:"); ok && values[0] == "mine" {
			useMine = append(useMine, key)
		}
	}
	merged, _ := constellation.MergeVersions(base, &r.satellite.LatestVersion, r.draft.Typed(), useMine)
	if r.draft.Name == r.draft.BaseName {
		r.draft.Name = r.satellite.Name
	}
	if r.draft.Labels == r.draft.BaseLabels {
		r.draft.Labels = r.satellite.Labels.Text()
	}
	r.draft.BaseLabels = r.satellite.Labels.Text()
	r.draft.BaseName, r.draft.BaseRevision, r.draft.BaseVersion = r.satellite.Name, r.satellite.Revision, r.satellite.LatestVersion.Number
	r.draft.Algorithms, r.draft.Schedules = constellation.DraftAlgorithms(merged.Algorithms), merged.Schedules
	return s.keepAnd(r, r.draftURL(""))
}

// makeAdminKey makes the API key that adding algorithms needs, and shows it.
func (s *server) makeAdminKey(r *request) error {
	if err := s.control.KeepSatelliteDraft(r.Context(), r.p, &r.draft); err != nil {
		return err
	}
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		secret, _, err := service.CreateKey(r.Context(), r.p, r.p.Username, control.NewKey{
			Name: "Admin panel, " + s.now().UTC().Format("2006-01-02"), Role: new(constellation.RoleAdmin),
		})
		return outcome{Secret: secret}, err
	})
	if err != nil {
		return err
	}
	return s.renderEditor(r, http.StatusOK, page.SatelliteEditor{NewKey: o.Secret})
}

// layered shows a dialog above the draft.
func (s *server) layered(r *request, status int, layer templ.Component) error {
	return s.renderEditor(r, status, page.SatelliteEditor{Layer: layer})
}
