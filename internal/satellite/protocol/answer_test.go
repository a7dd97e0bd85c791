package protocol

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/satellite/memory"
)

// answer returns a replica's answer.
func answer(status int, contentType, body string) Answer {
	b := memory.NewBuffer(len(body))
	b.B = append(b.B, body...)
	return Answer{Status: status, ContentType: contentType, Body: b}
}

// text returns what a caller reads of a reply.
func text(r *Reply) string {
	return string(r.Parts[0]) + string(r.Parts[1]) + string(r.Parts[2])
}

// told returns what a caller reads of a replica's answer to a call that ran for
// two seconds.
func told(c Call, a Answer) (status int, contentType, body string, outcome Outcome) {
	c.Run = 2 * time.Second
	result, f := c.ReadAnswer(a)
	if f == nil {
		var reply Reply
		if reply, f = c.Reply(&result); f == nil {
			defer reply.Release()
			return reply.Status, reply.ContentType, text(&reply), OutcomeOK
		}
	}
	reply := c.ErrorReply(f)
	defer reply.Release()
	return reply.Status, reply.ContentType, text(&reply), f.Outcome
}

func TestAnswersOfALangserver(t *testing.T) {
	for _, test := range []struct {
		name    string
		call    Call
		answer  Answer
		status  int
		typ     string
		body    string
		outcome Outcome
	}{
		{
			"json", Call{}, answer(200, "application/json", `{"result":{"a": 1},"metadata":{"content_type":"json","duration":0.5}}`),
			200, MediaJSON, `{"result":{"a": 1},"metadata":{"content_type":"json","duration":0.5}}`, OutcomeOK,
		},
		{
			"the engine's measure, without the replica's", Call{}, answer(200, "", `{"result":"hi","metadata":{"content_type":"text"}}`),
			200, MediaJSON, `{"result":"hi","metadata":{"content_type":"text","duration":2}}`, OutcomeOK,
		},
		{
			"a measure that cannot be", Call{}, answer(200, "", `{"result":1,"metadata":{"content_type":"json","duration":-3}}`),
			200, MediaJSON, `{"result":1,"metadata":{"content_type":"json","duration":2}}`, OutcomeOK,
		},
		{
			"a type that is not the value's", Call{}, answer(200, "", `{"result":[1],"metadata":{"content_type":"binary","duration":1}}`),
			200, MediaJSON, `{"result":[1],"metadata":{"content_type":"json","duration":1}}`, OutcomeOK,
		},
		{
			"no type", Call{}, answer(200, "", `{"result":null,"metadata":{"duration":1}}`),
			200, MediaJSON, `{"result":null,"metadata":{"content_type":"void","duration":1}}`, OutcomeOK,
		},
		{
			"output that was asked for", Call{stdout: true}, answer(200, "", `{"result":1,"metadata":{"content_type":"json","duration":1,"stdout":"a\nb"}}`),
			200, MediaJSON, `{"result":1,"metadata":{"content_type":"json","duration":1,"stdout":"a\nb"}}`, OutcomeOK,
		},
		{
			"output that was not", Call{}, answer(200, "", `{"result":1,"metadata":{"content_type":"json","duration":1,"stdout":"a"}}`),
			200, MediaJSON, `{"result":1,"metadata":{"content_type":"json","duration":1}}`, OutcomeOK,
		},
		{
			"raw text", Call{Raw: true}, answer(200, "", `{"result":"a\nb","metadata":{"content_type":"text","duration":1}}`),
			200, textPlain, "a\nb", OutcomeOK,
		},
		{
			"raw bytes", Call{Raw: true}, answer(200, "", `{"result":"AAEC","metadata":{"content_type":"binary","duration":1}}`),
			200, MediaBinary, "\x00\x01\x02", OutcomeOK,
		},
		{
			"an exception", Call{}, answer(200, "", `{"error":{"message":"no","stacktrace":"at 1","error_type":"ValueError"},"metadata":{"duration":1}}`),
			200, MediaJSON, `{"error":{"message":"no","stacktrace":"at 1","error_type":"ValueError"},"metadata":{"duration":1}}`, OutcomeError,
		},
		{
			"an exception's old key", Call{}, answer(200, "", `{"error":{"message":"no","type":"ValueError"}}`),
			200, MediaJSON, `{"error":{"message":"no","error_type":"ValueError"},"metadata":{"duration":2}}`, OutcomeError,
		},
		{
			"an exception without words", Call{}, answer(200, "", `{"error":{}}`),
			200, MediaJSON, `{"error":{"message":"the algorithm raised an error without a message"},"metadata":{"duration":2}}`, OutcomeError,
		},
		{
			"not JSON", Call{}, answer(200, "", `<html>`),
			200, MediaJSON, `{"error":{"message":"the algorithm's reply is not a JSON object","error_type":"ParsingError"},"metadata":{"duration":2}}`, OutcomeLost,
		},
		{
			"neither result nor error", Call{}, answer(200, "", `{"metadata":{"duration":1}}`),
			200, MediaJSON, `{"error":{"message":"the algorithm's reply has neither result nor error","error_type":"ParsingError"},"metadata":{"duration":1}}`, OutcomeLost,
		},
		{
			"another status", Call{}, answer(502, "", `{"result":1}`),
			200, MediaJSON, `{"error":{"message":"` + RanOut + `","error_type":"SystemError"},"metadata":{"duration":2}}`, OutcomeLost,
		},
		{
			"an input that it cannot read", Call{}, answer(400, "", `{"error":{"message":"bad \"x","type":"ParsingError"}}`),
			400, MediaJSON, `{"error":{"message":"bad \"x","error_type":"ParsingError"}}`, OutcomeRefused,
		},
		{
			"the same, unescaped", Call{}, answer(400, "", `{"error":{"type":"ParsingError", "message":"bad "x""}}`),
			400, MediaJSON, `{"error":{"message":"bad \"x\"","error_type":"ParsingError"}}`, OutcomeRefused,
		},
	} {
		test.call.Langserver = true
		status, typ, body, outcome := told(test.call, test.answer)
		if status != test.status || typ != test.typ || outcome != test.outcome {
			t.Errorf("%s: %d %s, %v; want %d %s, %v", test.name, status, typ, outcome, test.status, test.typ, test.outcome)
		}
		if diff := cmp.Diff(test.body, body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestAnswersOfAnHTTPAlgorithm(t *testing.T) {
	for _, test := range []struct {
		name    string
		raw     bool
		answer  Answer
		typ     string
		body    string
		outcome Outcome
	}{
		{"json", false, answer(200, "application/json", ` {"a":1} `), MediaJSON, `{"result":{"a":1},"metadata":{"content_type":"json","duration":2}}`, OutcomeOK},
		{"a kind of json", false, answer(201, "application/problem+json; charset=utf-8", `[]`), MediaJSON, `{"result":[],"metadata":{"content_type":"json","duration":2}}`, OutcomeOK},
		{"text", false, answer(200, "text/html", `<b>"é`), MediaJSON, `{"result":"<b>\"é","metadata":{"content_type":"text","duration":2}}`, OutcomeOK},
		{"text of another charset", false, answer(200, "text/plain; charset=latin1", "\xe9"), MediaJSON, `{"result":"6Q==","metadata":{"content_type":"binary","duration":2}}`, OutcomeOK},
		{"bytes", false, answer(200, "image/png", "\x00\x01"), MediaJSON, `{"result":"AAE=","metadata":{"content_type":"binary","duration":2}}`, OutcomeOK},
		{"nothing", false, answer(204, "", ""), MediaJSON, `{"result":null,"metadata":{"content_type":"void","duration":2}}`, OutcomeOK},
		{"raw text", true, answer(200, "text/plain", "a\n"), textPlain, "a\n", OutcomeOK},
		{"raw json", true, answer(200, "application/json", " [1] "), MediaJSON, "[1]", OutcomeOK},
		{
			"JSON that is none", false, answer(200, "application/json", "{"), MediaJSON,
			`{"error":{"message":"the algorithm's reply says application/json and is not JSON","error_type":"ParsingError"},"metadata":{"duration":2}}`, OutcomeLost,
		},
		{
			"its own message", false, answer(422, "application/json", `{"detail":"too long","error":{"message":"no"}}`), MediaJSON,
			`{"error":{"message":"no","error_type":"AlgorithmError"},"metadata":{"duration":2}}`, OutcomeError,
		},
		{
			"a page", false, answer(500, "text/plain", " oh \n"), MediaJSON,
			`{"error":{"message":"oh","error_type":"AlgorithmError"},"metadata":{"duration":2}}`, OutcomeError,
		},
		{
			"no message", false, answer(503, "", ""), MediaJSON,
			`{"error":{"message":"the algorithm answered 503 Service Unavailable","error_type":"AlgorithmError"},"metadata":{"duration":2}}`, OutcomeError,
		},
	} {
		status, typ, body, outcome := told(Call{Raw: test.raw}, test.answer)
		if status != http.StatusOK || typ != test.typ || outcome != test.outcome {
			t.Errorf("%s: %d %s, %v; want 200 %s, %v", test.name, status, typ, outcome, test.typ, test.outcome)
		}
		if diff := cmp.Diff(test.body, body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestLimitsOfResults: a result of the largest size goes through, in whatever
// form, and one byte more is refused.
func TestLimitsOfResults(t *testing.T) {
	quoted := func(n int) string {
		return `{"result":"` + strings.Repeat("x", n-2) + `","metadata":{"content_type":"text"}}`
	}
	for _, test := range []struct {
		name       string
		langserver bool
		body       string
		want       Outcome
	}{
		{"langserver", true, quoted(MaxOutput), OutcomeOK},
		{"langserver, too large", true, quoted(MaxOutput + 1), OutcomeError},
		{"http", false, strings.Repeat("x", MaxOutput), OutcomeOK},
		{"http, too large", false, strings.Repeat("x", MaxOutput+1), OutcomeError},
	} {
		_, _, body, outcome := told(Call{Langserver: test.langserver}, answer(200, MediaBinary, test.body))
		if outcome != test.want {
			t.Errorf("%s: %v, want %v", test.name, outcome, test.want)
		}
		if large := strings.Contains(body[:min(len(body), 100)], "TooLargeError"); large != (test.want == OutcomeError) {
			t.Errorf("%s: the reply begins with %.100s", test.name, body)
		}
	}
}

// TestLargeResultsAreNotCopied: what is longer than SmallBody stays in the
// answer's own buffer, as a part of its own.
func TestLargeResultsAreNotCopied(t *testing.T) {
	c := Call{Langserver: true, Run: time.Second}
	a := answer(200, MediaJSON, `{"result":"`+strings.Repeat("x", SmallBody)+`","metadata":{"content_type":"text"}}`)
	whole := a.Body.B
	result, f := c.ReadAnswer(a)
	if f != nil {
		t.Fatal(f)
	}
	reply, f := c.Reply(&result)
	if f != nil {
		t.Fatal(f)
	}
	defer reply.Release()
	at := bytes.IndexByte(whole[1:], '"') // of result
	if at < 0 || len(reply.Parts[1]) != SmallBody+2 || &reply.Parts[1][0] != &whole[len(`{"result":`)] {
		t.Errorf("a result of %d bytes was copied", len(reply.Parts[1]))
	}
	if got := text(&reply); !strings.HasSuffix(got, `","metadata":{"content_type":"text","duration":1}}`) || reply.Length() != len(got) {
		t.Errorf("the reply ends in %q, and its length is %d of %d", got[len(got)-60:], reply.Length(), len(got))
	}
}
