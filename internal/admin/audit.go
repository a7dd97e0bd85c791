package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// auditFilter reads what the log is narrowed to; a date that is none is a
// problem of its field.
func auditFilter(q url.Values) (page.AuditFilter, control.EventQuery, component.Problems) {
	f := page.AuditFilter{
		Query: strings.TrimSpace(q.Get("q")), Actor: strings.TrimSpace(q.Get("actor")), Action: q.Get("action"),
		Kind: q.Get("kind"), TargetID: q.Get("id"), Since: q.Get("since"), Until: q.Get("until"),
	}
	events := control.EventQuery{
		ListQuery: control.ListQuery{Q: f.Query, Sort: "-at", Marker: q.Get("marker"), Limit: pageSize, Count: true, Expand: true},
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

// parameters returns the filter as those of an address: another page, or an export.
func parameters(f page.AuditFilter) []string {
	return []string{"q", f.Query, "actor", f.Actor, "action", f.Action, "kind", f.Kind, "id", f.TargetID, "since", f.Since, "until", f.Until}
}

func (s *server) showAudit(r *request) error {
	filter, q, wrong := auditFilter(r.URL.Query())
	m := page.Audit{
		Frame: s.frame(r, "Audit log"), Filter: filter, Problems: wrong, Actions: actionOptions(),
		CSV: address("/audit/export.csv", parameters(filter)...), JSON: address("/audit/export.json", parameters(filter)...),
	}
	m.Frame.Section = "audit"
	if len(wrong) > 0 {
		return r.render(http.StatusBadRequest, page.AuditPage(m))
	}
	found, err := s.control.ListEvents(r.Context(), r.p, q)
	if shown, ok := problems(err); ok {
		m.Problems = shown
		return r.render(http.StatusBadRequest, page.AuditPage(m))
	}
	if err != nil {
		return err
	}
	names, err := s.eventNames(r, found.Items)
	if err != nil {
		return err
	}
	for i := range found.Items {
		m.Events = append(m.Events, auditRow(&found.Items[i], names))
	}
	l := readList(r, "/audit", q.Sort)
	l.keep = map[string]string{}
	for i, pairs := 0, parameters(filter); i < len(pairs); i += 2 {
		l.keep[pairs[i]] = pairs[i+1]
	}
	m.Pager = pagerOf(l, found)
	return r.render(http.StatusOK, page.AuditPage(m))
}

// actionOptions returns what a visitor may narrow the log to.
func actionOptions() []component.Option {
	var list []component.Option
	for _, action := range control.EventActions() {
		name := strings.TrimSuffix(strings.TrimSuffix(inActionWords(action), " of"), " for")
		list = append(list, component.Option{Value: action, Name: strings.ToUpper(name[:1]) + name[1:]})
	}
	return list
}

// eventNames returns the names of the API keys that acted in events, and of the
// satellites they were in, by their ids.
func (s *server) eventNames(r *request, events []constellation.Event) (map[string]string, error) {
	var ids []string
	for i := range events {
		for _, id := range []string{events[i].ActorKeyID, satelliteOf(&events[i])} {
			if id != "" {
				ids = append(ids, id)
			}
		}
	}
	return s.control.EventNames(r.Context(), r.p, ids)
}

// satelliteOf returns the id of the satellite that an event's target is in, "" for
// none.
func satelliteOf(e *constellation.Event) string {
	for _, data := range [][]byte{e.After, e.Before} {
		var in struct {
			SatelliteID string `json:"satellite_id"`
		}
		if json.Unmarshal(data, &in) == nil && in.SatelliteID != "" {
			return in.SatelliteID
		}
	}
	return ""
}

func auditRow(e *constellation.Event, names map[string]string) page.AuditRow {
	row := page.AuditRow{
		At: e.At, Actor: e.Actor, Key: named(e.ActorKeyID, names), KeyID: e.ActorKeyID, Address: e.Address, Verb: inActionWords(e.Action),
		TargetName: e.TargetName, URL: targetURL(e), Changes: changes(e.Before, e.After),
	}
	if id := satelliteOf(e); id != "" {
		row.Satellite, row.SatelliteURL = named(id, names), "/satellites/"+id
	}
	return row
}

// named returns a thing's name, or its id where no name is known.
func named(id string, names map[string]string) string {
	if name := names[id]; name != "" {
		return name
	}
	return id
}

// targetURL returns where a change's target is seen, "" where it may be gone: a
// removal's, and keys, which have no page.
func targetURL(e *constellation.Event) string {
	if strings.HasSuffix(e.Action, ".delete") {
		return ""
	}
	switch e.TargetKind {
	case "satellite":
		return "/satellites/" + e.TargetID
	case "launch":
		if id := satelliteOf(e); id != "" {
			return "/satellites/" + id + "/launches/" + e.TargetID
		}
	case "account":
		if e.TargetID != "" {
			return "/users/" + url.PathEscape(e.TargetName)
		}
	case "algorithm_version":
		return "/algorithms/" + e.TargetName
	}
	return ""
}
