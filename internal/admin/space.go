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

// showOwnersWith shows what owners take and may take, with a layer above.
func (s *server) showOwnersWith(r *request, status int, with func(*page.Owners)) error {
	l := readList(r, page.OwnersURL, "-bytes")
	found, err := s.control.ListOwnerUsage(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	m := page.Owners{Frame: s.frame(r, "Owners"), Query: l.q, Sort: l.sort, Orders: l.orders("owner", "bytes"), Owners: found.Items, Pager: pagerOf(l, found)}
	m.Frame.Section = "system"
	with(&m)
	m.Titled()
	return r.render(status, page.OwnersPage(m))
}

func (s *server) listOwners(r *request) error {
	return s.showOwnersWith(r, http.StatusOK, func(*page.Owners) {})
}

// quotaForm returns the form of the owner in the address, or of one that is typed.
func (s *server) quotaForm(r *request) (*page.QuotaForm, error) {
	f := &page.QuotaForm{Token: newToken()}
	owner := r.param("owner")
	if owner == "" {
		return f, nil
	}
	use, err := s.control.OwnerUse(r.Context(), r.p, owner)
	if err != nil {
		return nil, err
	}
	f.Owner, f.Of = use.Name, use
	if use.Quota != nil {
		f.Quota = constellation.FormatByteSize(*use.Quota)
	}
	return f, nil
}

func (s *server) askQuota(r *request) error {
	f, err := s.quotaForm(r)
	if err != nil {
		return err
	}
	return s.showOwnersWith(r, http.StatusOK, func(m *page.Owners) { m.Form = f })
}

func (s *server) setQuota(r *request) error {
	form, err := s.quotaForm(r)
	if err != nil {
		return err
	}
	form.Quota = strings.TrimSpace(r.PostForm.Get("quota"))
	if form.Of == nil {
		form.Owner = strings.TrimSpace(r.PostForm.Get("owner"))
	}
	return s.submit(r, func(service *control.Service) (outcome, error) {
		bytes, err := constellation.ParseByteSize(form.Quota)
		if err != nil {
			var v constellation.Validation
			v.Add("quota", "%s", err.Error())
			return outcome{}, v.Err()
		}
		q, err := service.SetQuota(r.Context(), r.p, form.Owner, bytes)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.OwnersURL, Flash: component.Flash{Text: "The quota of " + q.Owner + " is " + component.Bytes(q.Bytes) + " now."}}, nil
	}, func(shown component.Problems) error {
		form.Problems, form.Token = shown, newToken()
		take(form.Problems, "bytes", "quota")
		return s.showOwnersWith(r, http.StatusUnprocessableEntity, func(m *page.Owners) { m.Form = form })
	})
}

func (s *server) askRemoveQuota(r *request) error {
	use, err := s.control.OwnerUse(r.Context(), r.p, r.param("owner"))
	if err != nil {
		return err
	}
	if use.Quota == nil {
		return constellation.Errorf(constellation.KindNotFound, "owner %s has no quota", use.Name)
	}
	return s.showOwnersWith(r, http.StatusOK, func(m *page.Owners) {
		m.Remove = &component.Confirm{
			Dialog: component.Dialog{Title: "Remove the quota of " + use.Name + "?", Close: page.OwnersURL}, Action: page.QuotaURL(use.Name) + "/remove", Token: newToken(), Does: "Remove quota",
		}
	})
}

func (s *server) removeQuota(r *request) error {
	owner := r.param("owner")
	return s.act(r, func(service *control.Service) (outcome, error) {
		return outcome{Target: page.OwnersURL, Flash: component.Flash{Text: "Removed the quota of " + owner + "."}}, service.RemoveQuota(r.Context(), r.p, owner)
	})
}

func (s *server) listRepositories(r *request) error {
	l := readList(r, page.RepositoriesURL, "-bytes")
	found, err := s.control.ListRepositoryUsage(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	m := page.Repositories{Frame: s.frame(r, "Repositories"), Query: l.q, Sort: l.sort, Orders: l.orders("repository", "bytes"), Repositories: found.Items, Pager: pagerOf(l, found)}
	m.Frame.Section = "system"
	return r.render(http.StatusOK, page.RepositoriesPage(m))
}

// showRetentionWith shows which versions go by themselves, with a layer above.
func (s *server) showRetentionWith(r *request, status int, with func(*page.Retention)) error {
	l := readList(r, page.RetentionURL, "scope")
	found, err := s.control.ListRetentionRules(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	m := page.Retention{Frame: s.frame(r, "Retention"), Query: l.q, Sort: l.sort, Orders: l.orders("scope", "set_at"), Rules: found.Items, Pager: pagerOf(l, found)}
	m.Frame.Section = "system"
	with(&m)
	m.Titled()
	return r.render(status, page.RetentionPage(m))
}

func (s *server) listRetention(r *request) error {
	return s.showRetentionWith(r, http.StatusOK, func(*page.Retention) {})
}

func (s *server) newRetention(r *request) error {
	return s.showRetentionWith(r, http.StatusOK, func(m *page.Retention) { m.Form = &page.RetentionForm{Token: newToken(), Keep: "20", Days: "90"} })
}

// scopeOf is what a rule is of, as it is typed or in an address: "" of every algorithm.
func scopeOf(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		var v constellation.Validation
		v.Add("of", "a rule is of * for every algorithm, of an owner, or of OWNER/NAME; it is empty")
		return "", v.Err()
	}
	if text == page.EveryScope {
		return "", nil
	}
	return text, nil
}

// retentionRule returns the rule that the address names.
func (s *server) retentionRule(r *request) (*constellation.RetentionRule, error) {
	scope, err := scopeOf(r.FormValue("of"))
	if err != nil {
		return nil, err
	}
	return s.control.RetentionRule(r.Context(), r.p, scope)
}

func (s *server) editRetention(r *request) error {
	rule, err := s.retentionRule(r)
	if err != nil {
		return err
	}
	return s.showRetentionWith(r, http.StatusOK, func(m *page.Retention) {
		m.Form = &page.RetentionForm{Token: newToken(), Edit: true, Scope: rule.Scope, Keep: strconv.Itoa(rule.Keep), Days: strconv.Itoa(rule.Days)}
	})
}

// readRetention returns what the form of a rule has, as it was typed and as the rule
// that it asks for. What is no number is -1, which no rule may have.
func readRetention(r *request, edit bool) (*page.RetentionForm, constellation.RetentionRule, error) {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	f := &page.RetentionForm{Token: newToken(), Scope: get("of"), Keep: get("keep_versions"), Days: get("after_days"), Edit: edit}
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			return -1
		}
		return n
	}
	scope, err := scopeOf(f.Scope)
	return f, constellation.RetentionRule{Scope: scope, Keep: number(f.Keep), Days: number(f.Days)}, err
}

// putRetention ends the forms that make and change a rule.
func (s *server) putRetention(edit bool) handler {
	return func(r *request) error {
		form, rule, bad := readRetention(r, edit)
		return s.submit(r, func(service *control.Service) (outcome, error) {
			if bad != nil {
				return outcome{}, bad
			}
			made, err := service.SetRetentionRule(r.Context(), r.p, rule)
			if err != nil {
				return outcome{}, err
			}
			return outcome{Target: page.RetentionURL, Flash: component.Flash{Text: "Saved the rule of " + page.ScopeName(made.Scope) + "."}}, nil
		}, func(shown component.Problems) error {
			take(shown, "scope", "of")
			form.Problems = shown
			return s.showRetentionWith(r, http.StatusUnprocessableEntity, func(m *page.Retention) { m.Form = form })
		})
	}
}

// shownRetired is how many versions a dialog names.
const shownRetired = 20

func retiredOf(versions []constellation.AlgorithmRef, more bool) *page.Retired {
	return &page.Retired{Versions: versions[:min(shownRetired, len(versions))], Total: len(versions), More: more}
}

// previewRetention says what a rule would let go that is typed, and changes nothing.
func (s *server) previewRetention(r *request) error {
	form, rule, err := readRetention(r, false)
	form.Edit = r.PostForm.Get("edit") == "true"
	if err == nil {
		var versions []constellation.AlgorithmRef
		var more bool
		if versions, more, err = s.control.PreviewRetention(r.Context(), r.p, &rule); err == nil {
			form.Shown = retiredOf(versions, more)
		}
	}
	status := http.StatusOK
	if shown, ok := problems(err); ok {
		take(shown, "scope", "of")
		form.Problems, status = shown, http.StatusUnprocessableEntity
	} else if err != nil {
		return err
	}
	return s.showRetentionWith(r, status, func(m *page.Retention) { m.Form = form })
}

func (s *server) showRetired(r *request) error {
	versions, more, err := s.control.PreviewRetention(r.Context(), r.p, nil)
	if err != nil {
		return err
	}
	return s.showRetentionWith(r, http.StatusOK, func(m *page.Retention) { m.Retired = retiredOf(versions, more) })
}

func (s *server) askRemoveRetention(r *request) error {
	rule, err := s.retentionRule(r)
	if err != nil {
		return err
	}
	return s.showRetentionWith(r, http.StatusOK, func(m *page.Retention) {
		m.Scope = rule.Scope
		m.Remove = &component.Confirm{
			Dialog: component.Dialog{Title: "Remove the rule of " + page.ScopeName(rule.Scope) + "?", Close: page.RetentionURL}, Action: page.RetentionURL + "/remove", Token: newToken(), Does: "Remove rule",
		}
	})
}

func (s *server) removeRetention(r *request) error {
	return s.act(r, func(service *control.Service) (outcome, error) {
		scope, err := scopeOf(r.PostForm.Get("of"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: page.RetentionURL, Flash: component.Flash{Text: "Removed the rule of " + page.ScopeName(scope) + "."}}, service.RemoveRetentionRule(r.Context(), r.p, scope)
	})
}
