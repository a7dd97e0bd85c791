package admin

import (
	"net/http"
	"strconv"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) askRemoveSatelliteVersion(r *request) error {
	return s.renderRemoveSatelliteVersion(r, http.StatusOK, nil)
}

func (s *server) renderRemoveSatelliteVersion(r *request, status int, problem component.Problems) error {
	version, err := s.version(r, r.param("number"))
	if err != nil {
		return err
	}
	users, err := s.control.SatelliteVersionUsers(r.Context(), r.p, r.satellite.ID, version.Number)
	if err != nil {
		return err
	}
	number := strconv.Itoa(version.Number)
	return s.versionsPage(r, "Remove version "+number, status, page.RemoveSatelliteVersionLayer(page.RemoveSatelliteVersion{
		Confirm: component.Confirm{
			Dialog: component.Dialog{Title: "Remove version " + number + "?", Close: r.satelliteURL("versions")}, Action: r.satelliteURL("versions", number, "remove"),
			Token: newToken(), Does: "Remove version " + number, Problems: problem,
		},
		Satellite: r.satellite, Version: version, Users: users, MoreUsers: len(users) == control.MaxSatelliteVersionUsers,
	}))
}

// removeSatelliteVersion removes the version that the address names. Sent twice, it is
// gone after the first time.
func (s *server) removeSatelliteVersion(r *request) error {
	number, _ := strconv.Atoi(r.param("number")) // 0 is no version
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		err := service.DeleteSatelliteVersion(r.Context(), r.p, r.satellite.ID, number)
		return outcome{Target: r.satelliteURL("versions"), Flash: component.Flash{Text: "Removed version " + strconv.Itoa(number) + ". What runs keeps running."}}, err
	})
	if p, ok := problems(err); ok {
		return s.renderRemoveSatelliteVersion(r, httpserve.Status(err), p)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}
