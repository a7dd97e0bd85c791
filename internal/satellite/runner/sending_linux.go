package runner

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// A process that answered is given up on when it was found so often to read
// nothing of the rest of its request though it could, once each idlePause.
const (
	idleAtMost = 10
	idlePause  = 100 * time.Millisecond
)

// sendAtOnce is how much of a request is written in one piece, so that a reader's
// progress shows.
const sendAtOnce = 16 << 10

// sending is a request on its way into the process.
type sending struct {
	process *process
	written atomic.Int64
	over    chan struct{} // closed when all is written, or no more can be
}

// send sends a request, which may never be read.
func (p *process) send(line []byte) *sending {
	s := &sending{process: p, over: make(chan struct{})}
	go func() {
		defer close(s.over)
		for len(line) > 0 {
			n, err := p.stdin.Write(line[:min(len(line), sendAtOnce)])
			s.written.Add(int64(n))
			if err != nil {
				return
			}
			line = line[n:]
		}
	}()
	return s
}

// end waits until nothing more is sent, and returns how much was.
func (s *sending) end() int {
	<-s.over
	return int(s.written.Load())
}

// isOver reports whether over is closed.
func (s *sending) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// taken waits for the end of a request that was answered already: a process that
// does not read it to its end would take the rest for the next one. As long as
// the process reads, or cannot, the call's own deadline is the limit.
func (s *sending) taken() error {
	type progress struct {
		written int64
		unread  int
	}
	look := func() progress { return progress{s.written.Load(), s.process.unread()} }
	tick := time.NewTicker(idlePause)
	defer tick.Stop()
	before := look()
	for idle := 0; idle < idleAtMost; {
		select {
		case <-s.over:
			return nil
		case <-s.process.exited: // the reply is whole all the same
			return nil
		case <-tick.C:
		}
		switch now := look(); {
		case now != before:
			before, idle = now, 0
		case !busy(s.process.cmd.Process.Pid):
			idle++
		}
	}
	if s.isOver() {
		return nil
	}
	return errors.New("the process answered without reading the request")
}

// busy reports whether a thread of a process group does anything but wait of its
// own accord: whoever is stopped, or waits for a processor, for memory or for a
// disk, reads when it is let.
func busy(group int) bool {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		if _, of := taskState(filepath.Join(dir, "stat")); of != group {
			continue
		}
		tasks, _ := filepath.Glob(filepath.Join(dir, "task/*/stat"))
		for _, task := range tasks {
			switch state, _ := taskState(task); state {
			case "S", "Z", "X", "":
			default:
				return true
			}
		}
	}
	return false
}

// taskState returns the state of a thread and its process group, from its stat
// in /proc; "" when it is gone.
func taskState(path string) (state string, group int) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", 0
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:]) // after the name: state, parent, group
	if len(fields) < 3 {
		return "", 0
	}
	group, _ = strconv.Atoi(string(fields[2]))
	return string(fields[0]), group
}
