package admin

import (
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// showRegistriesWith shows the registries elsewhere, with a layer above.
func (s *server) showRegistriesWith(r *request, status int, with func(*page.Registries)) error {
	l := readList(r, page.RegistriesURL, "host")
	found, err := s.control.ListForeignRegistries(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	m := page.Registries{
		Frame: s.frame(r, "Registries"), Query: l.q, Sort: l.sort, Orders: l.orders("host", "created_at"), Registries: found.Items, Pager: pagerOf(l, found), Token: newToken(),
	}
	m.Frame.Section = "registries"
	with(&m)
	m.Titled()
	return r.render(status, page.RegistriesPage(m))
}

func (s *server) listRegistries(r *request) error {
	return s.showRegistriesWith(r, http.StatusOK, func(*page.Registries) {})
}

func (s *server) newRegistry(r *request) error {
	return s.showRegistriesWith(r, http.StatusOK, func(m *page.Registries) { m.Form = &page.RegistryForm{Token: newToken()} })
}

// readRegistry returns what a form of a registry has, as it was typed and as the change
// that it asks for. What is typed of a password is not shown again.
func readRegistry(r *request, f page.RegistryForm) (*page.RegistryForm, control.RegistryChange) {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	f.Username, f.CA, f.PlainHTTP = get("username"), get("ca"), get("plain_http") == "true"
	if f.ID == "" {
		f.Host = get("host")
	}
	c := control.RegistryChange{PlainHTTP: &f.PlainHTTP, CA: &f.CA, Username: &f.Username}
	if password := r.PostForm.Get("password"); password != "" {
		c.Password = &password
	}
	return &f, c
}

func (s *server) createRegistry(r *request) error {
	form, change := readRegistry(r, page.RegistryForm{})
	return s.saveRegistryForm(r, form, func(service *control.Service) (string, error) {
		made, err := service.CreateForeignRegistry(r.Context(), r.p, form.Host, change)
		if err != nil {
			return "", err
		}
		return "Added the registry " + made.Host + ".", nil
	})
}

func (s *server) editRegistry(r *request) error {
	found, err := s.control.GetForeignRegistry(r.Context(), r.p, r.param("registry_id"))
	if err != nil {
		return err
	}
	return s.showRegistriesWith(r, http.StatusOK, func(m *page.Registries) {
		m.Form = &page.RegistryForm{
			ID: found.ID, Token: newToken(), Host: found.Host, Username: found.Username, CA: found.CA, PlainHTTP: found.PlainHTTP, HasPassword: found.HasPassword(),
		}
	})
}

func (s *server) saveRegistry(r *request) error {
	found, err := s.control.GetForeignRegistry(r.Context(), r.p, r.param("registry_id"))
	if err != nil {
		return s.replay(r, err)
	}
	form, change := readRegistry(r, page.RegistryForm{ID: found.ID, Host: found.Host, HasPassword: found.HasPassword()})
	return s.saveRegistryForm(r, form, func(service *control.Service) (string, error) {
		_, err := service.UpdateForeignRegistry(r.Context(), r.p, found.ID, change)
		return "Saved the registry " + found.Host + ".", err
	})
}

// saveRegistryForm does what a form asks for, or shows it again with what is wrong.
func (s *server) saveRegistryForm(r *request, form *page.RegistryForm, save func(*control.Service) (string, error)) error {
	return s.submit(r, func(service *control.Service) (outcome, error) {
		text, err := save(service)
		return outcome{Target: page.RegistriesURL, Flash: component.Flash{Text: text}}, err
	}, func(shown component.Problems) error {
		form.Problems, form.Token = shown, newToken()
		return s.showRegistriesWith(r, http.StatusUnprocessableEntity, func(m *page.Registries) { m.Form = form })
	})
}

// testRegistry asks a registry whether it lets us in, and says what it answered.
func (s *server) testRegistry(r *request) error {
	found, why, err := s.control.TestForeignRegistry(r.Context(), r.p, r.param("registry_id"))
	if err != nil {
		return err
	}
	said := component.Flash{Text: found.Host + " answers, and asks for no login."}
	switch {
	case why != "":
		said = component.Flash{Text: component.Sentence("The test failed: " + why), Bad: true}
	case found.Username != "":
		said.Text = found.Host + " answers, and lets " + found.Username + " in."
	}
	return r.finish(outcome{Target: page.RegistriesURL, Flash: said})
}

func (s *server) askRemoveRegistry(r *request) error {
	found, err := s.control.GetForeignRegistry(r.Context(), r.p, r.param("registry_id"))
	if err != nil {
		return err
	}
	return s.showRegistriesWith(r, http.StatusOK, func(m *page.Registries) {
		m.Remove = &component.Confirm{
			Dialog: component.Dialog{Title: "Remove " + found.Host + "?", Close: page.RegistriesURL}, Action: page.RegistryURL(found.ID, "remove"), Token: newToken(), Does: "Remove registry",
		}
	})
}

func (s *server) removeRegistry(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		found, err := service.GetForeignRegistry(r.Context(), r.p, r.param("registry_id"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.RegistriesURL, Flash: component.Flash{Text: "Removed the registry " + found.Host + "."}}, service.DeleteForeignRegistry(r.Context(), r.p, found.ID)
	})
}
