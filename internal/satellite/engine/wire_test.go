package engine

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wired gives the two ends of a connection, the first as a wire.
func wired(t *testing.T, take func(message) error) (*wire, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	w := newWire(near, bufio.NewReader(near))
	w.take = take
	return &w, far
}

// TestWireInPieces: messages come whole however their bytes do.
func TestWireInPieces(t *testing.T) {
	want := []message{
		{word: wordAsk, number: 300, algorithm: "foo/bar", text: "key", n: 1},
		{word: wordForget, number: 1},
		{word: wordStats, text: strings.Repeat("x", 70_000)},
		{word: wordReturn, algorithm: "foo/bar", text: "10.0.0.1:9999", n: uint64(verdictEnd)},
	}
	var sent []byte
	for _, m := range want {
		sent = m.append(sent)
	}
	for _, size := range []int{1, 3, 4, 5, 4096, len(sent)} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var got []message
			w, _ := wired(t, func(m message) error { got = append(got, m); return nil })
			for rest := sent; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if err := w.feed(rest[:min(size, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(message{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWireGarbled: what no engine sends ends the wire.
func TestWireGarbled(t *testing.T) {
	for name, data := range map[string]string{
		"no length":          "\x00\x00\x00\x00",
		"a length of 4 GB":   "\xff\xff\xff\xff",
		"a cut number":       "\x00\x00\x00\x02\x01\xff",
		"a name beyond it":   "\x00\x00\x00\x04\x01\x00\x00\x09",
		"a number of 80 bit": "\x00\x00\x00\x0d\x01" + strings.Repeat("\xff", 12),
	} {
		t.Run(name, func(t *testing.T) {
			w, far := wired(t, func(m message) error { t.Errorf("took %+v", m); return nil })
			go func() { _, _ = far.Write([]byte(data)) }()
			if err := w.run(nil); err == nil || errors.Is(err, errSilent) {
				t.Errorf("run = %v, want what is wrong with the message", err)
			}
		})
	}
}

// TestWireSilent: an engine that says nothing, or takes nothing, is given up.
func TestWireSilent(t *testing.T) {
	w, _ := wired(t, nil)
	if w.silent() {
		t.Error("a new wire is silent")
	}
	w.made = w.made.Add(-linkSilence - time.Second)
	if !w.silent() {
		t.Errorf("a wire is not silent after more than %v", linkSilence)
	}
	if err := w.feed(nil); err != nil || w.silent() {
		t.Errorf("a wire that heard something is silent (%v)", err)
	}
	w.send(message{word: wordState}) // nobody takes it
	w.made = w.made.Add(-linkSilence - time.Second)
	w.heard.Store(int64(time.Since(w.made)))
	if !w.silent() {
		t.Error("a wire of which nobody takes anything is not silent")
	}
}

// TestWirePanics: a message that makes this engine panic ends the wire that it
// came by, and nothing else.
func TestWirePanics(t *testing.T) {
	w, _ := wired(t, func(message) error { panic("a fault") })
	m := message{word: wordState, n: 1}
	if err := w.feed(m.append(nil)); err == nil || !strings.Contains(err.Error(), "a fault") || !strings.Contains(err.Error(), "wire_test.go") {
		t.Errorf("feed = %v, want the panic and where it was", err)
	}
}

// TestANewGranterHearsOfSlotsFirst: before it is asked for a slot, and before
// it hears that one is given back, it knows which are in use.
func TestANewGranterHearsOfSlotsFirst(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	l := newLink(e.peers, "other", "other", near, bufio.NewReader(near))
	p := newPool("foo/bar", 1, 10)
	p.setReplicas([]string{"a", "b"})
	held := []*replica{mustAcquire(t, p), mustAcquire(t, p)}
	waits := &waiter{to: make(blocked, 1), key: "k"}
	if r, err := p.acquire(waits); r != nil || err != nil {
		t.Fatalf("acquire = %v, %v, want to wait", r, err)
	}
	p.setGranter(l)
	p.release(held[0], verdictFine)
	var got []string
	heard, _ := wired(t, func(m message) error { got = append(got, fmt.Sprint(m.word, m.text)); return nil })
	l.wire.mu.Lock()
	defer l.wire.mu.Unlock()
	if err := heard.feed(l.out); err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprint(wordHold, held[0].addr), fmt.Sprint(wordHold, held[1].addr), fmt.Sprint(wordAsk, "k"), fmt.Sprint(wordReturn, held[0].addr)}
	slices.Sort(want[:2])
	slices.Sort(got[:min(2, len(got))])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}
