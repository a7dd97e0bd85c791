package engine

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/satellite/http1"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// machine is a network namespace, which stands for another machine: it can be
// gone without a word.
type machine struct{ namespace, host, address string }

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip of iproute2, which 'make test' installs")
	}
	pid := os.Getpid()
	subnet := fmt.Sprintf("198.18.%d", pid%256) // for tests of networks (RFC 2544)
	m := &machine{namespace: fmt.Sprintf("engine-test-%d", pid), host: fmt.Sprintf("cst%d", pid), address: subnet + ".2"}
	t.Cleanup(func() {
		_ = exec.Command("ip", "link", "delete", m.host).Run()       //nolint:gosec // a test
		_ = exec.Command("ip", "netns", "delete", m.namespace).Run() //nolint:gosec // a test
	})
	ip(t, "netns", "add", m.namespace)
	ip(t, "link", "add", m.host, "type", "veth", "peer", "name", "eth0", "netns", m.namespace)
	ip(t, "address", "add", subnet+".1/30", "dev", m.host)
	ip(t, "link", "set", m.host, "up")
	ip(t, "-n", m.namespace, "address", "add", m.address+"/30", "dev", "eth0")
	ip(t, "-n", m.namespace, "link", "set", "eth0", "up")
	return m
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil { //nolint:gosec // a test
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// listen listens on the machine.
func (m *machine) listen(t *testing.T) net.Listener {
	t.Helper()
	var (
		ln  net.Listener
		err error
		wg  sync.WaitGroup
	)
	wg.Go(func() {
		runtime.LockOSThread() // and the thread ends with the goroutine: it is of another namespace
		var file *os.File
		if file, err = os.Open(filepath.Join("/run/netns", m.namespace)); err != nil {
			return
		}
		defer file.Close() //nolint:errcheck // read only
		if err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err == nil {
			ln, err = net.Listen("tcp", m.address+":9999")
		}
	})
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// TestReplicaWhoseMachineIsGone: a call on a machine that fails, and says
// nothing any more, ends long before its time-out.
func TestReplicaWhoseMachineIsGone(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	enter, leave := make(chan bool, 2), make(chan bool)
	s := &strictLangserver{t: t, one: new(sync.Mutex), run: func(lsCall) (int, string) {
		enter <- true
		waittest.Hold(t, leave)
		return 200, `{"result":1}`
	}}
	ln := m.listen(t)
	s.addr = ln.Addr().String()
	s.serve(ln)
	t.Cleanup(func() { close(leave); _ = s.server.Close() })
	e := startEngine(t, lsRoute("foo/loop", s.addr), lsRoute("foo/slow", s.addr))
	begun := time.Now()
	var wg sync.WaitGroup
	for path, body := range map[string]string{"foo/loop": "x", "foo/slow": strings.Repeat("x", 2*http1.MaxBody)} {
		wg.Go(func() {
			got := e.do(request{path: callPrefix + path, body: body})
			if got.status != 200 || !strings.Contains(got.body, protocol.RanOut) {
				t.Errorf("%s = %d %s, want what is said of a call that was lost", path, got.status, got.body)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("%s ended after %v", path, took)
			}
		})
	}
	waittest.Receive(t, "a call reaches its replica", enter)
	eventually(t, "both calls run", func() bool {
		return e.Snapshot().Algorithms[0].InFlight+e.Snapshot().Algorithms[1].InFlight == 2
	})
	// A call that is in flight may have no connection yet, and then fails otherwise.
	eventually(t, "both calls are read", func() bool { return s.count(&s.running) == 2 })
	ip(t, "-n", m.namespace, "address", "flush", "dev", "eth0")
	wg.Wait()
}
