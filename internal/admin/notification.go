package admin

import (
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// showDestinationsWith shows where people are told, with a layer above.
func (s *server) showDestinationsWith(r *request, status int, with func(*page.Destinations)) error {
	l := readList(r, page.NotificationsURL, "name")
	found, err := s.control.ListDestinations(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	m := page.Destinations{
		Frame: s.frame(r, "Notifications"), Query: l.q, Sort: l.sort, Orders: l.orders("name", "created_at"), Destinations: found.Items,
		Pager: pagerOf(l, found), Token: newToken(),
	}
	m.Frame.Section = "notifications"
	with(&m)
	m.Titled()
	return r.render(status, page.DestinationsPage(m))
}

func (s *server) listDestinations(r *request) error {
	return s.showDestinationsWith(r, http.StatusOK, func(*page.Destinations) {})
}

func (s *server) newDestination(r *request) error {
	return s.showDestinationsWith(r, http.StatusOK, func(m *page.Destinations) {
		m.Form = &page.DestinationForm{Token: newToken(), Kind: string(constellation.DestinationWebhook)}
	})
}

// readDestination returns what a form of a destination has, as it was typed and as the
// change that it asks for.
func readDestination(r *request, id string, kind constellation.DestinationKind) (*page.DestinationForm, control.DestinationChange) {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	f := &page.DestinationForm{
		ID: id, Name: get("name"), Kind: string(kind), URL: get("url"), Secret: get("secret"), Recipients: strings.TrimSpace(r.PostForm.Get("recipients")),
		Disabled: get("disabled") == "true",
	}
	if id == "" {
		f.Kind = get("kind")
	}
	c := control.DestinationChange{Name: &f.Name, Kind: constellation.DestinationKind(f.Kind)}
	mail := c.Kind == constellation.DestinationEmail
	if id != "" {
		c.Disabled = &f.Disabled
	}
	if f.URL != "" && !mail {
		c.URL = &f.URL
	}
	if f.Secret != "" && !mail {
		c.Secret = &f.Secret
	}
	if mail {
		list := strings.FieldsFunc(f.Recipients, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' })
		c.Recipients = &list
	}
	return f, c
}

func (s *server) createDestination(r *request) error {
	form, change := readDestination(r, "", "")
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		d, secret, err := service.CreateDestination(r.Context(), r.p, change)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.NotificationsURL, Flash: component.Flash{Text: "Added the destination " + d.Name + "."}, Secret: secret}, nil
	})
	if shown, ok := problems(err); ok {
		form.Problems, form.Token = shown, newToken()
		return s.showDestinationsWith(r, http.StatusUnprocessableEntity, func(m *page.Destinations) { m.Form = form })
	}
	if err != nil {
		return err
	}
	if o.Secret == "" {
		return r.finish(o)
	}
	return s.showDestinationsWith(r, http.StatusOK, func(m *page.Destinations) {
		m.Secret = &page.Secret{
			Title: "Secret of " + form.Name, What: "the secret", Value: o.Secret, Close: page.NotificationsURL,
			Text: "Give it to the receiver, which checks signatures with it. It is not shown again; another one can be set.",
		}
	})
}

func (s *server) editDestination(r *request) error {
	d, err := s.control.GetDestination(r.Context(), r.p, r.param("destination_id"))
	if err != nil {
		return err
	}
	form := &page.DestinationForm{ID: d.ID, Token: newToken(), Name: d.Name, Kind: string(d.Kind), Disabled: d.Disabled}
	if d.Kind == constellation.DestinationEmail {
		form.Recipients = strings.ReplaceAll(d.Address, ", ", "\n")
	}
	return s.showDestinationsWith(r, http.StatusOK, func(m *page.Destinations) { m.Form = form })
}

func (s *server) saveDestination(r *request) error {
	d, err := s.control.GetDestination(r.Context(), r.p, r.param("destination_id"))
	if err != nil {
		return s.replay(r, err)
	}
	form, change := readDestination(r, d.ID, d.Kind)
	return s.submit(r, func(service *control.Service) (outcome, error) {
		d, err := service.UpdateDestination(r.Context(), r.p, d.ID, change)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.NotificationsURL, Flash: component.Flash{Text: "Saved the destination " + d.Name + "."}}, nil
	}, func(shown component.Problems) error {
		form.Problems, form.Token = shown, newToken()
		return s.showDestinationsWith(r, http.StatusUnprocessableEntity, func(m *page.Destinations) { m.Form = form })
	})
}

func (s *server) testDestination(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		d, err := service.TestDestination(r.Context(), r.p, r.param("destination_id"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.NotificationLogURL, Flash: component.Flash{Text: "A test is being sent to " + d.DestinationName + "."}}, nil
	})
}

func (s *server) removeDestinationQuestion(d *constellation.Destination, p component.Problems) *component.Confirm {
	return &component.Confirm{
		Dialog: component.Dialog{Title: "Remove " + d.Name + "?", Close: page.NotificationsURL}, Action: page.DestinationURL(d.ID, "remove"), Token: newToken(), Does: "Remove destination", Problems: p,
	}
}

func (s *server) askRemoveDestination(r *request) error {
	d, err := s.control.GetDestination(r.Context(), r.p, r.param("destination_id"))
	if err != nil {
		return err
	}
	return s.showDestinationsWith(r, http.StatusOK, func(m *page.Destinations) { m.Remove = s.removeDestinationQuestion(d, nil) })
}

func (s *server) removeDestination(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		d, err := service.GetDestination(r.Context(), r.p, r.param("destination_id"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.NotificationsURL, Flash: component.Flash{Text: "Removed the destination " + d.Name + "."}}, service.DeleteDestination(r.Context(), r.p, d.ID)
	})
}

// showDeliveries shows the log of messages.
func (s *server) showDeliveries(r *request) error {
	l := readList(r, page.NotificationLogURL, "-created_at")
	state := r.URL.Query().Get("state")
	found, err := s.control.ListDeliveries(r.Context(), r.p, control.DeliveryFilter{State: state}, l.query())
	if err != nil {
		return err
	}
	l.keep = map[string]string{"state": state}
	m := page.Deliveries{Frame: s.frame(r, "Notifications"), Query: l.q, State: state, Deliveries: found.Items, Pager: pagerOf(l, found), Token: newToken()}
	m.Frame.Section = "notifications"
	return r.render(http.StatusOK, page.DeliveriesPage(m))
}

func (s *server) resendDelivery(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		d, err := service.ResendDelivery(r.Context(), r.p, r.param("delivery_id"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.NotificationLogURL, Flash: component.Flash{Text: "The message is being sent again to " + d.DestinationName + "."}}, nil
	})
}
