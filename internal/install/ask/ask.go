package ask

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/constellation-serving/constellation/internal/install/terminal"
)

// ErrNoAnswer is the error of a question whose input ended, or that was asked too
// often.
var ErrNoAnswer = errors.New("no answer was given")

// Question is what an operator is asked.
type Question struct {
	Name    string // of what is asked for, as it is set elsewhere
	About   string // one line
	Default string // the answer of an empty line, "" for none
	Secret  bool   // it is not shown while it is typed
	// Check returns why an answer is none, in a sentence without its subject; nil
	// takes any.
	Check func(answer string) error
}

// Terminal asks at a terminal.
type Terminal struct {
	fd    int
	lines *bufio.Reader
	out   io.Writer
}

// maxTries is how often a question is asked: a script that plays a terminal ends.
const maxTries = 10

// New returns who asks at in and out, nil when one of them is no terminal.
func New(in io.Reader, out io.Writer) *Terminal {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || terminal.File(out) == nil {
		return nil
	}
	return &Terminal{fd: int(file.Fd()), lines: bufio.NewReader(file), out: out}
}

// Ask asks until the answer is one that the question takes.
func (t *Terminal) Ask(ctx context.Context, q Question) (string, error) {
	fmt.Fprintf(t.out, "%s: %s\n", q.Name, q.About)
	for range maxTries {
		prompt := "> "
		if q.Default != "" {
			prompt = "[" + q.Default + "] > "
		}
		fmt.Fprint(t.out, prompt)
		answer, err := t.read(ctx, q.Secret)
		if err != nil {
			fmt.Fprintln(t.out)
			return "", fmt.Errorf("ask for %s: %w", q.Name, err)
		}
		if answer = cmp.Or(strings.TrimSpace(answer), q.Default); answer == "" {
			continue
		}
		if q.Check == nil {
			return answer, nil
		}
		if err = q.Check(answer); err == nil {
			return answer, nil
		}
		fmt.Fprintf(t.out, "  %s %v\n", q.Name, err)
	}
	return "", fmt.Errorf("ask for %s: %w", q.Name, ErrNoAnswer)
}

// read reads a line, and gives up when ctx ends: a terminal goes on to wait.
func (t *Terminal) read(ctx context.Context, secret bool) (string, error) {
	type answer struct {
		text string
		err  error
	}
	state, err := term.GetState(t.fd)
	if err != nil {
		return "", err
	}
	got := make(chan answer, 1)
	go func() {
		var a answer
		if secret {
			var text []byte
			text, a.err = term.ReadPassword(t.fd)
			a.text = string(text)
		} else {
			a.text, a.err = t.lines.ReadString('\n')
		}
		got <- a
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(t.fd, state) // it echoes again
		return "", ctx.Err()
	case a := <-got:
		if secret {
			fmt.Fprintln(t.out)
		}
		if errors.Is(a.err, io.EOF) {
			return "", ErrNoAnswer
		}
		return a.text, a.err
	}
}
