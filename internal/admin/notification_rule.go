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

// allDestinations returns every destination, for a form to choose from.
func (s *server) allDestinations(r *request) ([]constellation.Destination, error) {
	found, err := s.control.ListDestinations(r.Context(), r.p, control.ListQuery{Sort: "name", Limit: constellation.MaxDestinations})
	return found.Items, err
}

// showNotificationRulesWith shows what is told where, with a layer above.
func (s *server) showNotificationRulesWith(r *request, status int, with func(*page.NotificationRules)) error {
	l := readList(r, page.NotificationRulesURL, "name")
	found, err := s.control.ListNotificationRules(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	destinations, err := s.allDestinations(r)
	if err != nil {
		return err
	}
	m := page.NotificationRules{
		Frame: s.frame(r, "Notifications"), Query: l.q, Sort: l.sort, Orders: l.orders("name", "created_at"), Rules: found.Items, Pager: pagerOf(l, found), Names: map[string]string{},
	}
	m.Frame.Section = "notifications"
	for _, d := range destinations {
		m.Names[d.ID] = d.Name
	}
	with(&m)
	if m.Form != nil {
		m.Form.Choices = destinations
	}
	m.Titled()
	return r.render(status, page.NotificationRulesPage(m))
}

func (s *server) listNotificationRules(r *request) error {
	return s.showNotificationRulesWith(r, http.StatusOK, func(*page.NotificationRules) {})
}

func (s *server) newNotificationRule(r *request) error {
	return s.showNotificationRulesWith(r, http.StatusOK, func(m *page.NotificationRules) {
		m.Form = &page.NotificationRuleForm{Token: newToken(), Group: strconv.Itoa(control.DefaultGroupSeconds), Repeat: strconv.Itoa(control.DefaultRepeatSeconds), Destinations: r.URL.Query()["destination"]}
	})
}

// readNotificationRule returns what a form of a rule has, as it was typed and as the
// rule that it asks for. What is no number is -1, which no rule may have.
func readNotificationRule(r *request, id string) (*page.NotificationRuleForm, constellation.NotificationRule) {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	f := &page.NotificationRuleForm{
		ID: id, Name: get("name"), Satellites: get("satellites.name"), Labels: get("satellites.labels"), Kinds: r.PostForm["kinds"], Destinations: r.PostForm["destinations"], Except: r.PostForm["quiet.except"],
		Group: get("group_seconds"), Repeat: get("repeat_seconds"), QuietFrom: get("quiet.from"), QuietTo: get("quiet.to"), TimeZone: get("quiet.time_zone"), Disabled: get("disabled") == "true",
	}
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			return -1
		}
		return n
	}
	kinds := func(names []string) (list []constellation.NoticeKind) {
		for _, name := range names {
			list = append(list, constellation.NoticeKind(name))
		}
		return list
	}
	rule := constellation.NotificationRule{
		Name: f.Name, Selector: constellation.SatelliteSelector{Name: f.Satellites, Labels: f.Labels}, Kinds: kinds(f.Kinds), DestinationIDs: append([]string{}, f.Destinations...),
		GroupSeconds: number(f.Group), RepeatSeconds: number(f.Repeat), Disabled: f.Disabled,
	}
	if f.QuietFrom != "" || f.QuietTo != "" || f.TimeZone != "" || len(f.Except) > 0 {
		rule.Quiet = &constellation.QuietHours{From: f.QuietFrom, To: f.QuietTo, TimeZone: f.TimeZone, Except: kinds(f.Except)}
	}
	return f, rule
}

// putNotificationRule ends the forms that make and change a rule.
func (s *server) putNotificationRule(r *request, id string, put func(*control.Service, constellation.NotificationRule) (*constellation.NotificationRule, error)) error {
	form, rule := readNotificationRule(r, id)
	return s.submit(r, func(service *control.Service) (outcome, error) {
		made, err := put(service, rule)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.NotificationRulesURL, Flash: component.Flash{Text: "Saved the rule " + made.Name + "."}}, nil
	}, func(shown component.Problems) error {
		form.Problems, form.Token = shown, newToken()
		return s.showNotificationRulesWith(r, http.StatusUnprocessableEntity, func(m *page.NotificationRules) { m.Form = form })
	})
}

func (s *server) createNotificationRule(r *request) error {
	return s.putNotificationRule(r, "", func(service *control.Service, rule constellation.NotificationRule) (*constellation.NotificationRule, error) {
		return service.CreateNotificationRule(r.Context(), r.p, rule)
	})
}

func (s *server) saveNotificationRule(r *request) error {
	id := r.param("rule_id")
	if _, err := s.control.GetNotificationRule(r.Context(), r.p, id); err != nil {
		return s.replay(r, err)
	}
	return s.putNotificationRule(r, id, func(service *control.Service, rule constellation.NotificationRule) (*constellation.NotificationRule, error) {
		return service.PutNotificationRule(r.Context(), r.p, id, rule)
	})
}

func (s *server) editNotificationRule(r *request) error {
	rule, err := s.control.GetNotificationRule(r.Context(), r.p, r.param("rule_id"))
	if err != nil {
		return err
	}
	names := func(kinds []constellation.NoticeKind) (list []string) {
		for _, kind := range kinds {
			list = append(list, string(kind))
		}
		return list
	}
	form := &page.NotificationRuleForm{
		ID: rule.ID, Token: newToken(), Name: rule.Name, Satellites: rule.Selector.Name, Labels: rule.Selector.Labels, Kinds: names(rule.Kinds), Destinations: rule.DestinationIDs,
		Group: strconv.Itoa(rule.GroupSeconds), Repeat: strconv.Itoa(rule.RepeatSeconds), Disabled: rule.Disabled,
	}
	if q := rule.Quiet; q != nil {
		form.QuietFrom, form.QuietTo, form.TimeZone, form.Except = q.From, q.To, q.TimeZone, names(q.Except)
	}
	return s.showNotificationRulesWith(r, http.StatusOK, func(m *page.NotificationRules) { m.Form = form })
}

func (s *server) askRemoveNotificationRule(r *request) error {
	rule, err := s.control.GetNotificationRule(r.Context(), r.p, r.param("rule_id"))
	if err != nil {
		return err
	}
	return s.showNotificationRulesWith(r, http.StatusOK, func(m *page.NotificationRules) {
		m.Remove = &component.Confirm{
			Dialog: component.Dialog{Title: "Remove " + rule.Name + "?", Close: page.NotificationRulesURL}, Action: page.NotificationRuleURL(rule.ID, "remove"), Token: newToken(), Does: "Remove rule",
		}
	})
}

func (s *server) removeNotificationRule(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		rule, err := service.GetNotificationRule(r.Context(), r.p, r.param("rule_id"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.NotificationRulesURL, Flash: component.Flash{Text: "Removed the rule " + rule.Name + "."}}, service.DeleteNotificationRule(r.Context(), r.p, rule.ID)
	})
}
