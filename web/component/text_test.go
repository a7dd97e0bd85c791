package component

import (
	"strings"
	"testing"
)

func TestLong(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"": "", "short": "short", "0123456789abcdef": "89abcdef", "größer-ünï-ñandú": "ï-ñandú", "ab🚀cdefghi🌍": "defghi🌍"} {
		if got := tail(value); !strings.HasSuffix(got, want) || head(value)+got != value {
			t.Errorf("Long(%q) = %q + %q", value, head(value), got)
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
