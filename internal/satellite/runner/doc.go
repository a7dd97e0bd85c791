// Package runner makes an image that has only a pipe process answer as an
// image with a langserver does: langserver's HTTP outside, the pipe protocol
// inside. An init container copies it in beside the algorithm, so the image
// stays as it is.
//
// Unlike a langserver it outlives its process: a process that ended, was
// killed for memory or was ended after a time-out is started again by itself,
// with a growing pause while it keeps failing. It listens from the start and
// says by GET whether the algorithm is loaded.
package runner

import (
	"io"
	"log/slog"
	"time"
)

// The pipe process of an image, in the order in which it is looked for; a
// path with no leading slash is below the working directory.
const (
	InstalledPipe = "/usr/local/bin/algorithmia-pipe"
	LocalPipe     = "bin/pipe"
)

// DefaultFIFO is where a pipe process writes its replies.
const DefaultFIFO = "/tmp/algoout"

// FailedMessage is the message of the JSON log line by which a runner says
// that its process failed; its "reason" says how.
const FailedMessage = "the pipe process failed"

// Options are a runner's settings; the zero value of each is its default,
// but for the drain delay, where zero is none.
type Options struct {
	// Command starts the pipe process. None is InstalledPipe, else LocalPipe.
	Command []string
	// Find looks for InstalledPipe and LocalPipe before it takes Command,
	// which then may be a base image's shell.
	Find   bool
	Listen string // :9999
	FIFO   string // DefaultFIFO

	Stdout, Stderr io.Writer    // where the process's own output goes on to; nil is nowhere
	Log            *slog.Logger // nil discards

	// Reap takes over processes that lost their parent, and ends them with
	// the pipe process. It waits for every child of this process, so it is
	// only for a process that is nothing but a runner.
	Reap bool

	RestartAfter   time.Duration // the first pause between two failures, 1s
	RestartAtMost  time.Duration // the longest, 1m
	SteadyAfter    time.Duration // a process that ran so long did not fail at once, 10s
	DrainDelay     time.Duration // calls are accepted so long after a stop signal; zero is none
	DrainTimeout   time.Duration // how long a running call may take after that, 5m
	CallAtMost     time.Duration // a call that nobody ended is ended after this, 51m
	MemoryCounters []string      // files that count memory kills; those of a container's cgroup
}
