package admin

import (
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// save makes the satellite, or its next version, out of the draft. It asks before
// it makes a satellite with nothing in it.
func (s *server) save(r *request) error {
	if r.satellite == nil && len(r.draft.Algorithms) == 0 && r.draft.Name != "" {
		return s.askEmpty(r)
	}
	return s.saveAsIs(r)
}

// saveAsIs is save without the question.
func (s *server) saveAsIs(r *request) error {
	wanted, problem := draftSpec(r.draft)
	labels, err := draftLabels(r.draft)
	if p, ok := problems(err); ok {
		maps.Copy(problem, p)
	}
	if len(problem) > 0 {
		return s.renderEditor(r, http.StatusUnprocessableEntity, page.SatelliteEditor{Problems: problem})
	}
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		var o outcome
		var err error
		if r.schedulesMoved {
			return o, movedSchedules()
		}
		if r.satellite == nil {
			o, err = create(r, service, wanted, labels)
		} else {
			o, err = update(r, service, wanted, labels)
		}
		if err != nil {
			return o, err
		}
		return o, service.DropSatelliteDraft(r.Context(), r.p, r.draft.ID)
	})
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		return s.saveConflict(r)
	}
	if p, ok := problems(err); ok {
		return s.renderEditor(r, httpserve.Status(err), page.SatelliteEditor{Problems: p})
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

// movedSchedules refuses to save schedules that nobody looks at.
func movedSchedules() error {
	var v constellation.Validation
	v.Add("schedules", "the schedules of this draft were changed or discarded elsewhere; these are those from now. Look at them, and save again")
	return v.Err()
}

// askEmpty asks whether a satellite with nothing in it is meant.
func (s *server) askEmpty(r *request) error {
	if err := s.control.KeepSatelliteDraft(r.Context(), r.p, &r.draft); err != nil {
		return err
	}
	hasKey, err := s.control.HasAdminKey(r.Context(), r.p)
	if err != nil {
		return err
	}
	return s.layered(r, http.StatusOK, page.EmptySatelliteLayer(page.EmptySatellite{
		Dialog: component.Dialog{Title: "Create an empty satellite?", Close: r.draftURL("")}, Action: r.draftPath(""), Token: newToken(), Draft: r.draft, SchedulesSum: schedulesSum(r.draft.Schedules), HasKey: hasKey,
	}))
}

// saveConflict keeps the draft, since somebody else saved first, and shows
// how the two differ.
func (s *server) saveConflict(r *request) error {
	if err := s.control.KeepSatelliteDraft(r.Context(), r.p, &r.draft); err != nil {
		return err
	}
	var err error
	if r.satellite, err = s.control.GetSatellite(r.Context(), r.p, r.satellite.ID); err != nil {
		return err
	}
	return s.renderEditor(r, http.StatusPreconditionFailed, page.SatelliteEditor{})
}

// draftSpec returns what a draft has, to be checked; a replica count that is no
// number is a problem at once.
func draftSpec(d constellation.SatelliteDraft) (control.VersionSpec, component.Problems) {
	wrong := component.Problems{}
	spec := control.VersionSpec{Algorithms: make([]control.AlgorithmSpec, len(d.Algorithms)), Schedules: append([]constellation.Schedule{}, d.Schedules...)}
	for i, a := range d.Algorithms {
		number := func(field, text, problem string) int {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				wrong["algorithms["+strconv.Itoa(i)+"]."+field] = problem
			}
			return n
		}
		line := control.AlgorithmSpec{Algorithm: a.Algorithm, VanityURL: a.VanityURL, Replicas: number("replicas", a.Replicas, "The replica count is a number from 0 to 1000"), RuntimeRevision: a.RuntimeRevision}
		if a.MinReplicas != "" {
			line.MinReplicas = new(number("min_replicas", a.MinReplicas, "The fewest replicas are a number from 0 to 1000, or left empty"))
		}
		if a.MaxReplicas != "" {
			line.MaxReplicas = number("max_replicas", a.MaxReplicas, "The most replicas are a number from 1 to 1000, or left empty")
		}
		settings, err := a.Settings.Parse()
		if unread, ok := problems(err); ok {
			for field, problem := range unread {
				wrong["algorithms["+strconv.Itoa(i)+"]."+field] = problem
			}
		}
		line.Settings = settings
		mounts, err := constellation.ParseWeights(a.Weights)
		if unread, ok := problems(err); ok {
			for field, problem := range unread {
				wrong["algorithms["+strconv.Itoa(i)+"]."+field] = problem
			}
		}
		line.Weights = control.SpecWeights(mounts)
		spec.Algorithms[i] = line
	}
	return spec, wrong
}

// draftLabels returns the labels that a draft is to have; nil are those that the
// satellite has, which a draft that says nothing else of them keeps.
func draftLabels(d constellation.SatelliteDraft) (constellation.Labels, error) {
	if d.Labels == d.BaseLabels {
		return nil, nil
	}
	return constellation.ParseLabels(d.Labels)
}

func create(r *request, service *control.Service, wanted control.VersionSpec, labels constellation.Labels) (outcome, error) {
	made, err := service.CreateSatellite(r.Context(), r.p, control.NewSatellite{Name: r.draft.Name, Labels: labels, Algorithms: wanted.Algorithms, Schedules: wanted.Schedules})
	if err != nil {
		return outcome{}, err
	}
	return outcome{Target: "/", Flash: component.Flash{
		Text: "Created the satellite " + made.Name + ". Next, give it a launch instance.", URL: "/satellites/" + made.ID, Label: "Open it",
	}}, nil
}

// update renames and labels the satellite and makes its next version, as far as either
// is asked for.
func update(r *request, service *control.Service, wanted control.VersionSpec, labels constellation.Labels) (outcome, error) {
	ctx, revision := r.Context(), r.draft.BaseRevision
	o := outcome{Target: "/satellites/" + r.satellite.ID + "/algorithms", Flash: component.Flash{Text: "Nothing was changed."}}
	base, err := service.GetSatelliteVersion(ctx, r.p, r.satellite.ID, r.draft.BaseVersion)
	if constellation.KindOf(err) == constellation.KindNotFound {
		base, err = &r.satellite.LatestVersion, nil // it was removed: somebody saved another one since
	}
	if err != nil {
		return o, err
	}
	// Always asked for, so that a second editor's save is noticed.
	renamed, err := service.UpdateSatellite(ctx, r.p, r.satellite.ID, &revision, control.SatelliteChange{Name: &r.draft.Name, Labels: labels})
	if err != nil {
		return o, err
	}
	switch {
	case renamed.Name != r.satellite.Name:
		o.Flash.Text = "Renamed to " + renamed.Name + "."
	case renamed.Revision != revision:
		o.Flash.Text = "Saved the labels of " + renamed.Name + "."
	}
	difference := constellation.DiffVersions(base, r.draft.Typed())
	if difference.Count() == 0 {
		return o, nil
	}
	made, _, err := service.CreateSatelliteVersion(ctx, r.p, r.satellite.ID, &renamed.Revision, wanted)
	if err != nil {
		return o, err
	}
	from, to := strconv.Itoa(made.Number-1), strconv.Itoa(made.Number)
	o.Flash = component.Flash{
		Text: "Saved as version " + to + ": " + component.Summary(difference) + ". Launch instances keep their version until you change it.",
		URL:  "/satellites/" + r.satellite.ID + "/versions/compare?from=" + from + "&to=" + to, Label: "See what changed",
	}
	return o, nil
}
