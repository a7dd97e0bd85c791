package ask_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install/ask"
	"github.com/constellation-serving/constellation/internal/ptytest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// answered is what a question came to.
type answered struct {
	text string
	err  error
}

// asked asks a question at a terminal.
func asked(ctx context.Context, screen *ptytest.Screen, q ask.Question) <-chan answered {
	got := make(chan answered, 1)
	go func() {
		text, err := ask.New(screen.File, screen.File).Ask(ctx, q)
		got <- answered{text, err}
	}()
	return got
}

// A question is asked until the answer is one; an empty line is its default.
func TestAskUntilItIsAnAnswer(t *testing.T) {
	t.Parallel()
	screen := ptytest.Open(t, 80)
	got := asked(t.Context(), screen, ask.Question{Name: "colour", About: "what it looks like", Check: func(answer string) error {
		if answer == "red" {
			return nil
		}
		return errors.New("is red")
	}})
	screen.Until(t, "colour: what it looks like\r\n> ")
	screen.Type(t, "\n")
	screen.Until(t, "> ")
	screen.Type(t, "blue\n")
	screen.Until(t, "colour is red")
	screen.Type(t, " red \n")
	if a := waittest.Receive(t, "the answer", got); a.text != "red" || a.err != nil {
		t.Errorf("Ask = %q, %v; want red", a.text, a.err)
	}
	got = asked(t.Context(), screen, ask.Question{Name: "size", About: "how large", Default: "small"})
	screen.Until(t, "[small] > ")
	screen.Type(t, "\n")
	if a := waittest.Receive(t, "the answer", got); a.text != "small" || a.err != nil {
		t.Errorf("Ask = %q, %v; want its default", a.text, a.err)
	}
}

// What is secret is not shown, and whatever ends the question the terminal echoes
// afterwards.
func TestASecretIsNotShown(t *testing.T) {
	t.Parallel()
	screen := ptytest.Open(t, 80)
	secret := ask.Question{Name: "key", About: "of the door", Secret: true}
	got := asked(t.Context(), screen, secret)
	screen.Until(t, "> ")
	waitSilent(t, screen)
	screen.Type(t, "zion\n")
	if a := waittest.Receive(t, "the answer", got); a.text != "zion" || a.err != nil || !screen.Echoes(t) {
		t.Errorf("Ask = %q, %v, echoes %v", a.text, a.err, screen.Echoes(t))
	}
	ctx, cancel := context.WithCancel(t.Context())
	got = asked(ctx, screen, secret)
	screen.Until(t, "> ")
	waitSilent(t, screen)
	cancel()
	if a := waittest.Receive(t, "the answer", got); !errors.Is(a.err, context.Canceled) || !screen.Echoes(t) {
		t.Errorf("after Ctrl-C: %q, %v, echoes %v", a.text, a.err, screen.Echoes(t))
	}
	screen.Type(t, "\n") // ends the read that a process leaves to its end
	if shown := screen.Shown(t); strings.Contains(shown, "zion") {
		t.Errorf("the terminal shows %q", shown)
	}
}

// waitSilent waits until the terminal does not echo.
func waitSilent(t *testing.T, screen *ptytest.Screen) {
	t.Helper()
	silent := make(chan struct{})
	go func() {
		defer close(silent)
		for screen.Echoes(t) && t.Context().Err() == nil {
		}
	}()
	waittest.Receive(t, "a terminal that does not echo", silent)
}

// The end of input, and a script that answers nonsense for ever, end a question.
func TestAQuestionEnds(t *testing.T) {
	t.Parallel()
	screen := ptytest.Open(t, 80)
	got := asked(t.Context(), screen, ask.Question{Name: "colour", About: "any"})
	screen.Until(t, "> ")
	screen.Type(t, "\x04")
	if a := waittest.Receive(t, "the answer", got); !errors.Is(a.err, ask.ErrNoAnswer) {
		t.Errorf("at the end of input: %q, %v", a.text, a.err)
	}
	got = asked(t.Context(), screen, ask.Question{Name: "colour", About: "any", Check: func(string) error { return errors.New("is none") }})
	screen.Type(t, strings.Repeat("x\n", 10))
	if a := waittest.Receive(t, "the answer", got); !errors.Is(a.err, ask.ErrNoAnswer) {
		t.Errorf("after ten wrong answers: %q, %v", a.text, a.err)
	}
	if ask.New(strings.NewReader(""), screen.File) != nil || ask.New(screen.File, &strings.Builder{}) != nil {
		t.Error("what is no terminal is asked")
	}
}
