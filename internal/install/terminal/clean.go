package terminal

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Cleaner is where everything goes that is printed. A name in a plan, a word of
// a registry or a file in a folder may hold what a terminal obeys: escape
// sequences that wipe a warning, carriage returns, text that runs backwards.
// They are written as JSON writes them, \u001b, so that JSON stays what it was.
type Cleaner struct {
	to io.Writer

	mu   sync.Mutex
	tail []byte // of a character that is not all there yet
}

// NewCleaner cleans what is written to it and passes it on.
func NewCleaner(to io.Writer) *Cleaner { return &Cleaner{to: to} }

// Unwrap returns the writer behind it, for bytes that are our own.
func (c *Cleaner) Unwrap() io.Writer { return c.to }

// Write implements io.Writer.
func (c *Cleaner) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := p
	if len(c.tail) > 0 {
		text = append(c.tail, p...)
		c.tail = nil
	}
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				whole = at
			}
			break
		}
	}
	c.tail = bytes.Clone(text[whole:])
	if _, err := io.WriteString(c.to, Visible(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Visible is text with whatever a terminal would obey made visible; lines and
// tabs stay.
func Visible(text string) string { return constellation.Visible(text) }

// OneLine is what another party said, as a part of a message of ours: its
// lines could be taken for our own.
func OneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// File returns the terminal that a writer leads to, nil when it leads to none.
func File(out io.Writer) *os.File {
	if c, ok := out.(*Cleaner); ok {
		out = c.to
	}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return nil
}
