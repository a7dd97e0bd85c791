package ptytest

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// Screen is a terminal.
type Screen struct {
	*os.File // that a program has
	master   *os.File
	all      waittest.Buffer
	ended    chan struct{}
	seen     int // of all, by Until
}

// Open returns a terminal of 24 rows and so many columns, until the test ends.
func Open(t *testing.T, columns uint16) *Screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &Screen{File: file, master: master, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(&s.all, master) // until the screen is closed
	}()
	t.Cleanup(func() { _ = s.Close(); waittest.Receive(t, "the end of the screen", s.ended); _ = master.Close() })
	return s
}

// Shown closes the terminal, and returns all that was written to it.
func (s *Screen) Shown(t *testing.T) string {
	t.Helper()
	_ = s.Close()
	waittest.Receive(t, "the end of the screen", s.ended)
	return s.all.String()
}

// Type sends text as if it were typed.
func (s *Screen) Type(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.master, text); err != nil {
		t.Fatal(err)
	}
}

// Until waits until the terminal shows text, behind what was waited for before.
func (s *Screen) Until(t *testing.T, text string) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		shown := s.all.String()
		if i := strings.Index(shown[s.seen:], text); i >= 0 {
			s.seen += i + len(text)
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the terminal does not show %q; it shows %q", text, shown)
		}
	}
}

// Echoes reports whether the terminal shows what is typed.
func (s *Screen) Echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(s.master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}
