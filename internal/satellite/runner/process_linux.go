package runner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one life of the pipe process.
type process struct {
	cmd            *exec.Cmd
	stdin          *os.File
	stdout, stderr *output
	tail           *tail
	started        time.Time
	loaded         chan struct{} // closed once it said so
	exited         chan struct{} // closed when it and its group are gone
	gone           *os.File      // hangs up when exited closes
	memoryKills    int
	replies        fifo // of whom holds the runner's one

	// Set before exited closes.
	code       int // as a shell has it: 128 + signal when killed
	outOfMem   bool
	once       sync.Once
	endedByUs  bool // guarded by mu
	repliedYet bool // guarded by mu
	mu         sync.Mutex
}

// start starts the pipe process with a new FIFO, in a group of its own.
func (r *Runner) start() (*process, error) {
	if err := makeFIFO(r.FIFO); err != nil {
		return nil, err
	}
	p := &process{
		tail: &tail{ring: ring{size: keepTail}}, started: time.Now(),
		loaded: make(chan struct{}), exited: make(chan struct{}), memoryKills: countMemoryKills(r.MemoryCounters),
		replies: fifo{path: r.FIFO, fd: -1},
	}
	stdout, toStdout, err := newOutput(r.Stdout, p.tail, func() { close(p.loaded) })
	if err != nil {
		return nil, err
	}
	defer toStdout.Close() //nolint:errcheck // the process has its own
	stderr, toStderr, err := newOutput(r.Stderr, p.tail, nil)
	if err != nil {
		stdout.close()
		return nil, err
	}
	defer toStderr.Close() //nolint:errcheck // the process has its own
	p.stdout, p.stderr = stdout, stderr
	gone, hangUp, err := os.Pipe()
	if err != nil {
		stdout.close()
		stderr.close()
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	p.gone = gone
	p.cmd = exec.Command(r.Command[0], r.Command[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = toStdout, toStderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A pipe of our own, since exec.Cmd's is gone with the process, and what
	// it did not read tells.
	fromStdin, stdin, err := os.Pipe()
	if err == nil {
		p.stdin, p.cmd.Stdin = stdin, fromStdin
		err = errors.Join(r.reaper.start(p.cmd), fromStdin.Close())
	}
	if err != nil {
		_ = hangUp.Close()
		p.close()
		return nil, fmt.Errorf("start the pipe process %s: %w", r.Command[0], err)
	}
	go stdout.read()
	go stderr.read()
	go p.wait(r, hangUp)
	return p, nil
}

// wait ends with the process, and ends what it leaves behind.
func (p *process) wait(r *Runner, hangUp *os.File) {
	err := p.cmd.Wait()
	p.endGroup()
	r.reaper.ended()
	var exit *exec.ExitError
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && errors.As(err, &exit) {
		p.code = status.ExitStatus()
		if status.Signaled() {
			p.code = 128 + int(status.Signal())
		}
	}
	p.outOfMem = countMemoryKills(r.MemoryCounters) > p.memoryKills && p.code == 128+int(syscall.SIGKILL)
	p.stdout.finish()
	p.stderr.finish()
	close(p.exited)
	_ = hangUp.Close()
}

// isGone reports whether exited is closed.
func (p *process) isGone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// end kills the process with its group; it is gone when exited closes.
func (p *process) end() {
	p.mu.Lock()
	p.endedByUs = true
	p.mu.Unlock()
	p.endGroup()
}

// ended reports whether end was called.
func (p *process) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endedByUs
}

// replied notes, and hasReplied says, that the process answered a call.
func (p *process) replied() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.repliedYet = true
}

func (p *process) hasReplied() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.repliedYet
}

func (p *process) endGroup() { _ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) }

// close frees the pipes of a process that is gone.
func (p *process) close() {
	p.once.Do(func() {
		p.stdout.close()
		p.stderr.close()
		if p.stdin != nil {
			_ = p.stdin.Close()
		}
		_ = p.gone.Close()
	})
}

// unread says how much of what was sent the process did not read.
func (p *process) unread() int {
	raw, err := p.stdin.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	err = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err != nil {
		return 0
	}
	return n
}
