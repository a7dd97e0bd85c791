package protocol

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/satellite/memory"
)

func TestReadQuery(t *testing.T) {
	for _, test := range []struct {
		query  string
		want   Call
		refuse string // a part of the refusal
	}{
		{"", Call{Timeout: time.Minute}, ""},
		{"unknown=1", Call{Timeout: time.Minute}, ""},
		{"timeout=3000&stdout=True&timing=1&output=raw", Call{Timeout: 3000 * time.Second, stdout: true, timing: true, Raw: true}, ""},
		{"output=void&stdout=false&timing=0", Call{Timeout: time.Minute, Void: true}, ""},
		{"output=default", Call{Timeout: time.Minute}, ""},
		{"timeout=0", Call{}, "1 to 3000"},
		{"timeout=3001", Call{}, "1 to 3000"},
		{"timeout=1.5", Call{}, "1 to 3000"},
		{"stdout=yes", Call{}, "stdout is"},
		{"timing=2", Call{}, "timing is"},
		{"output=json", Call{}, "output is"},
		{"output=%zz", Call{}, "percent-encode"},
	} {
		c := Call{Timeout: time.Minute}
		f := c.ReadQuery(test.query)
		if test.refuse != "" {
			if f == nil || f.Status != 400 || !strings.Contains(f.Message, test.refuse) {
				t.Errorf("ReadQuery(%q) = %v, want 400 with %q", test.query, f, test.refuse)
			}
			continue
		}
		if f != nil {
			t.Errorf("ReadQuery(%q): %v", test.query, f)
		}
		if diff := cmp.Diff(test.want, c, cmp.AllowUnexported(Call{})); diff != "" {
			t.Errorf("ReadQuery(%q) (-want +got):\n%s", test.query, diff)
		}
	}
}

// TestTypesAndBodies: what a replica is told of an input's type, and which inputs
// no algorithm gets.
func TestTypesAndBodies(t *testing.T) {
	for _, test := range []struct {
		langserver           bool
		typ, encoding, input string
		sent, body           string // "" is refused
		status               int
	}{
		{true, "application/json", "", `{"a":1}`, "Content-Type: application/json", `{"a":1}`, 0},
		{true, "Application/JSON; charset=UTF-8", "identity", `1`, "Content-Type: application/json", `1`, 0},
		{true, "application/text", "", "é", "Content-Type: text/plain", "é", 0},
		{false, "text/plain; charset=utf-8", "", "é", "Content-Type: text/plain; charset=utf-8", "é", 0},
		{true, "application/octet-stream", "base64", "AAE=", "Content-Type: application/octet-stream\r\nContent-Encoding: base64", "AAE=", 0},
		{false, "application/octet-stream", "Base64", "AAE=", "Content-Type: application/octet-stream", "\x00\x01", 0},
		{false, "application/octet-stream", "base64", "_-8", "Content-Type: application/octet-stream", "\xff\xef", 0},
		{false, "application/json", "", `{`, "Content-Type: application/json", `{`, 0},
		{true, "application/json", "", `{`, "", "", 400},
		{true, "text/plain", "", "\xff", "", "", 400},
		{false, "application/octet-stream", "base64", "%", "", "", 400},
		{true, "text/html", "", "", "", "", 415},
		{true, "", "", "", "", "", 415},
		{true, "text/plain; charset=latin1", "", "", "", "", 415},
		{true, "application/json", "base64", "", "", "", 415},
		{true, "application/octet-stream", "gzip", "", "", "", 415},
	} {
		c := Call{Langserver: test.langserver, Head: []byte("POST / HTTP/1.1\r\nHost: "), ID: "req-1"}
		body := memory.NewBuffer(len(test.input))
		body.B = append(body.B, test.input...)
		f := c.ReadType(test.typ, test.encoding)
		if f == nil {
			f = c.CheckBody(body)
		}
		if test.sent == "" {
			if f == nil || f.Status != test.status || f.Outcome != OutcomeRefused {
				t.Errorf("%q, %q, %q: %v, want %d", test.typ, test.encoding, test.input, f, test.status)
			}
			continue
		}
		if f != nil {
			t.Errorf("%q, %q, %q: %v", test.typ, test.encoding, test.input, f)
			continue
		}
		want := "POST / HTTP/1.1\r\nHost: 10.0.0.1:80\r\n" + test.sent + "\r\nContent-Length: 7\r\nX-Request-Id: req-1\r\n\r\n"
		if diff := cmp.Diff(want, string(c.AppendHead(nil, "10.0.0.1:80", 7))); diff != "" {
			t.Errorf("AppendHead for %q, %q (-want +got):\n%s", test.typ, test.encoding, diff)
		}
		if string(body.B) != test.body {
			t.Errorf("CheckBody(%q) leaves %q, want %q", test.input, body.B, test.body)
		}
	}
}

func TestRequestID(t *testing.T) {
	made := regexp.MustCompile(`^req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, id := range []string{"a", "Job_7.x:/+=@-", strings.Repeat("x", 128)} {
		if got := RequestID(id); got != id {
			t.Errorf("RequestID(%q) = %q, want it as it is", id, got)
		}
	}
	for _, id := range []string{"", "a b", "a\nb", "é", strings.Repeat("x", 129)} {
		if got := RequestID(id); !made.MatchString(got) {
			t.Errorf("RequestID(%q) = %q, want a new one", id, got)
		}
	}
	if a, b := RequestID(""), RequestID(""); a == b {
		t.Errorf("two new request ids are %q both", a)
	}
}

func TestReadTrace(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	const parent = "00-" + trace + "-" + span + "-01"
	long := strings.Repeat("x", 513)
	for _, test := range []struct {
		parent, state string
		want          Trace
	}{
		{parent, "a=1,b=2", Trace{parent, "a=1,b=2"}},
		{parent, "", Trace{Parent: parent}},
		{parent, long, Trace{Parent: parent}},
		{parent, "a=1\r\nX: y", Trace{Parent: parent}},
		{"", "a=1", Trace{}},
		{strings.ToUpper(parent), "a=1", Trace{}},
		{"01-" + trace + "-" + span + "-01", "", Trace{}},
		{"00-" + strings.Repeat("0", 32) + "-" + span + "-01", "", Trace{}},
		{"00-" + trace + "-" + strings.Repeat("0", 16) + "-01", "", Trace{}},
		{parent + "-x", "", Trace{}},
	} {
		got := ReadTrace(test.parent, test.state)
		if got != test.want {
			t.Errorf("ReadTrace(%q, %q) = %v, want %v", test.parent, test.state, got, test.want)
		}
		id := ""
		if test.want.Parent != "" {
			id = trace
		}
		if got.TraceID() != id {
			t.Errorf("%v.TraceID() = %q, want %q", got, got.TraceID(), id)
		}
	}
}

func TestReadInsights(t *testing.T) {
	many := "[" + strings.Repeat(`{"insight_key":"k","insight_value":1},`, 25) + `{"insight_key":"k","insight_value":1}]`
	for _, test := range []struct {
		report string
		want   map[string]string
		n      int
		status int
	}{
		{`[]`, map[string]string{}, 0, 0},
		{`[{"insight_key":"a","insight_value":1.5},{"insight_key":"b","insight_value":"x"},{"insight_key":"a","insight_value":2}]`, map[string]string{"a": "2", "b": "x"}, 3, 0},
		{`{}`, nil, 0, 400},
		{`[{"insight_key":"","insight_value":1}]`, nil, 0, 400},
		{`[{"insight_key":"a"}]`, nil, 0, 400},
		{many, nil, 0, 400},
		{strings.Repeat(" ", maxInsightsBody+1), nil, 0, 413},
	} {
		values, n, f := ReadInsights(strings.NewReader(test.report))
		if test.status != 0 {
			if f == nil || f.Status != test.status {
				t.Errorf("ReadInsights(%.60q): %v, want %d", test.report, f, test.status)
			}
			continue
		}
		if f != nil || n != test.n {
			t.Errorf("ReadInsights(%.60q) = %d, %v, want %d", test.report, n, f, test.n)
		}
		if diff := cmp.Diff(test.want, values); diff != "" {
			t.Errorf("ReadInsights(%.60q) (-want +got):\n%s", test.report, diff)
		}
	}
}

// TestHeadsOfReplies: the head of a reply on an event loop has what net/http sends
// of it.
func TestHeadsOfReplies(t *testing.T) {
	busy := &Failure{Status: 429, Outcome: OutcomeFull, Message: "the queue is full", RetryAfter: 1, RequestID: "req-1"}
	r := ErrorReply(busy)
	defer r.Release()
	r.Nosniff = true
	got := string(r.AppendHead(nil, "req-1", "expires soon", []byte("Thu, 01 Jan 1970 00:00:00 GMT"), true))
	want := "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nX-Request-Id: req-1\r\nX-Constellation-Warning: expires soon\r\n" +
		"X-Content-Type-Options: nosniff\r\nRetry-After: 1\r\nConnection: close\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 62\r\n\r\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("AppendHead() (-want +got):\n%s", diff)
	}
	if body := text(&r); body != `{"error":{"message":"the queue is full","request_id":"req-1"}}` {
		t.Errorf("the body is %s", body)
	}
}

// TestCausesStayInTheLog: what a caller reads of a failure has nothing of its cause.
func TestCausesStayInTheLog(t *testing.T) {
	f := Lost(memory.ErrNoRoom)
	if !strings.Contains(f.Error(), memory.ErrNoRoom.Error()) {
		t.Errorf("Error() = %q, which has no cause for the log", f.Error())
	}
	c := Call{}
	r := c.ErrorReply(f)
	defer r.Release()
	if body := text(&r); strings.Contains(body, memory.ErrNoRoom.Error()) {
		t.Errorf("the caller reads %s", body)
	}
}
