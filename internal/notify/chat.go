package notify

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// zeroWidth breaks what a chat would take for more than text.
const zeroWidth = "\u200b"

// slackText has no mark-up for Slack and none that its kin, such as Mattermost, make of
// Markdown: no mention of anybody, no link, no image.
var slackText = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@"+zeroWidth, "](", "]"+zeroWidth+"(", "![", "!"+zeroWidth+"[",
	"`", "'", "*", "∗", "~", "∼", "://", ":"+zeroWidth+"//",
)

// slackBody is a message for an incoming webhook of Slack, or of what takes the same.
func slackBody(publicURL string, m *constellation.NoticeMessage) ([]byte, error) {
	var b strings.Builder
	b.WriteString("*" + slackText.Replace(m.Title) + "*")
	if l := lead(m); l != "" {
		b.WriteString("\n" + l)
	}
	for i := range m.Notices {
		n := &m.Notices[i]
		who, what := line(n)
		who = slackText.Replace(who)
		if at := link(publicURL, n); at != "" {
			who = "<" + at + "|" + strings.ReplaceAll(who, "|", "¦") + ">"
		}
		b.WriteString("\n• " + who + " – " + slackText.Replace(what) + " (" + stamp(n.At) + ")")
	}
	if more := rest(m); more != "" {
		b.WriteString("\n" + more + ": " + publicURL + "/")
	}
	return json.Marshal(map[string]any{"text": b.String(), "unfurl_links": false, "unfurl_media": false})
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// teamsBody is a message for the workflow "Post to a channel when a webhook request is
// received" of Teams: an adaptive card. Its texts are runs, in which, other than in
// text blocks, nothing is mark-up.
func teamsBody(publicURL string, m *constellation.NoticeMessage) ([]byte, error) {
	run := func(text string, more map[string]any) map[string]any {
		r := map[string]any{"type": "TextRun", "text": strings.ReplaceAll(text, "{{", "{"+zeroWidth+"{")} // {{DATE(…)}} is worked out
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	block := func(runs ...map[string]any) map[string]any {
		return map[string]any{"type": "RichTextBlock", "inlines": runs}
	}
	body := []map[string]any{block(run(m.Title, map[string]any{"weight": "Bolder", "size": "Medium"}))}
	if l := lead(m); l != "" {
		body = append(body, block(run(l, map[string]any{"isSubtle": true})))
	}
	for i := range m.Notices {
		n := &m.Notices[i]
		who, what := line(n)
		named := run(who, map[string]any{"weight": "Bolder"})
		if at := link(publicURL, n); at != "" {
			named["selectAction"] = map[string]any{"type": "Action.OpenUrl", "url": at}
		}
		body = append(body, block(named, run(" – "+what+" ("+stamp(n.At)+")", nil)))
	}
	if more := rest(m); more != "" {
		body = append(body, block(run(more, nil)))
	}
	card := map[string]any{
		"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body,
		"msteams": map[string]any{"width": "Full"},
		"actions": []map[string]any{{"type": "Action.OpenUrl", "title": "Open Constellation", "url": publicURL + "/"}},
	}
	return json.Marshal(map[string]any{
		"type": "message",
		"attachments": []map[string]any{{
			"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card,
		}},
	})
}
