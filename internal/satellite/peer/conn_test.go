package peer

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/satellite/pool"
)

// wired returns the two ends of a connection, the first as a Conn.
func wired(t *testing.T, take func(message) error) (*Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	w := newConn(near, bufio.NewReader(near), testAEAD(t), testAEAD(t))
	w.on = take
	return w, far
}

// noLoop leaves connections to goroutines.
type noLoop struct{}

func (noLoop) Carry(*Conn) (stop func()) { return nil }

// testAEAD is the key of both directions in these tests.
func testAEAD(t *testing.T) cipher.AEAD {
	t.Helper()
	aead, err := newAEAD(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

// sealed are messages, or texts that are none, as another engine sends them.
func sealed(t *testing.T, texts ...[]byte) []byte {
	t.Helper()
	var (
		out []byte
		n   uint64
	)
	for _, text := range texts {
		text = testAEAD(t).Seal(nil, nextNonce(&n), text, nil)
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(text))), text...)
	}
	return out
}

// TestConnInPieces: messages come whole however their bytes do.
func TestConnInPieces(t *testing.T) {
	want := []message{
		{kind: kindAcquire, request: 300, algorithm: "foo/bar", text: "key", n: 1},
		{kind: kindCancel, request: 1},
		{kind: kindReport, text: strings.Repeat("x", 70_000)},
		{kind: kindRelease, algorithm: "foo/bar", text: "10.0.0.1:9999", n: uint64(pool.OutcomeStuck)},
	}
	var sent []byte
	sender, _ := wired(t, nil)
	for _, m := range want {
		sent = sender.seal(sent, &m)
	}
	if bytes.Contains(sent, []byte("foo/bar")) || bytes.Contains(sent, []byte("10.0.0.1")) {
		t.Error("a message can be read on its way")
	}
	for _, size := range []int{1, 3, 4, 5, 4096, len(sent)} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var got []message
			w, _ := wired(t, func(m message) error { got = append(got, m); return nil })
			for rest := bytes.Clone(sent); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if err := w.Feed(rest[:min(size, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(message{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestConnGarbled: what no engine sends ends the connection.
func TestConnGarbled(t *testing.T) {
	state := message{kind: kindState, n: 1}
	twice := append(sealed(t, state.append(nil)), sealed(t, state.append(nil))...)
	bent := sealed(t, state.append(nil))
	bent[len(bent)-1] ^= 1
	for name, data := range map[string][]byte{
		"no length":          []byte("\x00\x00\x00\x00"),
		"a length of 4 GB":   []byte("\xff\xff\xff\xff"),
		"nothing sealed":     []byte("\x00\x00\x00\x02\x07\x00"),
		"a bit that is bent": bent,
		"sent twice":         twice,
		"left out":           sealed(t, state.append(nil), state.append(nil))[len(twice)/2:],
		"empty":              sealed(t, nil),
		"a cut number":       sealed(t, []byte("\x01\xff")),
		"a name beyond it":   sealed(t, []byte("\x01\x00\x00\x09")),
		"a number of 80 bit": sealed(t, []byte("\x01"+strings.Repeat("\xff", 12))),
	} {
		t.Run(name, func(t *testing.T) {
			taken := 0
			w, far := wired(t, func(message) error { taken++; return nil })
			go func() { _, _ = far.Write(data) }()
			if err := w.run(noLoop{}); err == nil || errors.Is(err, errSilent) {
				t.Errorf("run = %v, want what is wrong with the message", err)
			}
			if want := map[string]int{"sent twice": 1}[name]; taken != want {
				t.Errorf("%d messages were taken, want %d", taken, want)
			}
		})
	}
}

// TestConnSilent: an engine that says nothing, or takes nothing, is given up.
func TestConnSilent(t *testing.T) {
	w, _ := wired(t, nil)
	if w.silent() {
		t.Error("a new connection is silent")
	}
	w.made = w.made.Add(-silenceTimeout - time.Second)
	if !w.silent() {
		t.Errorf("a connection is not silent after more than %v", silenceTimeout)
	}
	if err := w.Feed(nil); err != nil || w.silent() {
		t.Errorf("a connection that heard something is silent (%v)", err)
	}
	w.send(message{kind: kindState}) // nobody takes it
	w.made = w.made.Add(-silenceTimeout - time.Second)
	w.heard.Store(int64(time.Since(w.made)))
	if !w.silent() {
		t.Error("a connection of which nobody takes anything is not silent")
	}
}

// TestConnPanics: a message that makes this engine panic ends the connection that it
// came by, and nothing else.
func TestConnPanics(t *testing.T) {
	w, _ := wired(t, func(message) error { panic("a fault") })
	m := message{kind: kindState, n: 1}
	if err := w.Feed(sealed(t, m.append(nil))); err == nil || !strings.Contains(err.Error(), "a fault") || !strings.Contains(err.Error(), "conn_test.go") {
		t.Errorf("feed = %v, want the panic and where it was", err)
	}
}

// TestANewSlotOwnerHearsOfSlotsFirst: before it is asked for a slot, and before
// it hears that one is given back, it knows which are in use.
func TestANewSlotOwnerHearsOfSlotsFirst(t *testing.T) {
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	l := newLink(New(t.Context(), Options{}), "other", "other", newConn(near, bufio.NewReader(near), testAEAD(t), testAEAD(t)))
	p := pool.New(pool.Options{Algorithm: "foo/bar", Limits: pool.Limits{Concurrency: 1, QueueLimit: 10}})
	p.SetReplicas([]string{"a", "b"})
	held := []*pool.Replica{mustAcquire(t, p), mustAcquire(t, p)}
	waits := &pool.Waiter{Key: "k"}
	if r, err := p.Acquire(waits); r != nil || err != nil {
		t.Fatalf("acquire = %v, %v, want to wait", r, err)
	}
	p.SetOwner(l)
	p.Release(held[0], pool.ClassSync, pool.OutcomeOK)
	var got []string
	heard, _ := wired(t, func(m message) error { got = append(got, fmt.Sprint(m.kind, m.text)); return nil })
	l.Conn.mu.Lock()
	defer l.Conn.mu.Unlock()
	if err := heard.Feed(l.out); err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprint(kindClaim, held[0].Addr()), fmt.Sprint(kindClaim, held[1].Addr()), fmt.Sprint(kindAcquire, "k"), fmt.Sprint(kindRelease, held[0].Addr())}
	slices.Sort(want[:2])
	slices.Sort(got[:min(2, len(got))])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// TestASlotOwnerThatIsBackCountsEachCallOnce: while another engine seems to own
// the slots, it hears of what is released, and then of no call twice.
func TestASlotOwnerThatIsBackCountsEachCallOnce(t *testing.T) {
	m := New(t.Context(), Options{})
	newTestLink := func(id string) *link {
		near, far := net.Pipe()
		t.Cleanup(func() { _, _ = near.Close(), far.Close() })
		return newLink(m, id, id, newConn(near, bufio.NewReader(near), testAEAD(t), testAEAD(t)))
	}
	owner, other := newTestLink("owner"), newTestLink("other")
	p := pool.New(pool.Options{Algorithm: "foo/bar", Limits: pool.Limits{Concurrency: 1, QueueLimit: 10}})
	p.SetReplicas([]string{"a", "b"})
	held := []*pool.Replica{mustAcquire(t, p), mustAcquire(t, p)}
	p.SetOwner(owner)
	p.SetOwner(other)
	p.Release(held[0], pool.ClassSync, pool.OutcomeOK)
	p.SetOwner(owner)
	p.Release(held[1], pool.ClassSync, pool.OutcomeOK)
	counted := map[string]int{}
	heard, _ := wired(t, func(m message) error {
		switch m.kind {
		case kindClaim:
			counted[m.text] += int(m.n)
		case kindRelease:
			counted[m.text]--
		}
		return nil
	})
	if err := heard.Feed(owner.out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": 0, "b": 0}, counted); diff != "" {
		t.Errorf("calls that the owner counts in the end (-want +got):\n%s", diff)
	}
}

func mustAcquire(t *testing.T, p *pool.Pool) *pool.Replica {
	t.Helper()
	r, err := p.Wait(t.Context(), "k", time.Now().Add(2*time.Minute), false)
	if err != nil {
		t.Fatalf("acquire = %v", err)
	}
	return r
}

// BenchmarkConn is what a message costs both engines beyond its way.
func BenchmarkConn(b *testing.B) {
	aead, err := newAEAD(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	out, in := newConn(nil, nil, aead, aead), newConn(nil, nil, aead, aead)
	in.on = func(message) error { return nil }
	m := message{kind: kindAcquire, request: 300, algorithm: "foo/bar", text: "0b0e7b3c-5b0a-4b0c-9b0d-0b0e7b3c5b0a"}
	var buf []byte
	for b.Loop() {
		buf = out.seal(buf[:0], &m)
		if err := in.Feed(buf); err != nil {
			b.Fatal(err)
		}
	}
}
