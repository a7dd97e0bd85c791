package admin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showKeys(r *request) error {
	return s.keysPage(r, r.satellite.Name, http.StatusOK, nil)
}

// keysPage renders the keys, behind a layer when that is not nil.
func (s *server) keysPage(r *request, title string, status int, layer templ.Component) error {
	m := page.SatelliteKeys{Satellite: s.base(r, title, "authentication", layer)}
	if layer == nil || r.fragment() != "layer" {
		l := readList(r, r.satelliteURL("authentication"), "name")
		found, err := s.control.ListSatelliteKeys(r.Context(), r.p, r.satellite.ID, l.query())
		if err != nil {
			return err
		}
		m.Query, m.Pager = l.q, pagerOf(l, found)
		for _, k := range found.Items {
			m.Keys = append(m.Keys, page.KeyLine{SatelliteKey: k, State: keyState(&k, s.now())})
		}
	}
	return r.render(status, page.SatelliteKeysPage(m))
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

func (s *server) askKey(r *request) error {
	return s.renderKeyForm(r, http.StatusOK, page.KeyForm{Lifetime: "365"}, nil)
}

func (s *server) renderKeyForm(r *request, status int, m page.KeyForm, problems component.Problems) error {
	m.Confirm = component.Confirm{
		Dialog: component.Dialog{Title: "New key", Close: r.satelliteURL("authentication")}, Action: r.satelliteURL("keys", "new"), Token: newToken(),
		Does: "Create key", Harmless: true, Problems: problems,
	}
	for _, a := range r.satellite.LatestVersion.Algorithms {
		m.Algorithms = append(m.Algorithms, a.VanityURL)
	}
	return s.keysPage(r, "New key", status, page.NewKeyLayer(m))
}

func (s *server) createSatelliteKey(r *request) error {
	f := r.PostForm
	typed := page.KeyForm{Name: f.Get("name"), Lifetime: f.Get("lifetime"), PerSecond: f.Get("rate.per_second"), Limited: f["algorithms"], Callback: strings.TrimSpace(f.Get("callback_url"))}
	key := control.NewSatelliteKey{Name: typed.Name, Algorithms: typed.Limited, CallbackURL: typed.Callback}
	if number := strings.TrimSpace(typed.PerSecond); number != "" {
		perSecond, err := strconv.ParseFloat(number, 64)
		if err != nil || perSecond == 0 {
			return s.renderKeyForm(r, http.StatusUnprocessableEntity, typed, component.Problems{"rate.per_second": "Type a number such as 50, or 0.5 for a call every two seconds; nothing is no limit"})
		}
		key.Rate = &constellation.KeyRate{PerSecond: perSecond}
	}
	if days, err := strconv.Atoi(typed.Lifetime); err == nil && days > 0 && days < 4000 {
		expires := s.now().Add(time.Duration(days) * 24 * time.Hour)
		key.ExpiresAt = &expires
	} else if typed.Lifetime != "" {
		return s.renderKeyForm(r, http.StatusUnprocessableEntity, typed, component.Problems{"lifetime": "Choose one of the lifetimes"})
	}
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		secret, _, err := service.CreateSatelliteKey(r.Context(), r.p, r.satellite.ID, key)
		return outcome{Secret: secret}, err
	})
	if p, ok := problems(err); ok {
		return s.renderKeyForm(r, httpserve.Status(err), typed, p)
	}
	if err != nil {
		return err
	}
	return s.keysPage(r, "Key created", http.StatusOK, page.KeyMadeLayer(page.KeyMade{
		Dialog: component.Dialog{Title: "Key created", Close: r.satelliteURL("authentication")}, Name: typed.Name, Secret: o.Secret,
		Example: callExample(r.satellite, o.Secret),
	}))
}

// callExample returns a call of the satellite's first algorithm.
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
func (s *server) key(r *request) (*constellation.SatelliteKey, error) {
	return s.control.GetSatelliteKey(r.Context(), r.p, r.satellite.ID, r.param("key_id"))
}

func (s *server) askRevoke(r *request) error {
	k, err := s.key(r)
	if err != nil {
		return err
	}
	return s.keysPage(r, "Revoke "+k.Name, http.StatusOK, page.RevokeKeyLayer(component.Confirm{
		Dialog: component.Dialog{Title: "Revoke key?", Close: r.satelliteURL("authentication")}, Action: r.satelliteURL("keys", k.ID, "revoke"), Token: newToken(), Does: "Revoke key",
	}, k, r.satellite.LaunchCount))
}

func (s *server) revokeSatelliteKey(r *request) error {
	k, err := s.key(r)
	if err != nil {
		return err
	}
	return s.act(r, func(service *control.Service) (outcome, error) {
		err := service.RevokeSatelliteKey(r.Context(), r.p, r.satellite.ID, k.ID)
		return outcome{Target: r.satelliteURL("authentication"), Flash: component.Flash{Text: "Revoked the key " + k.Name + "."}}, err
	})
}
