package async

import (
	"regexp"
	"testing"
)

var uuid8 = regexp.MustCompile(`^req-[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestRequestIDsFindTheirCall(t *testing.T) {
	m := NewIDCodec([]byte("secret"))
	for _, at := range []Position{{}, {Seq: 1}, {Seq: 1, After: true}, {Seq: maxSeq}, {Seq: maxSeq, After: true}, {Seq: 0x2aaaaaaaaa}} {
		for range 200 {
			ticket := m.NewTicket("foo/bar")
			id := m.Encode(ticket, at)
			if !uuid8.MatchString(id) {
				t.Fatalf("ID = %s, want req- and a UUID of version 8", id)
			}
			gotTicket, gotPlace, ok := m.Decode(id, "foo/bar")
			if !ok || gotTicket != ticket || gotPlace != at {
				t.Fatalf("Open(%s) = %v %v %v, want %v %v", id, gotTicket, gotPlace, ok, ticket, at)
			}
			if again, ok := parseTicket(ticket.String()); !ok || again != ticket {
				t.Fatalf("parseTicket(%s) = %v %v", ticket, again, ok)
			}
		}
	}
}

func TestRequestIDsOfOthersDoNotOpen(t *testing.T) {
	m := NewIDCodec([]byte("secret"))
	opened := 0
	for range 200 {
		id := m.Encode(m.NewTicket("foo/bar"), Position{Seq: 7})
		for _, other := range []struct {
			ids    *IDCodec
			vanity string
		}{{m, "foo/other"}, {NewIDCodec([]byte("another")), "foo/bar"}} {
			if _, _, ok := other.ids.Decode(id, other.vanity); ok {
				opened++
			}
		}
	}
	if opened > 2 { // 400 guesses of one in a million
		t.Errorf("%d ids open for another algorithm or launch", opened)
	}
	id := m.Encode(m.NewTicket("foo/bar"), Position{Seq: 7})
	for _, odd := range []string{
		"", "req-", id[:39], id + "0", "REQ" + id[3:], id[4:], "req-" + id[5:] + "0",
		id[:18] + "4" + id[19:], // another version
		id[:8] + "A" + id[9:], "req-00000000-0000-0000-0000-000000000000", "req-zzzzzzzz-zzzz-8zzz-8zzz-zzzzzzzzzzzz",
	} {
		if _, _, ok := m.Decode(odd, "foo/bar"); ok {
			t.Errorf("Open(%q) succeeds", odd)
		}
	}
}

func TestIdempotencyKeysGiveTheSameTicket(t *testing.T) {
	m := NewIDCodec([]byte("secret"))
	want := m.DeriveTicket("foo/bar", "key", "once")
	if got := NewIDCodec([]byte("secret")).DeriveTicket("foo/bar", "key", "once"); got != want {
		t.Errorf("Derive = %v on another engine, want %v", got, want)
	}
	for _, other := range []Ticket{
		m.DeriveTicket("foo/bar", "key", "twice"), m.DeriveTicket("foo/bar", "key2", "once"), m.DeriveTicket("foo/baz", "key", "once"),
		m.DeriveTicket("foo/bar", "keyo", "nce"), NewIDCodec([]byte("another")).DeriveTicket("foo/bar", "key", "once"),
	} {
		if other == want {
			t.Errorf("another call has the ticket %v too", want)
		}
	}
}

func TestTicketsAreReadWhole(t *testing.T) {
	for _, odd := range []string{"", "00", "zz", "ffffffffffffffff000000", "0000000000000000ffffff", "00000000000000000000000", "0A00000000000000000000"} {
		if ticket, ok := parseTicket(odd); ok {
			t.Errorf("parseTicket(%q) = %v", odd, ticket)
		}
	}
}
