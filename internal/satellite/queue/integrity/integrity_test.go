package integrity

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// store is a server's folder, with one stream.
type store struct {
	t   *testing.T
	dir string
}

const stream, messages = "work", 200

// run starts a server on the folder, has f use the stream, and ends the server.
func (s store) run(f func(js jetstream.JetStream, stream jetstream.Stream)) {
	s.t.Helper()
	ns, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, JetStream: true, StoreDir: s.dir, SyncAlways: true})
	if err != nil {
		s.t.Fatal(err)
	}
	go ns.Start()
	defer ns.WaitForShutdown()
	defer ns.Shutdown()
	if !ns.ReadyForConnections(time.Minute) {
		s.t.Fatal("the server does not start")
	}
	conn, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	// Blocks of the least size: there are several.
	st, err := js.CreateOrUpdateStream(s.t.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{"work.>"}, MaxBytes: 127_000})
	if err != nil {
		s.t.Fatal(err)
	}
	f(js, st)
}

func body(i int) string { return fmt.Sprintf("message %d %s", i, bytes.Repeat([]byte{'x'}, 400)) }

// newStore returns one with messages 1 to 200, of which every tenth was removed.
func newStore(t *testing.T) store {
	t.Helper()
	s := store{t, t.TempDir()}
	s.run(func(js jetstream.JetStream, st jetstream.Stream) {
		for i := 1; i <= messages; i++ {
			m := &nats.Msg{Subject: "work." + fmt.Sprint(i%3), Data: []byte(body(i))}
			if i%2 == 0 {
				m.Header = nats.Header{"A": {"b"}}
			}
			if _, err := js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		for i := 10; i <= messages; i += 10 {
			if err := st.DeleteMsg(t.Context(), uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
	})
	return s
}

func (s store) folder() string {
	return filepath.Join(s.dir, "jetstream", "$G", "streams", stream, messagesFolder)
}

// blocks returns the stream's files, and wants more than one.
func (s store) blocks() (paths []string) {
	s.t.Helper()
	numbers, err := blocksOf(s.folder())
	if err != nil || len(numbers) < 3 {
		s.t.Fatalf("blocks %v, %v", numbers, err)
	}
	for _, n := range numbers {
		paths = append(paths, damagedBlock{folder: s.folder(), number: n}.path())
	}
	return paths
}

// at returns where in a file a message's record begins.
func at(t *testing.T, path string, i int) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for off := 0; off < len(data); {
		if binary.LittleEndian.Uint64(data[off+4:]) == uint64(i) {
			return off
		}
		off += int(binary.LittleEndian.Uint32(data[off:]) &^ withHeaders)
	}
	t.Fatalf("message %d is not in %s", i, path)
	return 0
}

// flip turns one bit of a file.
func flip(t *testing.T, path string, offset int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		data[offset] ^= 0x10
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s store) check() Report {
	s.t.Helper()
	r, err := Check(s.t.Context(), s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// holds starts a server and wants all messages but those.
func (s store) holds(but ...int) {
	s.t.Helper()
	gone := map[int]bool{}
	for _, i := range but {
		gone[i] = true
	}
	s.run(func(js jetstream.JetStream, st jetstream.Stream) {
		for i := 1; i <= messages; i++ {
			m, err := st.GetMsg(s.t.Context(), uint64(i))
			if want := i%10 != 0 && !gone[i]; (err == nil) != want || want && string(m.Data) != body(i) {
				s.t.Errorf("message %d is there: %v (%v), want %v", i, err == nil, err, want)
			}
		}
		if _, err := js.Publish(s.t.Context(), "work.1", []byte("more")); err != nil {
			s.t.Errorf("no message can be added: %v", err)
		}
	})
}

// TestTheServersFilesAreRead: what the server writes is whole, all of it is read,
// and it is not changed.
func TestTheServersFilesAreRead(t *testing.T) {
	s := newStore(t)
	if r := s.check(); r.Damaged() {
		t.Fatalf("a store without damage has %v", r)
	}
	seen := 0
	for _, path := range s.blocks() {
		var number int
		_, _ = fmt.Sscanf(filepath.Base(path), "%d.blk", &number)
		read, err := damagedBlock{folder: s.folder(), number: number}.scan(0, false)
		if err != nil || len(read.holes) > 0 {
			t.Errorf("%s: %+v, %v", path, read.holes, err)
		}
		seen += len(read.removed)
	}
	if seen == 0 {
		t.Error("no removal was read")
	}
	s.holds()
}

// TestOneBitCostsOneMessage flips bits in whatever a record is made of. The server
// alone takes all behind it in its file for removed, or notices nothing. (Of a record
// without headers, the sum does not cover where the subject ends; ours have some.)
func TestOneBitCostsOneMessage(t *testing.T) {
	for name, offset := range map[string]int{"length": 0, "length, far too long": 3, "number": 5, "time": 15, "subject's length": 20, "subject": 24, "message": 80, "sum": -4} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			path := s.blocks()[1]
			read, err := damagedBlock{folder: s.folder(), number: 2}.scan(0, false)
			if err != nil {
				t.Fatal(err)
			}
			i := int(read.first) + 5
			for i%2 == 1 || i%10 == 0 {
				i++
			}
			from := at(t, path, i)
			if offset < 0 {
				from = at(t, path, i+1)
			}
			flip(t, path, from+offset)
			r := s.check()
			if n := r.Messages(stream); n != 1 {
				t.Fatalf("%d messages are lost (%v), want 1", n, r)
			}
			if err := r.Erase(); err != nil {
				t.Fatal(err)
			}
			if r := s.check(); r.Damaged() {
				t.Errorf("after that there still is %v", r)
			}
			s.holds(i)
		})
	}
}

// TestChurnIsNoDamage: values that replace others, purges, erasures, and files that
// the server writes anew without what was removed, over several starts.
func TestChurnIsNoDamage(t *testing.T) {
	s := store{t, t.TempDir()}
	for round := range 3 {
		s.run(func(js jetstream.JetStream, st jetstream.Stream) {
			last, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "last", Subjects: []string{"last.>"}, MaxMsgsPerSubject: 1, MaxBytes: 127_000})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 600 {
				for _, subject := range []string{fmt.Sprint("last.", i%40), "work.a"} {
					if _, err := js.Publish(t.Context(), subject, []byte(body(i)[:100+i%300])); err != nil {
						t.Fatal(err)
					}
				}
				seq := uint64(round*600 + i + 1) //nolint:gosec // small
				switch {
				case i%50 == 49:
					err = last.Purge(t.Context(), jetstream.WithPurgeSubject(fmt.Sprint("last.", i%40)))
				case i%7 == 0:
					err = st.SecureDeleteMsg(t.Context(), seq)
				case i%10 != 0:
					err = st.DeleteMsg(t.Context(), seq)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		})
		if r := s.check(); r.Damaged() {
			t.Fatalf("after round %d: %v", round, r)
		}
	}
}

// TestWhatACrashLeavesIsNoDamage: half a record at the end of the last file was
// never acknowledged; at the end of another one it is damage.
func TestWhatACrashLeavesIsNoDamage(t *testing.T) {
	s := newStore(t)
	paths := s.blocks()
	last := paths[len(paths)-1]
	f, err := os.OpenFile(last, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write([]byte{100, 0, 0, 0, 1, 2, 3})
		_ = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := s.check(); r.Damaged() {
		t.Errorf("a torn end counts as damage: %v", r)
	}
	info, err := os.Stat(paths[0])
	if err == nil {
		err = os.Truncate(paths[0], info.Size()-100)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := s.check().Messages(stream); n != 1 {
		t.Errorf("a file that lacks its end: %d messages are lost, want 1", n)
	}
}

// TestABlockOfNoise ends soon, and says how much can be lost at the most.
func TestABlockOfNoise(t *testing.T) {
	s := newStore(t)
	path := s.blocks()[1]
	info, err := os.Stat(path)
	if err == nil {
		err = os.WriteFile(path, bytes.Repeat([]byte{31, 0, 0, 0}, int(info.Size())/4), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
	defer cancel()
	r, err := Check(ctx, s.dir)
	if err != nil || r.Messages(stream) < 10 || r.Messages(stream) > messages {
		t.Errorf("%d messages are lost, %v", r.Messages(stream), err)
	}
	if err := r.Erase(); err != nil {
		t.Fatal(err)
	}
	s.run(func(js jetstream.JetStream, st jetstream.Stream) {
		if m, err := st.GetMsg(t.Context(), messages-1); err != nil || string(m.Data) != body(messages-1) {
			t.Errorf("the newest message is gone: %v", err)
		}
	})
}
