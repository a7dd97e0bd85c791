package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showActivity(v satelliteView) error {
	before, _ := strconv.ParseInt(v.r.URL.Query().Get("before"), 10, 64) // anything else is the newest
	events, err := s.control.SatelliteActivity(v.ctx(), v.p, v.satellite.ID, "", max(before, 0), pageSize+1)
	if err != nil {
		return err
	}
	m := page.SatelliteActivity{Satellite: s.base(v, v.satellite.Name, "activity", nil)}
	next := ""
	if len(events) > pageSize {
		events = events[:pageSize]
		next = v.url("activity") + "?before=" + strconv.FormatInt(events[pageSize-1].ID, 10)
	}
	for _, e := range events {
		m.Lines = append(m.Lines, activityLine(v, e))
	}
	m.Pager = component.Pager{Count: len(events), Next: next}
	if before > 0 {
		m.Pager.First = v.url("activity")
	}
	return render(v.w, v.r, http.StatusOK, page.SatelliteActivityPage(m))
}

// does says what an action of the audit log is, between who and what.
var does = map[string]string{
	"satellite.create": "created the satellite", "satellite.update": "changed the satellite", "satellite.delete": "removed the satellite",
	"satellite_version.create": "made a new version of", "satellite_key.create": "created the key", "satellite_key.revoke": "revoked the key",
	"launch.create": "created the launch instance", "launch.update": "changed the launch instance", "launch.delete": "removed the launch instance",
	"api_key.create": "made the API key", "api_key.revoke": "revoked the API key", "bundle.download": "downloaded the bundle of",
}

func activityLine(v satelliteView, e constellation.Event) page.ActivityLine {
	l := page.ActivityLine{Actor: e.Actor, Does: does[e.Action], Name: e.TargetName, At: e.At, Address: e.Address, Changes: inWordsOf(e.Before, e.After)}
	if l.Does == "" {
		l.Does = strings.NewReplacer(".", " ", "_", " ").Replace(e.Action)
	}
	if e.TargetKind == "launch" && e.After != nil {
		l.URL = v.url("launches", e.TargetID)
	}
	return l
}

// hidden are values of an audit row that say nothing to who reads it here.
var hidden = map[string]bool{"satellite_id": true, "prefix": true, "username": true}

// inWordsOf are the values of an audit row that differ before and after, by
// name, each in words.
func inWordsOf(before, after []byte) []page.Change {
	old, current := values(before), values(after)
	var names []string
	for name := range old {
		names = append(names, name)
	}
	for name := range current {
		if _, ok := old[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var list []page.Change
	for _, name := range names {
		if !hidden[name] && old[name] != current[name] {
			list = append(list, page.Change{Name: strings.ReplaceAll(name, "_", " "), Before: old[name], After: current[name]})
		}
	}
	return list
}

// values are the members of a JSON object in words.
func values(data []byte) map[string]string {
	var raw map[string]json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		return nil
	}
	m := make(map[string]string, len(raw))
	for name, value := range raw {
		m[name] = inWords(value)
	}
	return m
}

func inWords(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			return component.Exact(at)
		}
		return text
	}
	var algorithms []struct {
		VanityURL string `json:"vanity_url"`
		Algorithm string `json:"algorithm"`
		Replicas  int    `json:"replicas"`
	}
	if bytes.HasPrefix(bytes.TrimSpace(value), []byte("[{")) && json.Unmarshal(value, &algorithms) == nil {
		lines := make([]string, len(algorithms))
		for i, a := range algorithms {
			name, hash, _ := cutLast(a.Algorithm)
			lines[i] = fmt.Sprintf("%s: %s/%s × %d", a.VanityURL, name, component.Short(hash), a.Replicas)
		}
		return strings.Join(lines, "; ")
	}
	if s := string(value); s != "null" && s != "[]" {
		return s
	}
	return ""
}

func cutLast(s string) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
