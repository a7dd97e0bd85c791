package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// View shows a text that changes: a terminal is drawn anew in place; anybody else
// gets the lines that were not in the text before, each behind its time.
type View struct {
	out    io.Writer
	screen *os.File // nil when out is no terminal
	seen   map[string]bool
}

// NewView returns a view on out.
func NewView(out io.Writer) *View { return &View{out: out, screen: File(out)} }

// Show shows a text as it is now.
func (v *View) Show(text string, now time.Time) error {
	if v.screen != nil {
		return v.draw(text)
	}
	shown := map[string]bool{}
	for line := range strings.Lines(text) {
		shown[line] = true
		if v.seen[line] {
			continue
		}
		stamp := now.Format(time.TimeOnly) + " "
		if strings.HasPrefix(line, "{") { // for a program
			stamp = ""
		}
		if _, err := fmt.Fprintf(v.out, "%s%s\n", stamp, strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
	v.seen = shown
	return nil
}

// draw writes as much of a text as the terminal has room for, from its top.
func (v *View) draw(text string) error {
	columns, rows, err := term.GetSize(int(v.screen.Fd()))
	if err != nil || columns < 1 || rows < 2 {
		columns, rows = 80, 24
	}
	var b strings.Builder
	if v.seen == nil {
		b.WriteString("\x1b[2J")
		v.seen = map[string]bool{}
	}
	b.WriteString("\x1b[H")
	lines := strings.Split(strings.TrimSuffix(Visible(text), "\n"), "\n")
	if more := len(lines) - (rows - 1); more > 0 {
		lines = append(lines[:rows-2], fmt.Sprintf("… and %d more lines", more+1))
	}
	for _, line := range lines {
		if runes := []rune(line); len(runes) > columns {
			line = string(runes[:columns-1]) + "…"
		}
		b.WriteString(line + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	_, err = v.screen.WriteString(b.String())
	return err
}
