package admin

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) auditRoutes() []route {
	return []route{
		{"GET", "/audit", constellation.RoleAdmin, s.showAudit},
		{"GET", "/audit/export.csv", constellation.RoleAdmin, s.exportCSV},
		{"GET", "/audit/export.json", constellation.RoleAdmin, s.exportJSON},
	}
}

// auditFilter reads what the log is narrowed to; a date that is none is a
// problem of its field.
func auditFilter(q url.Values) (page.AuditFilter, control.EventQuery, component.Problems) {
	f := page.AuditFilter{
		Query: strings.TrimSpace(q.Get("q")), Actor: strings.TrimSpace(q.Get("actor")), Action: q.Get("action"),
		Kind: q.Get("kind"), TargetID: q.Get("id"), Since: q.Get("since"), Until: q.Get("until"),
	}
	events := control.EventQuery{
		ListQuery: control.ListQuery{Q: f.Query, Sort: "-at", Marker: q.Get("marker"), Limit: pageSize},
		Actor:     f.Actor, Action: f.Action, TargetKind: f.Kind, TargetID: f.TargetID,
	}
	wrong := component.Problems{}
	date := func(field, value string, shift time.Duration) *time.Time {
		if value == "" {
			return nil
		}
		t, err := time.Parse(time.DateOnly, value)
		if err != nil {
			wrong[field] = "a date is written as 2026-01-31"
			return nil
		}
		t = t.Add(shift)
		return &t
	}
	events.Since = date("since", f.Since, 0)
	events.Until = date("until", f.Until, 24*time.Hour) // the day itself too
	return f, events, wrong
}

// parameters are the filter's, for the address of another page or an export.
func parameters(f page.AuditFilter) []string {
	return []string{"q", f.Query, "actor", f.Actor, "action", f.Action, "kind", f.Kind, "id", f.TargetID, "since", f.Since, "until", f.Until}
}

func (s *server) showAudit(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	filter, q, wrong := auditFilter(r.URL.Query())
	m := page.Audit{
		Frame: s.frame(r, "Audit log", p), Filter: filter, Problems: wrong, Actions: actionOptions(),
		CSV: address("/audit/export.csv", parameters(filter)...), JSON: address("/audit/export.json", parameters(filter)...),
	}
	m.Frame.Section = "audit"
	if len(wrong) > 0 {
		return render(w, r, http.StatusBadRequest, page.AuditPage(m))
	}
	found, err := s.control.ListEvents(r.Context(), p, q)
	if shown, ok := problems(err); ok {
		m.Problems = shown
		return render(w, r, http.StatusBadRequest, page.AuditPage(m))
	}
	if err != nil {
		return err
	}
	for i := range found.Items {
		m.Events = append(m.Events, auditRow(&found.Items[i]))
	}
	m.Pager = turn("/audit", q.Marker, found.Marker, len(found.Items), parameters(filter)...)
	return render(w, r, http.StatusOK, page.AuditPage(m))
}

// verbs say an action in words that fit between who did it and what to.
var verbs = map[string]string{
	"account.create": "made the account", "account.delete": "deleted the account", "account.invite": "made a password link for",
	"account.login": "signed in", "account.login_failed": "failed to sign in", "account.update": "changed the account",
	"session.revoke": "ended a session of", "session.revoke_all": "signed out everywhere",
	"algorithm_version.create": "pushed", "api_key.create": "made the API key", "api_key.revoke": "revoked the API key",
	"launch.create": "made the launch instance", "launch.update": "changed the launch instance", "launch.delete": "removed the launch instance",
	"satellite.create": "made the satellite", "satellite.update": "changed the satellite", "satellite.delete": "removed the satellite",
	"satellite_version.create": "made a version of", "satellite_key.create": "made the caller key", "satellite_key.revoke": "revoked the caller key",
}

// actionOptions are what a visitor may narrow the log to.
func actionOptions() []component.Option {
	var list []component.Option
	for _, action := range control.EventActions() {
		name := verbs[action]
		if name == "" {
			name = action
		}
		name = strings.TrimSuffix(strings.TrimSuffix(name, " of"), " for")
		list = append(list, component.Option{Value: action, Name: strings.ToUpper(name[:1]) + name[1:]})
	}
	return list
}

func auditRow(e *constellation.Event) page.AuditRow {
	verb := verbs[e.Action]
	if verb == "" {
		verb = e.Action
	}
	return page.AuditRow{
		At: e.At, Actor: e.Actor, KeyID: e.ActorKeyID, Address: e.Address, Verb: verb,
		Kind: e.TargetKind, TargetID: e.TargetID, TargetName: e.TargetName, URL: targetURL(e), Changes: changes(e.Before, e.After),
	}
}

// targetURL is where a change's target is seen, "" where it may be gone: a
// removal's, and keys, which have no page.
func targetURL(e *constellation.Event) string {
	if strings.HasSuffix(e.Action, ".delete") {
		return ""
	}
	switch e.TargetKind {
	case "satellite":
		return "/satellites/" + e.TargetID
	case "account":
		if e.TargetID != "" {
			return "/users/" + url.PathEscape(e.TargetName)
		}
	case "algorithm_version":
		return "/algorithms/" + e.TargetName
	}
	return ""
}
