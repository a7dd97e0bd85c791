package admin

import (
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) askRenew(r *request) error {
	return s.renderRenew(r, http.StatusOK, s.now().AddDate(1, 0, 0).UTC().Format(time.DateOnly), nil)
}

func (s *server) renderRenew(r *request, status int, date string, problems component.Problems) error {
	return s.showLaunches(r, "Renew satellite", status, page.RenewLayer(page.RenewForm{
		Confirm: component.Confirm{
			Dialog: component.Dialog{Title: "Renew satellite", Close: r.satelliteURL()}, Action: r.satelliteURL("renew"), Token: newToken(),
			Does: "Renew", Harmless: true, Problems: problems,
		},
		Satellite: r.satellite, Date: date,
	}))
}

func (s *server) renew(r *request) error {
	typed := r.PostForm.Get("expires_at")
	day, err := time.Parse(time.DateOnly, typed)
	if err != nil {
		return s.renderRenew(r, http.StatusUnprocessableEntity, typed, component.Problems{"expires_at": "Give a day as year, month and day, such as 2027-01-31"})
	}
	expires := day.AddDate(0, 0, 1).Add(-time.Second) // the end of that day
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		_, err := service.UpdateSatellite(r.Context(), r.p, r.satellite.ID, nil, control.SatelliteChange{ExpiresAt: &expires})
		return outcome{Target: r.satelliteURL(), Flash: component.Flash{Text: "Renewed: it expires at the end of " + expires.Format(time.DateOnly) + "."}}, err
	})
	if p, ok := problems(err); ok {
		return s.renderRenew(r, httpserve.Status(err), typed, p)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

func (s *server) askRemove(r *request) error {
	return s.renderRemove(r, http.StatusOK, nil)
}

func (s *server) renderRemove(r *request, status int, problems component.Problems) error {
	return s.showLaunches(r, "Remove satellite", status, page.RemoveSatelliteLayer(component.Confirm{
		Dialog: component.Dialog{Title: "Remove satellite?", Close: r.satelliteURL("edit")}, Action: r.satelliteURL("remove"), Token: newToken(),
		Does: "Remove satellite", Problems: problems,
	}, r.satellite))
}

// remove removes the satellite. Sent twice, or removed by somebody else in
// between, it is gone either way.
func (s *server) remove(r *request) error {
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		err := service.DeleteSatellite(r.Context(), r.p, r.satellite.ID, nil)
		return outcome{Target: "/", Flash: component.Flash{Text: "Removed the satellite " + r.satellite.Name + ". What runs keeps running."}}, err
	})
	if p, ok := problems(err); ok {
		return s.renderRemove(r, httpserve.Status(err), p)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}
