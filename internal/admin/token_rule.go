package admin

import (
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// shownServices is how many service accounts a form has to choose from.
const shownServices = 500

// showTokenRulesWith shows by which rules tokens are exchanged, with a layer above.
func (s *server) showTokenRulesWith(r *request, status int, with func(*page.TokenRules)) error {
	l := readList(r, page.TokenRulesURL, "name")
	found, err := s.control.ListTokenRules(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	m := page.TokenRules{Frame: s.frame(r, "Token rules"), Query: l.q, Sort: l.sort, Orders: l.orders("name", "created_at"), Rules: found.Items, Pager: pagerOf(l, found)}
	m.Frame.Section = "users"
	with(&m)
	if m.Form != nil {
		services, err := s.control.ListAccounts(r.Context(), r.p, constellation.KindService, control.ListQuery{Sort: "name", Limit: shownServices})
		if err != nil {
			return err
		}
		for _, a := range services.Items {
			m.Form.Accounts = append(m.Form.Accounts, a.Username)
		}
	}
	m.Titled()
	return r.render(status, page.TokenRulesPage(m))
}

func (s *server) listTokenRules(r *request) error {
	return s.showTokenRulesWith(r, http.StatusOK, func(*page.TokenRules) {})
}

func (s *server) newTokenRule(r *request) error {
	return s.showTokenRulesWith(r, http.StatusOK, func(m *page.TokenRules) {
		m.Form = &page.TokenRuleForm{Token: newToken(), Audience: s.publicURL, Role: string(constellation.RoleViewer)}
	})
}

// readTokenRule returns what the form of a rule has, as it was typed and as the rule
// that it asks for.
func readTokenRule(r *request, id string) (*page.TokenRuleForm, constellation.TokenRule) {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	f := &page.TokenRuleForm{
		ID: id, Token: newToken(), Name: get("name"), Issuer: get("issuer"), Audience: get("audience"), JWKSURL: get("jwks_url"), CA: get("ca"), Conditions: get("conditions"),
		Account: get("account"), Role: get("role"), Scope: get("scope"),
	}
	rule := constellation.TokenRule{
		Name: f.Name, Issuer: f.Issuer, Audience: f.Audience, JWKSURL: f.JWKSURL, CA: f.CA, Username: f.Account, Role: constellation.Role(f.Role), Scope: constellation.KeyScope(f.Scope),
	}
	for line := range strings.Lines(f.Conditions) {
		if line = strings.TrimSpace(line); line != "" {
			claim, value, _ := strings.Cut(line, "=")
			rule.Conditions = append(rule.Conditions, constellation.ClaimCondition{Claim: strings.TrimSpace(claim), Value: strings.TrimSpace(value)})
		}
	}
	return f, rule
}

// putTokenRule ends the forms that make and change a rule.
func (s *server) putTokenRule(r *request, id string, put func(*control.Service, constellation.TokenRule) (*constellation.TokenRule, error)) error {
	form, rule := readTokenRule(r, id)
	return s.submit(r, func(service *control.Service) (outcome, error) {
		made, err := put(service, rule)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.TokenRulesURL, Flash: component.Flash{Text: "Saved the token rule " + made.Name + "."}}, nil
	}, func(shown component.Problems) error {
		form.Problems = ofConditions(shown)
		return s.showTokenRulesWith(r, http.StatusUnprocessableEntity, func(m *page.TokenRules) { m.Form = form })
	})
}

// ofConditions puts what is wrong with one of the conditions at their field.
func ofConditions(p component.Problems) component.Problems {
	for _, name := range p.Names() {
		if strings.HasPrefix(name, "conditions[") {
			if p["conditions"] == "" {
				p["conditions"] = p[name]
			}
			delete(p, name)
		}
	}
	return p
}

func (s *server) createTokenRule(r *request) error {
	return s.putTokenRule(r, "", func(service *control.Service, rule constellation.TokenRule) (*constellation.TokenRule, error) {
		return service.CreateTokenRule(r.Context(), r.p, rule)
	})
}

func (s *server) editTokenRule(r *request) error {
	rule, err := s.control.GetTokenRule(r.Context(), r.p, r.param("rule_id"))
	if err != nil {
		return err
	}
	return s.showTokenRulesWith(r, http.StatusOK, func(m *page.TokenRules) {
		m.Form = &page.TokenRuleForm{
			ID: rule.ID, Token: newToken(), Name: rule.Name, Issuer: rule.Issuer, Audience: rule.Audience, JWKSURL: rule.JWKSURL, CA: rule.CA,
			Conditions: page.ConditionsText(rule.Conditions), Account: rule.Username, Role: string(rule.Role), Scope: string(rule.Scope),
		}
	})
}

func (s *server) saveTokenRule(r *request) error {
	id := r.param("rule_id")
	if _, err := s.control.GetTokenRule(r.Context(), r.p, id); err != nil {
		return s.replay(r, err)
	}
	return s.putTokenRule(r, id, func(service *control.Service, rule constellation.TokenRule) (*constellation.TokenRule, error) {
		return service.PutTokenRule(r.Context(), r.p, id, rule)
	})
}

func (s *server) askRemoveTokenRule(r *request) error {
	rule, err := s.control.GetTokenRule(r.Context(), r.p, r.param("rule_id"))
	if err != nil {
		return err
	}
	return s.showTokenRulesWith(r, http.StatusOK, func(m *page.TokenRules) {
		m.Remove = &component.Confirm{
			Dialog: component.Dialog{Title: "Remove " + rule.Name + "?", Close: page.TokenRulesURL}, Action: page.TokenRuleURL(rule.ID, "remove"), Token: newToken(), Does: "Remove token rule",
		}
	})
}

func (s *server) removeTokenRule(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		rule, err := service.GetTokenRule(r.Context(), r.p, r.param("rule_id"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.TokenRulesURL, Flash: component.Flash{Text: "Removed the token rule " + rule.Name + "."}}, service.DeleteTokenRule(r.Context(), r.p, rule.ID)
	})
}

func (s *server) askToken(r *request) error {
	return s.showTokenRulesWith(r, http.StatusOK, func(m *page.TokenRules) { m.Trial = &page.TokenTrialForm{} })
}

// tryToken says which rule a token fits. It keeps nothing, so that it is done as often
// as it is sent.
func (s *server) tryToken(r *request) error {
	form := &page.TokenTrialForm{Value: strings.TrimSpace(r.PostForm.Get("token_to_try"))}
	trial, err := s.control.TryToken(r.Context(), r.p, form.Value)
	if shown, ok := problems(err); ok {
		form.Problems = shown
		take(form.Problems, "token", "token_to_try")
		return s.showTokenRulesWith(r, http.StatusUnprocessableEntity, func(m *page.TokenRules) { m.Trial = form })
	}
	if err != nil {
		return err
	}
	form.Tried, form.Issuer, form.Subject, form.Gives = true, trial.Issuer, trial.Subject, trial.Gives
	for _, t := range trial.Rules {
		form.Rules = append(form.Rules, page.RuleTrial{Name: t.Rule.Name, Because: t.Because})
	}
	return s.showTokenRulesWith(r, http.StatusOK, func(m *page.TokenRules) { m.Trial = form })
}
