package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// places are what the install commands leave to be filled in.
var places = []component.Input{
	{Label: "Registry", Name: "registry", Help: "registry.example.com/algorithms"},
	{Label: "Kubeconfig", Name: "kubeconfig", Help: "/home/algo/cust8s.conf"},
	{Label: "Namespace", Name: "namespace", Help: "algorithms"},
}

func (s *server) showLaunch(r *request) error {
	m := page.Launch{
		Dialog: component.Dialog{Title: r.launch.Name, Close: r.satelliteURL()}, Frame: s.frame(r, r.launch.Name),
		Satellite: r.satellite, Launch: r.launch, MayLaunch: r.p.Role.Rank() >= constellation.RoleOperator.Rank(), Commands: s.installCommands(r.launch),
	}
	var err error
	if m.Performance, err = s.performance(r); err != nil {
		return err
	}
	filled := map[string]string{}
	for _, place := range places {
		place.Value = r.URL.Query().Get(place.Name)
		filled[place.Name] = place.Value
		m.Places = append(m.Places, place)
	}
	for i := range m.Commands {
		m.Commands[i].Values = filled
	}
	return s.showLaunches(r, r.launch.Name, http.StatusOK, page.LaunchSheet(m))
}

func (s *server) askNewLaunch(r *request) error {
	return s.renderLaunchForm(r, http.StatusOK, page.LaunchForm{Version: strconv.Itoa(r.satellite.LatestVersion.Number)}, nil)
}

// renderLaunchForm renders New launch instance, or Edit launch instance of one.
func (s *server) renderLaunchForm(r *request, status int, m page.LaunchForm, problems component.Problems) error {
	m.Satellite = r.satellite
	m.Confirm = component.Confirm{
		Dialog: component.Dialog{Title: "New launch instance", Close: r.satelliteURL()}, Action: r.satelliteURL("launches", "new"), Token: newToken(),
		Does: "Create launch instance", Harmless: true, Problems: problems,
	}
	if r.launch != nil {
		m.Title, m.Close, m.Action, m.Does = "Edit launch instance", r.launchURL(), r.launchURL("edit"), "Save changes"
		m.Show, m.Current = r.launchURL("edit"), r.launch.SatelliteVersion
		if to, err := strconv.Atoi(m.Version); err == nil && to != m.Current && to >= 1 && to <= r.satellite.LatestVersion.Number {
			difference, err := s.control.DiffSatelliteVersions(r.Context(), r.p, r.satellite.ID, m.Current, to)
			if err != nil {
				return err
			}
			m.Difference = &difference
		}
		m.Note = "This changes what the next get and deploy install. What runs stays as it is until it is launched again."
	}
	title := m.Title
	if r.launch != nil {
		title = "Edit " + r.launch.Name
	}
	return s.showLaunches(r, title, status, page.LaunchFormLayer(m))
}

// typedLaunch returns the form of a launch instance as it was sent.
func typedLaunch(f url.Values) (page.LaunchForm, int) {
	m := page.LaunchForm{Version: f.Get("satellite_version"), Name: f.Get("name"), Description: f.Get("description"), Labels: lines(f.Get("labels")), Revision: f.Get("revision")}
	n, err := strconv.Atoi(m.Version)
	if err != nil {
		n = -1 // no version; the check says which there are
	}
	return m, n
}

// typedLabels returns the labels of a form; nil of one that asks for none.
func typedLabels(f url.Values) (constellation.Labels, error) {
	if !f.Has("labels") {
		return nil, nil
	}
	return constellation.ParseLabels(f.Get("labels"))
}

func (s *server) createLaunch(r *request) error {
	m, version := typedLaunch(r.PostForm)
	labels, wrong := typedLabels(r.PostForm)
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		made, err := service.CreateLaunch(r.Context(), r.p, r.satellite.ID, control.NewLaunch{SatelliteVersion: version, Name: m.Name, Description: m.Description, Labels: labels})
		if err = cmp.Or(err, wrong); err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.satelliteURL(), Flash: component.Flash{
			Text: "Created the launch instance " + made.Name + ".", URL: r.satelliteURL("launches", made.ID), Label: "Install it",
		}}, nil
	})
	if p, ok := problems(err); ok {
		return s.renderLaunchForm(r, httpserve.Status(err), m, p)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

func (s *server) askEditLaunch(r *request) error {
	m := page.LaunchForm{
		Version: strconv.Itoa(r.launch.SatelliteVersion), Name: r.launch.Name, Description: r.launch.Description, Labels: r.launch.Labels.Text(), Revision: strconv.FormatInt(r.launch.Revision, 10),
	}
	switch q := r.URL.Query(); {
	case q.Has("revision"): // all that is typed, to see the difference
		m, _ = typedLaunch(q)
	case q.Has("satellite_version"):
		m.Version = q.Get("satellite_version")
	}
	return s.renderLaunchForm(r, http.StatusOK, m, nil)
}

func (s *server) editLaunch(r *request) error {
	m, version := typedLaunch(r.PostForm)
	revision, _ := strconv.ParseInt(m.Revision, 10, 64) // 0 fits no launch
	labels, wrong := typedLabels(r.PostForm)
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		changed, err := service.UpdateLaunch(r.Context(), r.p, r.satellite.ID, r.launch.ID, &revision,
			control.LaunchChange{SatelliteVersion: &version, Name: &m.Name, Description: &m.Description, Labels: labels})
		if err = cmp.Or(err, wrong); err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.launchURL(), Flash: changedLaunch(r.launch, changed)}, nil
	})
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		m.Revision = strconv.FormatInt(r.launch.Revision, 10)
		return s.renderLaunchForm(r, http.StatusPreconditionFailed, m, component.Problems{"": launchConflict(r.launch)})
	}
	if p, ok := problems(err); ok {
		return s.renderLaunchForm(r, httpserve.Status(err), m, p)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

// launchConflict says what somebody else made of a launch instance meanwhile.
func launchConflict(l *constellation.Launch) string {
	return l.UpdatedBy + " changed this launch instance while you edited it: it is now “" + l.Name + "” with version " + strconv.Itoa(l.SatelliteVersion) +
		". What you typed is below; save again to put it in place"
}

// changedLaunch says what a change did, and what it did not.
func changedLaunch(before, after *constellation.Launch) component.Flash {
	if before.SatelliteVersion == after.SatelliteVersion {
		return component.Flash{Text: "Saved the launch instance " + after.Name + "."}
	}
	return component.Flash{Text: after.Name + " is to run version " + strconv.Itoa(after.SatelliteVersion) + ". Get and deploy it again to bring it there; until then it runs what it runs."}
}

func (s *server) askRemoveLaunch(r *request) error {
	return s.showLaunches(r, "Remove "+r.launch.Name, http.StatusOK, page.RemoveLaunchLayer(component.Confirm{
		Dialog: component.Dialog{Title: "Remove launch instance?", Close: r.launchURL()}, Action: r.launchURL("remove"), Token: newToken(), Does: "Remove launch instance",
	}, r.launch, "algo-install satellite "+r.satellite.ID+" "+r.launch.ID+" remove"))
}

func (s *server) removeLaunch(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		err := service.DeleteLaunch(r.Context(), r.p, r.satellite.ID, r.launch.ID, nil)
		return outcome{Target: r.satelliteURL(), Flash: component.Flash{Text: "Removed the launch instance " + r.launch.Name + ". What it deployed keeps running."}}, err
	})
}
