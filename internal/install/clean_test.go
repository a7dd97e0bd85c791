package install_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain, Ünïcode → ✓ 漢字\tand\nlines": "plain, Ünïcode → ✓ 漢字\tand\nlines",
		"\x1b[2K\x1b[1A":                 `\u001b[2K\u001b[1A`,
		"over\rwritten":                  `over\u000dwritten`,
		"windows\r\n":                    "windows\n",
		"bell\a back\b null\x00 del\x7f": `bell\u0007 back\u0008 null\u0000 del\u007f`,
		"one character: \u009b2K":        `one character: \u009b2K`,
		"back\u202ewards\u2066":          `back\u202ewards\u2066`,
		"a line\u2028apart":              `a line\u2028apart`,
		"no\xffbyte":                     "no\uFFFDbyte",
	} {
		if got := terminal.Visible(text); got != want {
			t.Errorf("Visible(%q) = %q, want %q", text, got, want)
		}
	}
}

// However the bytes come, the same is shown; and JSON says what it said.
func TestCleanerTakesPieces(t *testing.T) {
	t.Parallel()
	const text = "ü✓漢\x1b[2K\u009b\u202e end"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		c := terminal.NewCleaner(&out)
		for at := 0; at < len(text); at += size {
			piece := text[at:min(len(text), at+size)]
			if n, err := c.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		if want := terminal.Visible(text); out.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, out.String(), want)
		}
	}
	var out bytes.Buffer
	value := map[string]string{"name": "\x1b[2K\u009b\\\u202e\x7f\"\r\n"}
	if err := json.NewEncoder(terminal.NewCleaner(&out)).Encode(value); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != value["name"] {
		t.Errorf("JSON came back as %q, %v; want %q", back["name"], err, value["name"])
	}
	wantVisible(t, "JSON", out.String())
}

// wantVisible fails when text holds what a terminal obeys.
func wantVisible(t *testing.T, what, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
	}); i >= 0 {
		t.Errorf("%s is %q: a terminal obeys what is at %d", what, text, i)
	}
}

// Lines of progress repeat what files and registries say.
func TestProgressIsClean(t *testing.T) {
	t.Parallel()
	const evil = "\x1b[2K\rverified\u009b\u202e"
	for name, make := range map[string]func(b *waittest.Buffer) *progress.Reporter{
		"lines":  func(b *waittest.Buffer) *progress.Reporter { return progress.New(b) },
		"events": func(b *waittest.Buffer) *progress.Reporter { return progress.NewEvents(b) },
	} {
		var said waittest.Buffer
		p := make(&said)
		p.Phase(evil)
		p.Line("%s", evil)
		p.Retry("%s", evil)
		wantVisible(t, name, said.String())
		if !strings.Contains(said.String(), "verified") {
			t.Errorf("%s: %q", name, said.String())
		}
	}
}

// Who holds a lock is told from a file of the folder, in one line.
func TestAWaitTellsOneCleanLine(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	file := holdLock(t, f, "\x1b[2Knobody\nall is well")
	var said waittest.Buffer
	done := make(chan error)
	go func() {
		_, err := install.Configure(t.Context(), f, []string{"stage.profile=edge"}, false, progress.New(&said))
		done <- err
	}()
	waitFor(t, func() bool { return strings.Contains(said.String(), "nobody") })
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := waittest.Receive(t, "the end of the wait", done); err != nil {
		t.Fatal(err)
	}
	wantVisible(t, "the wait", said.String())
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("the wait said %q, want one line", said.String())
	}
}

// holdLock holds a launch's lock as another run that left text in it does.
func holdLock(t *testing.T, f store.Folder, text string) *os.File {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(f.Path("work"), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	flock(t, file)
	if _, err := file.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
	return file
}
