package component

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
)

func TestPhrases(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	tags := regexp.MustCompile(`<[^>]*>`)
	exact := regexp.MustCompile(`<span class="exact">[^<]*</span>`)
	for want, part := range map[string]templ.Component{
		"1 version, the first 3 minutes ago": Said("1 version, the first", now.Add(-3*time.Minute), now),
		"for 17 minutes":                     For(now.Add(-17*time.Minute), now),
		"for less than a minute":             For(now, now),
		"▲Ends in 10 days":                   Expiry(now.Add(240*time.Hour), now),
		"■Expired 10 days ago":               Expiry(now.Add(-240*time.Hour), now),
		"sha256:" + strings.Repeat("a", 64):  Long("sha256:" + strings.Repeat("a", 64)),
	} {
		var b strings.Builder
		if err := part.Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if got := tags.ReplaceAllString(exact.ReplaceAllString(b.String(), ""), ""); got != want {
			t.Errorf("a phrase reads %q, want %q", got, want)
		}
	}
}

func TestLongIsInOnePiece(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := Long("0123456789abcdef").Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if want := `>0123456789abcdef<`; !strings.Contains(b.String(), want) {
		t.Errorf("a long value renders as %s, want %s in it", b.String(), want)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 calls", 1: "1 call", 2: "2 calls", 12345: "12 345 calls"} {
		if got := Count(n, "call"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "", "there is no satellite": "There is no satellite.", "Sign in first.": "Sign in first.", "étrange": "Étrange.", `"x" is taken`: `"x" is taken.`,
	} {
		if got := Sentence(s); got != want {
			t.Errorf("Sentence(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestCommandPieces(t *testing.T) {
	t.Parallel()
	c := Command{Text: "get KEY --mothership URL KEY", Fill: []string{"URL", "KEY"}}
	var text strings.Builder
	var fill []string
	for _, p := range c.pieces() {
		text.WriteString(p.text)
		if p.fill {
			fill = append(fill, p.text)
		}
	}
	if text.String() != c.Text || strings.Join(fill, " ") != "KEY URL KEY" {
		t.Errorf("pieces of %q = %q with %q to fill in", c.Text, text.String(), fill)
	}
	var b strings.Builder
	if err := Commands("run", []Command{c}).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	key := `<var data-place="key" data-empty="KEY" class="">KEY</var>`
	if want := `<pre id="run-0" tabindex="0">get ` + key + " --mothership " + strings.ReplaceAll(strings.ReplaceAll(key, "KEY", "URL"), "key", "url") + " " + key + "</pre>"; !strings.Contains(b.String(), want) {
		t.Errorf("the commands render as %s, want %s in it", b.String(), want)
	}
}
