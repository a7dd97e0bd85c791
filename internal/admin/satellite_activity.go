package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showActivity(r *request) error {
	l := readList(r, r.satelliteURL("activity"), "-id")
	found, err := s.control.SatelliteActivity(r.Context(), r.p, r.satellite.ID, "", l.query())
	if err != nil {
		return err
	}
	m := page.SatelliteActivity{Satellite: s.base(r, r.satellite.Name, "activity", nil)}
	for _, e := range found.Items {
		m.Lines = append(m.Lines, activityLine(r, e))
	}
	m.Pager = pagerOf(l, found)
	return r.render(http.StatusOK, page.SatelliteActivityPage(m))
}

func activityLine(r *request, e constellation.Event) page.ActivityLine {
	l := page.ActivityLine{Actor: e.Actor, Does: inActionWords(e.Action), Name: e.TargetName, At: e.At, Address: e.Address, Changes: changesOf(e.Before, e.After)}
	if e.TargetKind == "launch" && e.After != nil {
		l.URL = r.satelliteURL("launches", e.TargetID)
	}
	return l
}

// hidden are values of an audit row that say nothing to who reads it here.
var hidden = map[string]bool{"satellite_id": true, "prefix": true, "username": true}

// changesOf returns the values of an audit row that differ before and after, by
// name, each in words.
func changesOf(before, after []byte) []page.Change {
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

// values returns the members of a JSON object in words.
func values(data []byte) map[string]string {
	var raw map[string]json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		return nil
	}
	m := make(map[string]string, len(raw))
	for name, value := range raw {
		var labels constellation.Labels
		if name == "labels" && json.Unmarshal(value, &labels) == nil {
			m[name] = strings.ReplaceAll(labels.Text(), "\n", ", ")
			continue
		}
		m[name] = describeValue(value)
	}
	return m
}

func describeValue(value json.RawMessage) string {
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
			lines[i] = fmt.Sprintf("%s: %s/%s × %d", a.VanityURL, name, constellation.ShortHash(hash), a.Replicas)
		}
		return strings.Join(lines, "; ")
	}
	var other any
	if json.Unmarshal(value, &other) != nil {
		return string(value)
	}
	return plain(other)
}

// plain returns a JSON value without JSON's signs: the parts of a list or an object
// one after another.
func plain(value any) string {
	var parts []string
	switch v := value.(type) {
	case nil:
	case []any:
		for _, part := range v {
			parts = append(parts, plain(part))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, strings.ReplaceAll(name, "_", " ")+" "+plain(v[name]))
		}
	default:
		return fmt.Sprint(v)
	}
	return strings.Join(parts, ", ")
}

func cutLast(s string) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
