package admin

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// launchView is a request about one launch instance.
type launchView struct {
	satelliteView
	launch *constellation.Launch
}

func (v launchView) url(below ...string) string {
	return v.satelliteView.url(append([]string{"launches", v.launch.ID}, below...)...)
}

// launch finds the launch instance that the address names.
func (s *server) launch(h func(v launchView) error) signedInHandler {
	return s.satelliteForm(func(v satelliteView) error {
		launch, err := s.control.GetLaunch(v.ctx(), v.p, v.satellite.ID, chi.URLParam(v.r, "launch_id"))
		if err != nil {
			return err
		}
		return h(launchView{satelliteView: v, launch: launch})
	})
}

// places are what the install commands leave to be filled in.
var places = []component.Input{
	{Label: "Registry", Name: "registry", Help: "registry.example.com/algorithms"},
	{Label: "Kubeconfig", Name: "kubeconfig", Help: "/home/algo/cust8s.conf"},
	{Label: "Namespace", Name: "namespace", Help: "algorithms"},
}

func (s *server) showLaunch(v launchView) error {
	m := page.Launch{
		Dialog: component.Dialog{Title: v.launch.Name, Close: v.satelliteView.url()}, Frame: s.frame(v.r, v.launch.Name, v.p),
		Satellite: v.satellite, Launch: v.launch, MayLaunch: v.p.Role.Rank() >= constellation.RoleOperator.Rank(), Commands: s.installCommands(v.launch),
	}
	var err error
	if m.Performance, err = s.performance(v); err != nil {
		return err
	}
	filled := map[string]string{}
	for _, place := range places {
		place.Value = v.r.URL.Query().Get(place.Name)
		filled[place.Name] = place.Value
		m.Places = append(m.Places, place)
	}
	for i := range m.Commands {
		m.Commands[i].Values = filled
	}
	return s.showLaunches(v.satelliteView, v.launch.Name, http.StatusOK, page.LaunchSheet(m))
}

func (s *server) askNewLaunch(v satelliteView) error {
	return s.renderLaunchForm(v, nil, http.StatusOK, page.LaunchForm{Version: strconv.Itoa(v.satellite.LatestVersion.Number)}, nil)
}

// renderLaunchForm is New launch instance, or Edit launch instance of one.
func (s *server) renderLaunchForm(v satelliteView, launch *constellation.Launch, status int, m page.LaunchForm, problems component.Problems) error {
	m.Satellite = v.satellite
	m.Confirm = component.Confirm{
		Dialog: component.Dialog{Title: "New launch instance", Close: v.url()}, Action: v.url("launches", "new"), Token: newToken(),
		Does: "Create launch instance", Harmless: true, Problems: problems,
	}
	if launch != nil {
		url := launchView{v, launch}.url
		m.Title, m.Close, m.Action, m.Does = "Edit launch instance", url(), url("edit"), "Save changes"
		m.Note = "This changes what the next get and deploy install. What runs stays as it is until it is launched again."
	}
	return s.showLaunches(v, m.Title, status, page.LaunchFormLayer(m))
}

// typedLaunch is the form of a launch instance as it was sent.
func typedLaunch(r *http.Request) (page.LaunchForm, int) {
	f := r.PostForm
	m := page.LaunchForm{Version: f.Get("satellite_version"), Name: f.Get("name"), Description: f.Get("description"), Revision: f.Get("revision")}
	n, err := strconv.Atoi(m.Version)
	if err != nil {
		n = -1 // no version; the check says which there are
	}
	return m, n
}

func (s *server) createLaunch(v satelliteView) error {
	if err := parseForm(v.r); err != nil {
		return err
	}
	m, version := typedLaunch(v.r)
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		made, err := service.CreateLaunch(v.ctx(), v.p, v.satellite.ID, control.NewLaunch{SatelliteVersion: version, Name: m.Name, Description: m.Description})
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: v.url(), Flash: component.Flash{
			Text: "Created the launch instance " + made.Name + ".", URL: v.url("launches", made.ID), Label: "Install it",
		}}, nil
	})
	if p, ok := problems(err); ok {
		return s.renderLaunchForm(v, nil, httpserve.Status(err), m, p)
	}
	if err != nil {
		return err
	}
	return finish(v.w, v.r, o)
}

func (s *server) askEditLaunch(v launchView) error {
	return s.renderLaunchForm(v.satelliteView, v.launch, http.StatusOK, page.LaunchForm{
		Version: strconv.Itoa(v.launch.SatelliteVersion), Name: v.launch.Name, Description: v.launch.Description, Revision: strconv.FormatInt(v.launch.Revision, 10),
	}, nil)
}

func (s *server) editLaunch(v launchView) error {
	if err := parseForm(v.r); err != nil {
		return err
	}
	m, version := typedLaunch(v.r)
	revision, _ := strconv.ParseInt(m.Revision, 10, 64) // 0 fits no launch
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		changed, err := service.UpdateLaunch(v.ctx(), v.p, v.satellite.ID, v.launch.ID, &revision,
			control.LaunchChange{SatelliteVersion: &version, Name: &m.Name, Description: &m.Description})
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: v.url(), Flash: changedLaunch(v.launch, changed)}, nil
	})
	if constellation.KindOf(err) == constellation.KindPreconditionFailed {
		m.Revision = strconv.FormatInt(v.launch.Revision, 10)
		return s.renderLaunchForm(v.satelliteView, v.launch, http.StatusPreconditionFailed, m, component.Problems{"": launchConflict(v.launch)})
	}
	if p, ok := problems(err); ok {
		return s.renderLaunchForm(v.satelliteView, v.launch, httpserve.Status(err), m, p)
	}
	if err != nil {
		return err
	}
	return finish(v.w, v.r, o)
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

func (s *server) askRemoveLaunch(v launchView) error {
	return s.showLaunches(v.satelliteView, "Remove launch instance", http.StatusOK, page.RemoveLaunchLayer(component.Confirm{
		Dialog: component.Dialog{Title: "Remove launch instance?", Close: v.url()}, Action: v.url("remove"), Token: newToken(), Does: "Remove launch instance",
	}, v.launch, "algo-install satellite "+v.satellite.ID+" "+v.launch.ID+" remove"))
}

func (s *server) removeLaunch(v launchView) error {
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		err := service.DeleteLaunch(v.ctx(), v.p, v.satellite.ID, v.launch.ID, nil)
		return outcome{Target: v.satelliteView.url(), Flash: component.Flash{Text: "Removed the launch instance " + v.launch.Name + ". What it deployed keeps running."}}, err
	})
	if err != nil {
		return err
	}
	return finish(v.w, v.r, o)
}
