package admin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showKeys(v satelliteView) error {
	return s.keysPage(v, v.satellite.Name, http.StatusOK, nil)
}

// keysPage renders the keys, behind a layer when that is not nil.
func (s *server) keysPage(v satelliteView, title string, status int, layer templ.Component) error {
	m := page.SatelliteKeys{Satellite: s.base(v, title, "authentication", layer)}
	if layer == nil || fragment(v.r) != "layer" {
		l := readList(v.r, v.url("authentication"), "name")
		found, err := s.control.ListSatelliteKeys(v.ctx(), v.p, v.satellite.ID, l.query())
		if err != nil {
			return err
		}
		m.Query, m.Pager = l.q, l.pager(len(found.Items), found.Marker, 0)
		for _, k := range found.Items {
			m.Keys = append(m.Keys, page.KeyLine{SatelliteKey: k, State: keyState(&k, s.now())})
		}
	}
	return render(v.w, v.r, status, page.SatelliteKeysPage(m))
}

func keyState(k *constellation.SatelliteKey, now time.Time) component.Status {
	switch {
	case k.RevokedAt != nil:
		return component.Status{Mark: "■", Word: "Revoked", Tone: "off"}
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return component.Status{Mark: "■", Word: "Expired", Tone: "bad"}
	case k.ExpiresAt != nil && k.ExpiresAt.Sub(now) < 30*24*time.Hour:
		return component.Status{Mark: "▲", Word: "Ends soon", Tone: "warn"}
	}
	return component.Status{Mark: "●", Word: "Good", Tone: "good"}
}

func (s *server) askKey(v satelliteView) error {
	return s.renderKeyForm(v, http.StatusOK, page.KeyForm{Lifetime: "365"}, nil)
}

func (s *server) renderKeyForm(v satelliteView, status int, m page.KeyForm, problems component.Problems) error {
	m.Confirm = component.Confirm{
		Dialog: component.Dialog{Title: "New key", Close: v.url("authentication")}, Action: v.url("keys", "new"), Token: newToken(),
		Does: "Create key", Harmless: true, Problems: problems,
	}
	for _, a := range v.satellite.LatestVersion.Algorithms {
		m.Algorithms = append(m.Algorithms, a.VanityURL)
	}
	return s.keysPage(v, "New key", status, page.NewKeyLayer(m))
}

func (s *server) createSatelliteKey(v satelliteView) error {
	if err := parseForm(v.r); err != nil {
		return err
	}
	f := v.r.PostForm
	typed := page.KeyForm{Name: f.Get("name"), Lifetime: f.Get("lifetime"), PerSecond: f.Get("rate.per_second"), Limited: f["algorithms"]}
	key := control.NewSatelliteKey{Name: typed.Name, Algorithms: typed.Limited}
	if number := strings.TrimSpace(typed.PerSecond); number != "" {
		perSecond, err := strconv.ParseFloat(number, 64)
		if err != nil || perSecond == 0 {
			return s.renderKeyForm(v, http.StatusUnprocessableEntity, typed, component.Problems{"rate.per_second": "Type a number such as 50, or 0.5 for a call every two seconds; nothing is no limit"})
		}
		key.Rate.PerSecond = perSecond
	}
	if days, err := strconv.Atoi(typed.Lifetime); err == nil && days > 0 && days < 4000 {
		expires := s.now().Add(time.Duration(days) * 24 * time.Hour)
		key.ExpiresAt = &expires
	} else if typed.Lifetime != "" {
		return s.renderKeyForm(v, http.StatusUnprocessableEntity, typed, component.Problems{"lifetime": "Choose one of the lifetimes"})
	}
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		secret, _, err := service.CreateSatelliteKey(v.ctx(), v.p, v.satellite.ID, key)
		return outcome{Secret: secret}, err
	})
	if p, ok := problems(err); ok {
		return s.renderKeyForm(v, httpserve.Status(err), typed, p)
	}
	if err != nil {
		return err
	}
	return s.keysPage(v, "Key created", http.StatusOK, page.KeyMadeLayer(page.KeyMade{
		Dialog: component.Dialog{Title: "Key created", Close: v.url("authentication")}, Name: typed.Name, Secret: o.Secret,
		Example: callExample(v.satellite, o.Secret),
	}))
}

// callExample is a call of the satellite's first algorithm.
func callExample(satellite *constellation.Satellite, secret string) component.Command {
	vanity := "foo/bar"
	if list := satellite.LatestVersion.Algorithms; len(list) > 0 {
		vanity = list[0].VanityURL
	}
	return component.Command{
		Name: "Call", Help: "CLUSTER_DOMAIN is where the launch instance answers; its deploy prints it.",
		Text: shellLines("curl https://CLUSTER_DOMAIN/v1/algo/"+vanity, `-H "Authorization: Simple `+secret+`"`, `--json '"Neo"'`), Fill: []string{"CLUSTER_DOMAIN"},
	}
}

// key finds the key that the address names.
func (s *server) key(v satelliteView) (*constellation.SatelliteKey, error) {
	return s.control.GetSatelliteKey(v.ctx(), v.p, v.satellite.ID, chi.URLParam(v.r, "key_id"))
}

func (s *server) askRevoke(v satelliteView) error {
	k, err := s.key(v)
	if err != nil {
		return err
	}
	return s.keysPage(v, "Revoke key", http.StatusOK, page.RevokeKeyLayer(component.Confirm{
		Dialog: component.Dialog{Title: "Revoke key?", Close: v.url("authentication")}, Action: v.url("keys", k.ID, "revoke"), Token: newToken(), Does: "Revoke key",
	}, k, v.satellite.LaunchCount))
}

func (s *server) revokeSatelliteKey(v satelliteView) error {
	if err := parseForm(v.r); err != nil {
		return err
	}
	k, err := s.key(v)
	if err != nil {
		return err
	}
	o, err := s.once(v.r, v.p, func(service *control.Service) (outcome, error) {
		err := service.RevokeSatelliteKey(v.ctx(), v.p, v.satellite.ID, k.ID)
		return outcome{Target: v.url("authentication"), Flash: component.Flash{Text: "Revoked the key " + k.Name + "."}}, err
	})
	if err != nil {
		return err
	}
	return finish(v.w, v.r, o)
}
