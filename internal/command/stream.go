package command

import (
	"io"

	"github.com/constellation-serving/constellation/internal/install/terminal"
)

// Streams are what a command reads and writes: results go to Out, progress
// and messages to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Raw returns the streams of what prints its own bytes, or another program's for
// which it stands: nothing that they are given is changed.
func (s Streams) Raw() Streams {
	unwrap := func(w io.Writer) io.Writer {
		if c, ok := w.(*terminal.Cleaner); ok {
			return c.Unwrap()
		}
		return w
	}
	return Streams{s.In, unwrap(s.Out), unwrap(s.Err)}
}

// Data is where the bytes of others go: a program gets them as they are, and a
// terminal what it does not obey.
func (s Streams) Data() io.Writer {
	if terminal.File(s.Out) != nil {
		return s.Out
	}
	return s.Raw().Out
}
