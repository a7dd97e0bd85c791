package admin

import (
	"net/http"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// showMirrorTags shows the tags that a mirror matches, and what became of each.
func (s *server) showMirrorTags(r *request) error {
	found, err := s.namedMirror(r, s.control)
	if err != nil {
		return err
	}
	tags, err := s.control.MirrorTags(r.Context(), r.p, found.ID)
	if err != nil {
		return err
	}
	return s.showAlgorithmWith(r, http.StatusOK, func(m *page.Mirrors) {
		m.Tags = &page.MirrorTags{Mirror: *found, List: tags, More: len(tags) == control.MirrorTagsShown}
	})
}

// askWebhook says how a registry tells a mirror of pushes, and offers the secret address.
func (s *server) askWebhook(r *request) error {
	found, err := s.namedMirror(r, s.control)
	if err != nil {
		return err
	}
	return s.showAlgorithmWith(r, http.StatusOK, func(m *page.Mirrors) {
		m.Webhook = &page.MirrorWebhook{Mirror: *found, Token: newToken(), Action: r.URL.Path}
	})
}

// makeWebhook makes the secret address, which is shown this once.
func (s *server) makeWebhook(r *request) error {
	found, err := s.namedMirror(r, s.control)
	if err != nil {
		return s.replay(r, err)
	}
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		m, secret, err := service.MakeMirrorWebhook(r.Context(), r.p, found.ID)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.algorithmPath(), Secret: control.MirrorNotifyPath(m.ID) + "?secret=" + secret}, nil
	})
	if err != nil {
		return err
	}
	return s.showAlgorithmWith(r, http.StatusOK, func(m *page.Mirrors) {
		m.Webhook = &page.MirrorWebhook{Mirror: *found, URL: s.publicURL + o.Secret}
	})
}

func (s *server) askEndWebhook(r *request) error {
	found, err := s.namedMirror(r, s.control)
	if err != nil {
		return err
	}
	return s.showAlgorithmWith(r, http.StatusOK, func(m *page.Mirrors) {
		m.End = &component.Confirm{
			Dialog: component.Dialog{Title: "End the webhook of " + found.Source + "?", Close: m.Path + "/mirrors/" + found.ID + "/webhook"}, Action: r.URL.Path, Token: newToken(), Does: "End webhook",
		}
	})
}

func (s *server) endWebhook(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		m, err := s.namedMirror(r, service)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.algorithmPath(), Flash: component.Flash{Text: "The webhook of " + m.Source + " has ended."}}, service.RemoveMirrorWebhook(r.Context(), r.p, m.ID)
	})
}
