package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
)

// request is what every handler is given: the HTTP request with its form read,
// who sends it, and what its address names. The last three are set by load
// alone, on the routes whose pattern has them.
type request struct {
	*http.Request
	w         http.ResponseWriter
	root      root
	https     bool                         // by the public URL
	p         control.Principal            // nobody on a route for anyone
	satellite *constellation.Satellite     // of {satellite_id}
	launch    *constellation.Launch        // of {launch_id}
	draft     constellation.SatelliteDraft // of the routes below newDraft and editDraft
	// schedulesMoved is that the draft has other schedules than the editor's form
	// was shown with, as after another tab saved it.
	schedulesMoved bool
}

// request returns what a handler is given of an HTTP request.
func (s *server) request(w http.ResponseWriter, r *http.Request) *request {
	return &request{Request: r, w: w, root: s.root, https: s.https()}
}

// param returns what the address has in the place of {name}.
func (r *request) param(name string) string { return chi.URLParam(r.Request, name) }

// load loads what the route's pattern names.
func (s *server) load(r *request, route route) error {
	if err := s.loadNamed(r); err != nil {
		return s.replay(r, err)
	}
	if strings.HasPrefix(route.pattern, newDraft) || strings.HasPrefix(route.pattern, editDraft) {
		return s.loadDraft(r, inDialog(route.pattern))
	}
	return nil
}

// inDialog reports whether a route is of a dialog above a draft.
func inDialog(pattern string) bool {
	_, below, _ := strings.Cut(strings.TrimPrefix(pattern, "/satellites/"), "/")
	below = strings.TrimPrefix(below, "edit/")
	dialog, _, _ := strings.Cut(below, "/")
	return dialog == "algorithm" || dialog == "schedule"
}

func (s *server) loadNamed(r *request) error {
	satelliteID, launchID := r.param("satellite_id"), r.param("launch_id")
	if satelliteID == "" {
		return nil
	}
	var err error
	if r.satellite, err = s.control.GetSatellite(r.Context(), r.p, satelliteID); err != nil {
		return s.explainRemoved(r, err)
	}
	if launchID != "" {
		r.launch, err = s.control.GetLaunch(r.Context(), r.p, r.satellite.ID, launchID)
	}
	return err
}

// replay answers a form about something that is gone. The form may have been
// sent before and have removed it: then its first outcome is told again.
func (s *server) replay(r *request, gone error) error {
	if r.Method != http.MethodPost || constellation.KindOf(gone) != constellation.KindNotFound {
		return gone
	}
	o, err := s.once(r, func(*control.Service) (outcome, error) { return outcome{}, gone })
	if err != nil || o.Target == "" {
		return gone
	}
	return answered(r.finish(o))
}

// explainRemoved says who removed a satellite that somebody still looks at.
func (s *server) explainRemoved(r *request, err error) error {
	if constellation.KindOf(err) != constellation.KindNotFound {
		return err
	}
	removal, readErr := s.control.SatelliteRemoval(r.Context(), r.p, r.param("satellite_id"))
	if readErr != nil || removal == nil {
		return err
	}
	return constellation.Wrap(err, constellation.KindNotFound, "The satellite %s was removed by %s on %s. What runs keeps running; the audit log has what it was.",
		removal.TargetName, removal.Actor, removal.At.UTC().Format("2006-01-02 at 15:04:05 UTC"))
}

// loadDraft loads what is edited. The editor's own form carries the whole
// draft; a dialog above it and an address have its id, and the database what
// was typed so far.
func (s *server) loadDraft(r *request, inDialog bool) error {
	if r.Method == http.MethodPost && !inDialog {
		r.draft = typedDraft(r)
		return s.loadSchedules(r)
	}
	r.draft = newDraftOf(r.satellite)
	id := r.URL.Query().Get("draft")
	if r.Method == http.MethodPost {
		id = r.PostForm.Get("draft")
	}
	if id == "" {
		return nil
	}
	d, err := s.control.SatelliteDraft(r.Context(), r.p, id)
	switch {
	case err == nil:
		r.draft = *d
	case constellation.KindOf(err) != constellation.KindNotFound:
		return err
	case r.Method == http.MethodPost: // nothing was kept of it yet, or not any more
		r.draft.ID = id
	default: // Back after it was saved
		r.setFlash(component.Flash{Text: "That draft was saved or discarded. This is how it is now."})
		r.redirect(r.draftPath(""))
		return errAnswered
	}
	return nil
}

// newDraftOf returns the draft of a form that nobody typed into yet; of nil, that
// of a new satellite.
func newDraftOf(satellite *constellation.Satellite) constellation.SatelliteDraft {
	d := constellation.SatelliteDraft{ID: uuid.NewString()}
	if satellite != nil {
		d.SatelliteID, d.Name, d.BaseName = satellite.ID, satellite.Name, satellite.Name
		d.Labels, d.BaseLabels = satellite.Labels.Text(), satellite.Labels.Text()
		d.BaseRevision, d.BaseVersion = satellite.Revision, satellite.LatestVersion.Number
		d.Algorithms, d.Schedules = constellation.DraftAlgorithms(satellite.LatestVersion.Algorithms), satellite.LatestVersion.Schedules
	}
	return d
}

// typedDraft returns the draft that the editor's form carries.
func typedDraft(r *request) constellation.SatelliteDraft {
	f := r.PostForm
	d := constellation.SatelliteDraft{ID: f.Get("draft"), Name: strings.TrimSpace(f.Get("name")), BaseName: f.Get("base_name"), Labels: lines(f.Get("labels")), BaseLabels: lines(f.Get("base_labels"))}
	if r.satellite != nil {
		d.SatelliteID = r.satellite.ID
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
		revision, _ := strconv.Atoi(at("runtime_revision", i)) // 0 is the newest
		d.Algorithms = append(d.Algorithms, constellation.DraftAlgorithm{
			Algorithm: at("algorithm", i), VanityURL: at("vanity_url", i), Replicas: strings.TrimSpace(at("replicas", i)),
			MinReplicas: strings.TrimSpace(at("min_replicas", i)), MaxReplicas: strings.TrimSpace(at("max_replicas", i)),
			Settings: constellation.PodSettingsText{Env: lines(at("env", i)), EnvFrom: lines(at("env_from", i)), Volumes: lines(at("volumes", i))},
			Weights:  lines(at("weights", i)), RuntimeRevision: revision,
		})
	}
	return d
}

// satelliteURL returns the address of the satellite, or of what is below it.
func (r *request) satelliteURL(below ...string) string {
	return "/" + strings.Join(append([]string{"satellites", r.satellite.ID}, below...), "/")
}

// launchURL returns the address of the launch instance, or of what is below it.
func (r *request) launchURL(below ...string) string {
	return r.satelliteURL(append([]string{"launches", r.launch.ID}, below...)...)
}

// draftPath returns the path of the editor, or of what is below it.
func (r *request) draftPath(below string) string {
	if r.satellite == nil {
		return newDraft + below
	}
	return r.satelliteURL("edit") + below
}

// draftURL returns the address of the draft, or of a dialog above it.
func (r *request) draftURL(below string, pairs ...string) string {
	return address(r.draftPath(below), append([]string{"draft", r.draft.ID}, pairs...)...)
}
