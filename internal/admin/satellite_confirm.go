package admin

import (
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) askRenew(v satelliteView) error {
	return s.renderRenew(v, http.StatusOK, s.now().AddDate(1, 0, 0).UTC().Format(time.DateOnly), nil)
}

func (s *server) renderRenew(v satelliteView, status int, date string, problems component.Problems) error {
	return s.showLaunches(v, "Renew satellite", status, page.RenewLayer(page.RenewForm{
		Confirm: component.Confirm{
			Dialog: component.Dialog{Title: "Renew satellite", Close: v.url()}, Action: v.url("renew"), Token: newToken(),
			Does: "Renew", Harmless: true, Problems: problems,
		},
		Satellite: v.satellite, Date: date,
	}))
}

func (s *server) renew(v satelliteView) error {
	if err := parseForm(v.r); err != nil {
		return err
	}
	typed := v.r.PostForm.Get("expires_at")
	day, err := time.Parse(time.DateOnly, typed)
	if err != nil {
		return s.renderRenew(v, http.StatusUnprocessableEntity, typed, component.Problems{"expires_at": "Give a day as year, month and day, such as 2027-01-31"})
	}
	expires := day.AddDate(0, 0, 1).Add(-time.Second) // the end of that day
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		_, err := service.UpdateSatellite(v.ctx(), v.p, v.satellite.ID, nil, control.SatelliteChange{ExpiresAt: &expires})
		return outcome{Target: v.url(), Flash: component.Flash{Text: "Renewed: it expires at the end of " + expires.Format(time.DateOnly) + "."}}, err
	})
	if p, ok := problems(err); ok {
		return s.renderRenew(v, httpserve.Status(err), typed, p)
	}
	if err != nil {
		return err
	}
	return finish(v.w, v.r, o)
}

func (s *server) askRemove(v satelliteView) error {
	return s.renderRemove(v, http.StatusOK, nil)
}

func (s *server) renderRemove(v satelliteView, status int, problems component.Problems) error {
	return s.showLaunches(v, "Remove satellite", status, page.RemoveSatelliteLayer(component.Confirm{
		Dialog: component.Dialog{Title: "Remove satellite?", Close: v.url()}, Action: v.url("remove"), Token: newToken(),
		Does: "Remove satellite", Problems: problems,
	}, v.satellite))
}

// remove removes the satellite. Sent twice, or removed by somebody else in
// between, it is gone either way.
func (s *server) remove(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.satelliteForm(func(v satelliteView) error {
		o, err := s.once(r, p, func(service *control.Service) (outcome, error) {
			err := service.DeleteSatellite(r.Context(), p, v.satellite.ID, nil)
			return outcome{Target: "/", Flash: component.Flash{Text: "Removed the satellite " + v.satellite.Name + ". What runs keeps running."}}, err
		})
		if p, ok := problems(err); ok {
			return s.renderRemove(v, httpserve.Status(err), p)
		}
		if err != nil {
			return err
		}
		return finish(w, r, o)
	})(w, r, p)
}

// satelliteForm is satellite, for a form that may have been sent before and
// have taken the satellite with it: then its first outcome is told again.
func (s *server) satelliteForm(h func(v satelliteView) error) signedInHandler {
	found := s.satellite(h)
	return func(w http.ResponseWriter, r *http.Request, p control.Principal) error {
		if r.Method != http.MethodPost {
			return found(w, r, p)
		}
		if err := parseForm(r); err != nil {
			return err
		}
		err := found(w, r, p)
		if constellation.KindOf(err) != constellation.KindNotFound {
			return err
		}
		o, again := s.once(r, p, func(*control.Service) (outcome, error) { return outcome{}, err })
		if again != nil {
			return err
		}
		return finish(w, r, o)
	}
}
