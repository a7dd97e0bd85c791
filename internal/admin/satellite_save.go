package admin

import (
	"net/http"
	"strconv"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// save makes the satellite, or its next version, out of the draft.
func (s *server) save(e editor) error {
	wanted, problem := draftSpecs(e.draft)
	if len(problem) > 0 {
		return s.renderEditor(e, http.StatusUnprocessableEntity, page.SatelliteEditor{Problems: problem})
	}
	o, err := s.once(e.r, e.p, func(service *control.Service) (outcome, error) {
		var o outcome
		var err error
		if e.satellite == nil {
			o, err = create(e, service, wanted)
		} else {
			o, err = update(e, service, wanted)
		}
		if err != nil {
			return o, err
		}
		return o, service.DropSatelliteDraft(e.r.Context(), e.p, e.draft.ID)
	})
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		return s.saveConflict(e)
	}
	if p, ok := problems(err); ok {
		return s.renderEditor(e, httpserve.Status(err), page.SatelliteEditor{Problems: p})
	}
	if err != nil {
		return err
	}
	return finish(e.w, e.r, o)
}

// saveConflict keeps the draft, since somebody else saved first, and shows
// how the two differ.
func (s *server) saveConflict(e editor) error {
	if err := s.control.KeepSatelliteDraft(e.r.Context(), e.p, &e.draft); err != nil {
		return err
	}
	var err error
	if e.satellite, err = s.control.GetSatellite(e.r.Context(), e.p, e.satellite.ID); err != nil {
		return err
	}
	return s.renderEditor(e, http.StatusPreconditionFailed, page.SatelliteEditor{})
}

// draftSpecs are a draft's lines as algorithms to be checked; a replica count
// that is no number is a problem at once.
func draftSpecs(d constellation.SatelliteDraft) ([]control.AlgorithmSpec, component.Problems) {
	problems := component.Problems{}
	specs := make([]control.AlgorithmSpec, len(d.Algorithms))
	for i, a := range d.Algorithms {
		n, err := strconv.Atoi(a.Replicas)
		if err != nil {
			problems["algorithms["+strconv.Itoa(i)+"].replicas"] = "The replica count is a number from 0 to 1000"
		}
		specs[i] = control.AlgorithmSpec{Algorithm: a.Algorithm, VanityURL: a.VanityURL, Replicas: n}
	}
	return specs, problems
}

func create(e editor, service *control.Service, wanted []control.AlgorithmSpec) (outcome, error) {
	made, err := service.CreateSatellite(e.r.Context(), e.p, control.NewSatellite{Name: e.draft.Name, Algorithms: wanted})
	if err != nil {
		return outcome{}, err
	}
	return outcome{Target: "/", Flash: component.Flash{
		Text: "Created the satellite " + made.Name + ". Next, give it a launch instance.", URL: "/satellites/" + made.ID, Label: "Open it",
	}}, nil
}

// update renames the satellite and makes its next version, as far as either
// is asked for.
func update(e editor, service *control.Service, wanted []control.AlgorithmSpec) (outcome, error) {
	ctx, revision := e.r.Context(), e.draft.BaseRevision
	o := outcome{Target: "/satellites/" + e.satellite.ID + "/algorithms", Flash: component.Flash{Text: "Nothing was changed."}}
	base, err := service.GetSatelliteVersion(ctx, e.p, e.satellite.ID, e.draft.BaseVersion)
	if err != nil {
		return o, err
	}
	// Always asked for, so that a second editor's save is noticed.
	renamed, err := service.UpdateSatellite(ctx, e.p, e.satellite.ID, &revision, control.SatelliteChange{Name: &e.draft.Name})
	if err != nil {
		return o, err
	}
	if renamed.Revision != revision {
		o.Flash.Text = "Renamed to " + renamed.Name + "."
	}
	difference := constellation.DiffVersions(base.Algorithms, constellation.TypedAlgorithms(e.draft.Algorithms))
	if component.Changes(difference) == 0 {
		return o, nil
	}
	made, _, err := service.CreateSatelliteVersion(ctx, e.p, e.satellite.ID, &renamed.Revision, wanted)
	if err != nil {
		return o, err
	}
	from, to := strconv.Itoa(made.Number-1), strconv.Itoa(made.Number)
	o.Flash = component.Flash{
		Text: "Saved as version " + to + ": " + component.Summary(difference) + ". Launch instances keep their version until you change it.",
		URL:  "/satellites/" + e.satellite.ID + "/versions/compare?from=" + from + "&to=" + to, Label: "See what changed",
	}
	return o, nil
}
