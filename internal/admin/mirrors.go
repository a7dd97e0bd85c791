package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// mirrorsShown is how many mirrors of an algorithm its page has.
const mirrorsShown = 50

// readMirrors returns the part of an algorithm's page that has its mirrors; nil for who
// may not see them.
func (s *server) readMirrors(r *request, a *constellation.Algorithm) (*page.Mirrors, error) {
	if r.p.Role != constellation.RoleAdmin {
		return nil, nil
	}
	found, err := s.control.ListMirrors(r.Context(), r.p, a.Owner+"/"+a.Name, control.ListQuery{Sort: "source", Limit: mirrorsShown})
	if err != nil {
		return nil, err
	}
	return &page.Mirrors{Path: "/algorithms/" + a.Owner + "/" + a.Name, List: found.Items, More: found.Marker != "", Token: newToken()}, nil
}

// namedMirror finds the mirror that the address names, which is of the algorithm there.
func (s *server) namedMirror(r *request, service *control.Service) (*constellation.Mirror, error) {
	m, err := service.GetMirror(r.Context(), r.p, r.param("mirror_id"))
	if err == nil && !strings.EqualFold(m.Algorithm(), r.param("owner")+"/"+r.param("name")) {
		err = constellation.Errorf(constellation.KindNotFound, "there is no such mirror of %s/%s", r.param("owner"), r.param("name"))
	}
	return m, err
}

func (r *request) algorithmPath() string {
	return "/algorithms/" + r.param("owner") + "/" + r.param("name")
}

func (s *server) newMirror(r *request) error {
	return s.showAlgorithmWith(r, http.StatusOK, func(m *page.Mirrors) {
		m.Form = &page.MirrorForm{
			Token: newToken(), Action: m.Path + "/mirrors/new", Tags: "*", Keep: strconv.Itoa(constellation.DefaultMirrorTags), Interval: strconv.Itoa(constellation.DefaultMirrorInterval),
		}
	})
}

// readMirror returns what a form of a mirror has, as it was typed and as the change that
// it asks for. What is no number is -1, which no mirror may have.
func readMirror(r *request, f page.MirrorForm) (*page.MirrorForm, control.MirrorChange) {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	f.Tags, f.Keep, f.Interval, f.Disabled = get("tags"), get("keep"), get("interval_seconds"), get("disabled") == "true"
	number := func(text string) *int {
		n, err := strconv.Atoi(text)
		if err != nil {
			n = -1
		}
		return &n
	}
	tags := strings.FieldsFunc(f.Tags, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' })
	c := control.MirrorChange{Tags: &tags, Keep: number(f.Keep), IntervalSeconds: number(f.Interval)}
	if f.ID == "" {
		f.Source = get("source")
	} else {
		c.Disabled = &f.Disabled
	}
	return &f, c
}

func (s *server) createMirror(r *request) error {
	form, change := readMirror(r, page.MirrorForm{Action: r.algorithmPath() + "/mirrors/new"})
	return s.saveMirrorForm(r, form, func(service *control.Service) (string, error) {
		m, err := service.CreateMirror(r.Context(), r.p, r.param("owner")+"/"+r.param("name"), form.Source, change)
		if err != nil {
			return "", err
		}
		return "Added the mirror of " + m.Source + ". It is being polled.", nil
	})
}

func (s *server) editMirror(r *request) error {
	found, err := s.namedMirror(r, s.control)
	if err != nil {
		return err
	}
	return s.showAlgorithmWith(r, http.StatusOK, func(m *page.Mirrors) {
		m.Form = &page.MirrorForm{
			ID: found.ID, Token: newToken(), Action: r.URL.Path, Source: found.Source, Tags: strings.Join(found.Tags, " "), Keep: strconv.Itoa(found.Keep),
			Interval: strconv.Itoa(found.IntervalSeconds), Disabled: found.Disabled,
		}
	})
}

func (s *server) saveMirror(r *request) error {
	found, err := s.namedMirror(r, s.control)
	if err != nil {
		return s.replay(r, err)
	}
	form, change := readMirror(r, page.MirrorForm{ID: found.ID, Action: r.URL.Path, Source: found.Source})
	return s.saveMirrorForm(r, form, func(service *control.Service) (string, error) {
		_, err := service.UpdateMirror(r.Context(), r.p, found.ID, change)
		return "Saved the mirror of " + found.Source + ".", err
	})
}

// saveMirrorForm does what a form asks for, or shows it again with what is wrong.
func (s *server) saveMirrorForm(r *request, form *page.MirrorForm, save func(*control.Service) (string, error)) error {
	return s.submit(r, func(service *control.Service) (outcome, error) {
		text, err := save(service)
		return outcome{Target: r.algorithmPath(), Flash: component.Flash{Text: text}}, err
	}, func(shown component.Problems) error {
		form.Problems, form.Token = shown, newToken()
		return s.showAlgorithmWith(r, http.StatusUnprocessableEntity, func(m *page.Mirrors) { m.Form = form })
	})
}

func (s *server) pollMirror(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		m, err := s.namedMirror(r, service)
		if err == nil {
			m, err = service.PollMirror(r.Context(), r.p, m.ID)
		}
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.algorithmPath(), Flash: component.Flash{Text: m.Source + " is being polled."}}, nil
	})
}

func (s *server) askRemoveMirror(r *request) error {
	found, err := s.namedMirror(r, s.control)
	if err != nil {
		return err
	}
	return s.showAlgorithmWith(r, http.StatusOK, func(m *page.Mirrors) {
		m.Remove = &component.Confirm{
			Dialog: component.Dialog{Title: "Remove the mirror of " + found.Source + "?", Close: m.Path}, Action: r.URL.Path, Token: newToken(), Does: "Remove mirror",
		}
	})
}

func (s *server) removeMirror(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		m, err := s.namedMirror(r, service)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.algorithmPath(), Flash: component.Flash{Text: "Removed the mirror of " + m.Source + "."}}, service.DeleteMirror(r.Context(), r.p, m.ID)
	})
}
