package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// link is the way to one address, which can be cut.
type link struct {
	listener net.Listener
	target   string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

func newLink(t testing.TB, at, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: target, open: map[net.Conn]struct{}{}}
	go l.serve()
	t.Cleanup(func() { _ = listener.Close(); l.set(true) })
	return l
}

func (l *link) serve() {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.carry(from)
	}
}

func (l *link) carry(from net.Conn) {
	defer from.Close()
	to, err := net.DialTimeout("tcp", l.target, 5*time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	if !l.keep(from, to) {
		return
	}
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() { _, _ = io.Copy(way[0], way[1]); done <- struct{}{} }()
	}
	<-done
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, from)
	delete(l.open, to)
}

func (l *link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	for _, c := range conns {
		l.open[c] = struct{}{}
	}
	return true
}

// set cuts the link, or mends it.
func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for c := range l.open {
			_ = c.Close()
		}
	}
}

// links are the ways of the nodes to each other: [i][j] those of i to j.
type links [3][3][]*link

// linkedCluster returns a cluster that runs, and the ways of its nodes to each other.
func linkedCluster(t testing.TB) (*testCluster, *links) {
	t.Helper()
	c, all := newCluster(t, 0), &links{}
	peers := [3][]string{}
	for i := range c.nodes {
		for j, to := range c.nodes {
			host, _, _ := net.SplitHostPort(to.opts.RouteListen)
			way := fmt.Sprint(strings.TrimSuffix(host, fmt.Sprint(j+1)), 100+10*i+j)
			all[i][j] = []*link{newLink(t, way+":6222", to.opts.RouteListen), newLink(t, way+":8222", to.opts.HealthListen)}
			peers[i] = append(peers[i], way+":6222")
		}
	}
	for i, n := range c.nodes {
		n.opts.Peers = peers[i]
	}
	c.start()
	return c, all
}

// set cuts or mends the ways that leave or reach a node.
func (l *links) set(node int, cut bool) {
	for i := range l {
		for j, ways := range l[i] {
			for _, way := range ways {
				if i != j && (i == node || j == node) {
					way.set(cut)
				}
			}
		}
	}
}

func TestLinksThatAreCutForAWhile(t *testing.T) {
	t.Parallel()
	c, links := linkedCluster(t)
	q := connect(t, Options{Servers: c.servers(), Replicas: 3, StoreTimeout: 2 * time.Second, AskTimeout: 5 * time.Second})
	publishMany(t, q, 0, 40)
	for i := range c.nodes {
		links.set(i, true)
	}
	unsure := map[string]bool{}
	for i := range 5 {
		id := fmt.Sprint("call-", 40+i)
		_, err := q.Publish(testContext(t), call(id))
		switch {
		case err == nil:
			t.Errorf("%s is accepted while no node reaches another", id)
		case errors.Is(err, ErrUnknown):
			unsure[id] = true
		case !errors.Is(err, ErrUnavailable):
			t.Errorf("%s: %v, want ErrUnknown or ErrUnavailable", id, err)
		}
	}
	for i := range c.nodes {
		links.set(i, false)
	}
	c.ready()
	eventually(t, "the queue is back", q.Ready)
	// The same ids again: those that were stored after all are not doubled.
	publishMany(t, q, 40, 20)
	holds(t, q, 60)
}

// TestANodeThatIsCutOff: the one that this process is connected to reaches no
// other any more, and the other two are a majority.
func TestANodeThatIsCutOff(t *testing.T) {
	t.Parallel()
	c, links := linkedCluster(t)
	q := connect(t, Options{Servers: c.servers(), Replicas: 3, StoreTimeout: 2 * time.Second, AskTimeout: 5 * time.Second})
	publishMany(t, q, 0, 20)
	cut := slices.Index(c.servers(), q.conn.ConnectedAddr())
	links.set(cut, true)
	publishMany(t, q, 20, 20)
	links.set(cut, false)
	c.ready()
	publishMany(t, q, 40, 20)
	holds(t, q, 60)
}

func TestNodesThatAreReplacedOneByOneUnderLoad(t *testing.T) {
	t.Parallel()
	c, q := startCluster(t, Options{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var published atomic.Int64
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for i, again := 0, false; again || ctx.Err() == nil; {
			_, err := q.Publish(t.Context(), call(fmt.Sprint("call-", i)))
			again = err != nil // it may be stored: until that is known, it goes on
			switch {
			case err == nil:
				i++
				published.Store(int64(i))
			case !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrUnavailable):
				failed <- err
				return
			}
		}
	}()
	for _, n := range c.nodes {
		before := published.Load()
		n.stop()
		n.start()
		c.ready()
		eventually(t, "calls are accepted", func() error {
			if published.Load() < before+10 {
				return errors.New("too few")
			}
			return nil
		})
	}
	stop()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	holds(t, q, int(published.Load()))
}

// resident returns a process's own memory, without what it maps of files.
func resident(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	i := slices.Index(lines, "RssAnon:")
	if i < 0 {
		t.Fatal("the system does not say how much memory a process has")
	}
	kib, err := strconv.Atoi(lines[i+1])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func TestManyThatWaitTakeLittleMemory(t *testing.T) {
	t.Parallel()
	const many = 20_000
	c, q := startCluster(t, Options{})
	var next atomic.Int64
	group := make(chan error, 128)
	for range cap(group) {
		go func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= many {
					group <- nil
					return
				}
				for ctx := t.Context(); ; {
					if _, err := q.Publish(ctx, call(fmt.Sprint("call-", i))); err == nil {
						break
					} else if ctx.Err() != nil {
						group <- err
						return
					}
				}
			}
		}()
	}
	for range cap(group) {
		if err := <-group; err != nil {
			t.Fatal(err)
		}
	}
	p, err := q.Pending(testContext(t), KindCall, "foo/bar")
	if err != nil || p.Waiting != many {
		t.Errorf("pending %+v, %v; want %d", p, err, many)
	}
	for _, n := range c.nodes {
		used := resident(t, n.process.Process.Pid)
		t.Logf("%s has %d MiB for %d messages", n.opts.Name, used>>20, many)
		if used > 256<<20 {
			t.Errorf("%s has %d MiB", n.opts.Name, used>>20)
		}
	}
}
