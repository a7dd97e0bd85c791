package notify

import (
	"encoding/json"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// The words of a message by webhook. Fields may be added at any time.
type (
	hookBody struct {
		Type      string    `json:"type"` // the kind of all notices, or "several"
		Timestamp time.Time `json:"timestamp"`
		Data      hookData  `json:"data"`
	}
	hookData struct {
		ID     string                      `json:"id"` // of the message: the same however often it is sent
		Title  string                      `json:"title"`
		Rule   string                      `json:"rule,omitempty"`
		Held   bool                        `json:"held"` // kept during quiet hours
		Count  int                         `json:"count"`
		Counts []constellation.NoticeCount `json:"counts"`
		Events []hookEvent                 `json:"events"` // the first few of count
	}
	hookEvent struct {
		Type      string    `json:"type"`
		At        time.Time `json:"at"`
		Subject   hookName  `json:"subject"`
		Satellite *hookName `json:"satellite"`
		Text      string    `json:"text"`
		URL       string    `json:"url,omitempty"`
	}
	hookName struct {
		Kind string `json:"kind,omitempty"`
		ID   string `json:"id"`
		Name string `json:"name"`
	}
)

// webhookBody is a message for a webhook.
func webhookBody(publicURL, id string, m *constellation.NoticeMessage, at time.Time) ([]byte, error) {
	body := hookBody{Type: "several", Timestamp: at.UTC(), Data: hookData{
		ID: id, Title: m.Title, Rule: m.Rule, Held: m.Held, Count: m.Count, Counts: m.Counts, Events: []hookEvent{},
	}}
	if m.Test {
		body.Type = string(constellation.NoticeTest)
	} else if len(m.Counts) == 1 {
		body.Type = string(m.Counts[0].Kind)
	}
	if body.Data.Counts == nil {
		body.Data.Counts = []constellation.NoticeCount{}
	}
	for i := range m.Notices {
		n := &m.Notices[i]
		e := hookEvent{
			Type: string(n.Kind), At: n.At.UTC(), Subject: hookName{n.SubjectKind, n.SubjectID, n.SubjectName}, Text: n.Text, URL: link(publicURL, n),
		}
		if n.SatelliteID != nil {
			e.Satellite = &hookName{ID: *n.SatelliteID, Name: n.SatelliteName}
		}
		body.Data.Events = append(body.Data.Events, e)
	}
	return json.Marshal(body)
}
