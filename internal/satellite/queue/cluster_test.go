package queue

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/constellation-serving/constellation/internal/satellite/queue/credentials"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// nodeVariable makes the test's binary a node: its value is a nodeProcess.
const nodeVariable = "QUEUE_TEST_NODE"

func TestMain(m *testing.M) {
	if text := os.Getenv(nodeVariable); text != "" {
		os.Exit(runNode(text))
	}
	os.Exit(m.Run())
}

// runNode is a node as a process of its own. It ends with its parent.
func runNode(text string) int {
	var opts node.Options
	if err := json.Unmarshal([]byte(text), &opts); err != nil {
		fmt.Println(err)
		return 2
	}
	opts.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(3) }()
	n, err := node.Start(ctx, opts)
	if err != nil {
		fmt.Println("refused:", err)
		return 1
	}
	fmt.Println("started")
	<-ctx.Done()
	if err := n.Close(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// testCluster is three nodes on an address of their own.
type testCluster struct {
	t     testing.TB
	nodes [3]*testNode
}

type testNode struct {
	t       testing.TB
	opts    node.Options
	process *exec.Cmd
	stdin   io.Closer
	ended   chan error
	said    chan string
}

// newCluster returns a cluster whose nodes do not run yet. route returns the
// address under which one node is known to another; nil is the true one.
func newCluster(t testing.TB, size int64) *testCluster {
	t.Helper()
	c := &testCluster{t: t}
	host := loopback()
	var peers []string
	for i := range c.nodes {
		peers = append(peers, fmt.Sprintf("%s%d:6222", host, i+1))
	}
	for i := range c.nodes {
		at := fmt.Sprint(host, i+1)
		c.nodes[i] = &testNode{t: t, opts: node.Options{
			Name: fmt.Sprint("queue-", i), Dir: t.TempDir(), Size: size, Secret: []byte(testSecret), Peers: peers,
			ClientListen: at + ":4222", RouteListen: at + ":6222", HealthListen: at + ":8222",
		}}
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.kill()
		}
	})
	return c
}

// loopback returns a network of this machine's own, without the last number.
func loopback() string { return fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), rand.IntN(255)) }

// startCluster returns a cluster that runs, and a queue on it.
func startCluster(t testing.TB, opts Options) (*testCluster, *Queue) {
	t.Helper()
	c := newCluster(t, opts.Size)
	c.start()
	opts.Servers, opts.Replicas = c.servers(), 3
	if opts.StoreTimeout == 0 {
		opts.StoreTimeout, opts.AskTimeout = 5*time.Second, 5*time.Second
	}
	return c, connect(t, opts)
}

func (c *testCluster) servers() []string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.opts.ClientListen)
	}
	return all
}

// start starts all nodes: the first time, each waits for the others.
func (c *testCluster) start() {
	c.t.Helper()
	for _, n := range c.nodes {
		n.begin()
	}
	for _, n := range c.nodes {
		n.started()
	}
}

// ready waits until all nodes are.
func (c *testCluster) ready() {
	c.t.Helper()
	for _, n := range c.nodes {
		eventually(c.t, n.opts.Name+" is ready", n.ready)
	}
}

// complete waits until all nodes count as ones that have everything: they note
// it in their folders.
func (c *testCluster) complete() {
	c.t.Helper()
	for _, n := range c.nodes {
		eventually(c.t, n.opts.Name+" has everything", func() error {
			has, err := os.ReadFile(filepath.Join(n.opts.Dir, "complete"))
			if string(has) != "complete\n" {
				return fmt.Errorf("it has %q: %w", has, err)
			}
			return nil
		})
	}
}

func (n *testNode) ready() error {
	r, err := http.Get("http://" + n.opts.HealthListen + "/readyz") //nolint:noctx // the server is this test's
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", r.StatusCode, strings.TrimSpace(string(text)))
	}
	return nil
}

// start starts the node's process and waits until it answers.
func (n *testNode) start() {
	n.t.Helper()
	n.begin()
	n.started()
}

func (n *testNode) started() {
	n.t.Helper()
	select {
	case said := <-n.said:
		if said != "started" {
			n.t.Fatalf("%s says %q", n.opts.Name, said)
		}
	case <-time.After(testTimeout):
		n.t.Fatalf("%s does not start", n.opts.Name)
	}
}

// begin starts the node's process.
func (n *testNode) begin() {
	n.t.Helper()
	text, err := json.Marshal(struct {
		node.Options
		Log, Room *struct{} `json:",omitempty"`
	}{Options: n.opts})
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), nodeVariable+"="+string(text))
	cmd.Stderr = n.t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		first, _ := bufio.NewReader(out).ReadString('\n')
		said <- strings.TrimSpace(first)
	}()
	n.said = said
	n.process, n.stdin, n.ended = cmd, stdin, make(chan error, 1)
	go func(ended chan<- error) { ended <- cmd.Wait() }(n.ended)
}

// kill ends the process as a crash does.
func (n *testNode) kill() {
	if n.process == nil {
		return
	}
	_ = n.process.Process.Kill()
	<-n.ended //nolint:errcheck // killed: its error says nothing
	_ = n.stdin.Close()
	n.process = nil
}

// stop ends the process as its pod's end does.
func (n *testNode) stop() {
	n.t.Helper()
	if err := n.process.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	select {
	case err := <-n.ended:
		if err != nil {
			n.t.Errorf("%s ended: %v", n.opts.Name, err)
		}
	case <-time.After(testTimeout):
		n.t.Fatalf("%s does not stop", n.opts.Name)
	}
	_ = n.stdin.Close()
	n.process = nil
}

// wipe takes away what the node has on its disk.
func (n *testNode) wipe() {
	n.t.Helper()
	if err := os.RemoveAll(n.opts.Dir); err != nil {
		n.t.Fatal(err)
	}
}

// publishMany publishes n calls, several at once, and returns how many were
// acknowledged: all of them, sooner or later.
func publishMany(t testing.TB, q *Queue, from, n int) {
	t.Helper()
	const atOnce = 16
	failed := make(chan error, atOnce)
	for w := range atOnce {
		go func() {
			for i := from + w; i < from+n; i += atOnce {
				for ctx := testContext(t); ; {
					_, err := q.Publish(ctx, call(fmt.Sprint("call-", i)))
					if err == nil {
						break
					}
					if ctx.Err() != nil {
						failed <- fmt.Errorf("publish %d: %w", i, err)
						return
					}
				}
			}
			failed <- nil
		}()
	}
	for range atOnce {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}

// holds checks that the queue holds exactly the calls up to n, each once.
func holds(t testing.TB, q *Queue, n int) {
	t.Helper()
	found := map[string]int{}
	eventually(t, "read what the queue holds", func() error {
		clear(found)
		return q.PeekFrom(testContext(t), KindCall, "foo/bar", 1, n+100, func(p *Peeked) bool {
			found[p.ID]++
			return true
		})
	})
	for i := range n {
		id := fmt.Sprint("call-", i)
		if found[id] != 1 {
			t.Errorf("%s is there %d times", id, found[id])
		}
		delete(found, id)
	}
	if len(found) > 0 {
		t.Errorf("there are also %v", found)
	}
}

func TestThreeNodesKeepWhatTheyAcknowledged(t *testing.T) {
	t.Parallel()
	c, q := startCluster(t, Options{})
	publishMany(t, q, 0, 500)
	for _, n := range c.nodes {
		n.kill()
	}
	c.start()
	c.ready()
	eventually(t, "the queue is back", q.Ready)
	holds(t, q, 500)
	// One node after the other loses its disk.
	for i, n := range c.nodes {
		n.kill()
		n.wipe()
		n.start()
		c.ready()
		publishMany(t, q, 500+20*i, 20)
		holds(t, q, 520+20*i)
	}
}

func TestAStrangerIsNotLetIn(t *testing.T) {
	t.Parallel()
	address := loopback() + "1:4222"
	startNode(t, node.Options{ClientListen: address})
	right := connect(t, Options{Servers: []string{address}})
	publish(t, right, call("a"))
	wrong, err := Connect(t.Context(), Options{Servers: []string{address}, Secret: []byte("another launch's token")})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	eventually(t, "the stranger has tried", func() error {
		if err := wrong.conn.LastError(); err == nil || !strings.Contains(err.Error(), "x509") {
			return fmt.Errorf("not refused yet: %w", err)
		}
		return nil
	})
	if err := wrong.Ready(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the stranger's queue: %v", err)
	}
	// Nor one who speaks no TLS.
	known, err := credentials.Derive([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nats.Connect("nats://"+address, nats.UserInfo(known.Engine.User, known.Engine.Password)); err == nil {
		t.Error("a connection without TLS is let in")
	}
}

// TestRecordsAreListedAtOnce: what lists records is a consumer that one of the nodes
// has, and the others may not know of it yet when it is asked.
func TestRecordsAreListedAtOnce(t *testing.T) {
	t.Parallel()
	c, q := startCluster(t, Options{})
	if _, err := q.Put(testContext(t), BucketCall, "one", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		if i%50 == 0 { // at another node
			q = connect(t, Options{Servers: []string{c.servers()[i/50]}, Replicas: 3})
		}
		if keys, err := q.Keys(testContext(t), BucketCall, "", 10); err != nil || len(keys) != 1 {
			t.Fatalf("list %d has %v, %v; want one key", i, keys, err)
		}
	}
}
