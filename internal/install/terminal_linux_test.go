package install_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/ptytest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

var escape = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// bars returns the lines of a screen's bars, as they were drawn.
func bars(shown, verb string) []string {
	var lines []string
	for _, line := range strings.FieldsFunc(escape.ReplaceAllString(shown, "\n"), func(r rune) bool { return r == '\r' || r == '\n' }) {
		if strings.HasPrefix(line, verb+" ") && strings.Contains(line, " of ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// within fails a run that does not end: a bar that nobody ends waits for ever.
func within(t *testing.T, what string, run func() error) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- run() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("%s on a terminal has not ended after a minute", what)
		return nil
	}
}

// On a terminal, wide or narrow, every transfer has a bar that fits, counts to
// its end, and ends with the transfer.
func TestBarsOnATerminal(t *testing.T) {
	t.Parallel()
	for _, columns := range []uint16{80, 40} {
		t.Run(fmt.Sprint(columns, " columns"), func(t *testing.T) {
			t.Parallel()
			p := newPrivate(t)
			m, f := newMother(t, newKey(t), 1, 3_000_000), folder(t)
			screen := ptytest.Open(t, columns)
			progress := progress.New(screen.File)
			o := m.options()
			o.Progress = progress
			for range 2 { // again there is nothing to move
				if err := within(t, "get", func() error { _, err := install.Get(t.Context(), f, o); return err }); err != nil {
					t.Fatal(err)
				}
			}
			if err := within(t, "verify", func() error { _, err := install.Verify(t.Context(), f, "", progress); return err }); err != nil {
				t.Fatal(err)
			}
			configure(t, f, "stage.container_registry="+p.host+"/team")
			push := pushOptions()
			push.Progress = progress
			for range 2 {
				if err := within(t, "push", func() error { _, err := install.Push(t.Context(), f, push); return err }); err != nil {
					t.Fatal(err)
				}
			}
			text := screen.Shown(t)
			for verb, things := range map[string]int{"download": 8, "verify": 13, "push": 6} {
				lines := bars(text, verb)
				if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], fmt.Sprintf("%s %d of %d ", verb, things, things)) {
					t.Errorf("the bar of %s ends with %q, want %d of %d", verb, lines[max(0, len(lines)-1):], things, things)
				}
				for _, line := range lines {
					if utf8.RuneCountInString(line) > int(columns) || strings.Contains(line, " 0 of 0 ") || strings.Contains(line, "…") {
						t.Errorf("a bar of %d columns: %q", columns, line)
					}
				}
			}
		})
	}
}

// A transfer that fails, or that is interrupted, ends its bar too.
func TestABarEndsWithATransferThatFails(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 3_000_000), folder(t)
	screen := ptytest.Open(t, 80)
	o := m.options()
	o.Progress = progress.New(screen.File)
	m.setFault(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, m.layers[0]) {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	err := within(t, "get", func() error { _, err := install.Get(t.Context(), f, o); return err })
	wantCode(t, err, fault.CodeNetwork, "cannot answer now")
	ctx, cancel := context.WithCancel(t.Context())
	m.setFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, m.layers[0]) {
			cancel()
			waittest.Hold(t, r.Context().Done())
			return true
		}
		return false
	})
	err = within(t, "get", func() error { _, err := install.Get(ctx, f, o); return err })
	wantCode(t, err, fault.CodeFailed, "interrupted")
	m.setFault(nil)
	if err := within(t, "get", func() error { _, err := install.Get(t.Context(), f, o); return err }); err != nil {
		t.Error(err)
	}
}
