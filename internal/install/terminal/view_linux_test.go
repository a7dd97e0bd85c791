package terminal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/constellation-serving/constellation/internal/ptytest"
)

// A terminal is drawn anew from its top; what does not fit is cut and counted, and
// what a text brings of sequences is shown and not obeyed.
func TestViewOnATerminal(t *testing.T) {
	t.Parallel()
	screen := ptytest.Open(t, 20)
	view := terminal.NewView(screen.File)
	for _, text := range []string{"one\ntwo\n", "one\n\x1b[2Kthree \u202e" + strings.Repeat("x", 30) + "\n", strings.Repeat("line\n", 30)} {
		if err := view.Show(text, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	want := "\x1b[2J\x1b[Hone\x1b[K\r\r\ntwo\x1b[K\r\r\n\x1b[J" +
		"\x1b[Hone\x1b[K\r\r\n\\u001b[2Kthree \\u20…\x1b[K\r\r\n\x1b[J" +
		"\x1b[H" + strings.Repeat("line\x1b[K\r\r\n", 22) + "… and 8 more lines\x1b[K\r\r\n\x1b[J"
	if got := screen.Shown(t); got != want {
		t.Errorf("the terminal gets\n%q, want\n%q", got, want)
	}
}

// Elsewhere only what is new is printed, with its time; a program's lines have none.
func TestViewElsewhere(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	view := terminal.NewView(&out)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, text := range []string{"one\ntwo\n", "one\ntwo\n", "one\nthree\n", "one\ntwo\n", "{\"a\":1}\n"} {
		if err := view.Show(text, now); err != nil {
			t.Fatal(err)
		}
	}
	if want := "03:04:05 one\n03:04:05 two\n03:04:05 three\n03:04:05 two\n{\"a\":1}\n"; out.String() != want {
		t.Errorf("it prints %q, want %q", out.String(), want)
	}
}
