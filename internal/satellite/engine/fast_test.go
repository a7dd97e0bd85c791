//go:build linux

package engine

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const plainCall = "POST /v1/algo/foo/bar?timeout=100 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Simple " + testKey +
	"\r\nContent-Type: text/plain\r\nX-Request-ID: my-id\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nNeo"

// raw sends bytes to the engine and gives all that it answers until it closes.
func (e *testEngine) raw(t *testing.T, parts ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	for i, part := range parts {
		if i > 0 {
			eventually(t, "the engine has read so far", func() bool { return unsent(conn) == 0 })
		}
		if _, err := io.WriteString(conn, part); err != nil {
			break
		}
	}
	data, _ := io.ReadAll(conn)
	return string(data)
}

func TestRequestsOnTheWire(t *testing.T) {
	s := newStrict(t, nil)
	e := startEngine(t, lsRoute("foo/bar", s.addr))
	call := func(change ...string) string {
		return strings.NewReplacer(append(change, "Connection: keep-alive", "Connection: close")...).Replace(plainCall)
	}
	const ok, neo = "HTTP/1.1 200 OK\r\n", `{"result":"Neo","metadata":{"content_type":"text","duration":0.25}}`
	for name, test := range map[string]struct {
		send []string
		want []string
		not  string
	}{
		"plain":                 {send: []string{call()}, want: []string{ok, neo, "\r\nX-Request-Id: my-id\r\n", "\r\nConnection: close\r\n", "\r\nDate: "}},
		"in pieces":             {send: []string{call()[:10], call()[10:100], call()[100:150], call()[150:]}, want: []string{ok, neo}},
		"body after the head":   {send: []string{call()[:len(call())-3], "Neo"}, want: []string{ok, neo}},
		"HTTP/1.0":              {send: []string{call("HTTP/1.1", "HTTP/1.0")}, want: []string{"HTTP/1.0 200 OK\r\n", neo}},
		"pipelined":             {send: []string{plainCall + plainCall + call()}, want: []string{ok, neo + "HTTP/1.1 200 OK\r\n"}},
		"chunked":               {send: []string{call("Content-Length: 3", "Transfer-Encoding: chunked", "Neo", "3\r\nNeo\r\n0\r\n\r\n")}, want: []string{ok, neo}},
		"expects 100":           {send: []string{call("Content-Type", "Expect: 100-continue\r\nContent-Type")}, want: []string{"HTTP/1.1 100 Continue\r\n", ok, neo}},
		"both lengths":          {send: []string{call("Content-Length: 3", "Content-Length: 3\r\nTransfer-Encoding: chunked", "Neo", "0\r\n\r\n") + plainCall}, want: []string{ok, `{"result":"",`, "\r\nConnection: close\r\n"}, not: neo}, // RFC 9112, 6.1: and nothing after it
		"two lengths":           {send: []string{call("Content-Length: 3", "Content-Length: 3\r\nContent-Length: 4")}, want: []string{"HTTP/1.1 400"}, not: neo},
		"space before colon":    {send: []string{call("Content-Length:", "Content-Length :")}, want: []string{"HTTP/1.1 400"}, not: neo},
		"folded header":         {send: []string{call("Content-Type:", "X: y\r\n z\r\nContent-Type:")}, want: []string{"HTTP/1.1"}, not: "500"},
		"negative length":       {send: []string{call("Content-Length: 3", "Content-Length: -3")}, want: []string{"HTTP/1.1 400"}, not: neo},
		"absurd length":         {send: []string{call("Content-Length: 3", "Content-Length: 99999999999999999999")}, want: []string{"HTTP/1.1 400"}, not: neo},
		"too large":             {send: []string{call("Content-Length: 3", "Content-Length: 10485761")}, want: []string{"HTTP/1.1 413", "10 MiB"}, not: neo},
		"no host":               {send: []string{call("Host: 127.0.0.1:8080\r\n", "")}, want: []string{"HTTP/1.1 400"}, not: neo},
		"two hosts":             {send: []string{call("Host:", "Host: y\r\nHost:")}, want: []string{"HTTP/1.1 400"}, not: neo},
		"header of 100 KB":      {send: []string{call("Host:", "X: "+strings.Repeat("x", 100<<10)+"\r\nHost:")}, want: []string{"HTTP/1.1 431"}, not: neo},
		"10,000 headers":        {send: []string{call("Host:", strings.Repeat("X: y\r\n", 20000)+"Host:")}, want: []string{"HTTP/1.1 431"}, not: neo},
		"no HTTP":               {send: []string{"hello, is this HTTP?\r\n\r\n"}, want: []string{"HTTP/1.1 400"}},
		"TLS":                   {send: []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"}, want: []string{"HTTP/1.1 400"}},
		"half-written encoding": {send: []string{call("/foo/bar", "/foo%2fba")}, want: []string{"HTTP/1.1 404"}},
		"absolute target":       {send: []string{call("POST /", "POST http://127.0.0.1/")}, want: []string{ok, neo}},
		"gzip":                  {send: []string{call("Host:", "Content-Encoding: gzip\r\nHost:")}, want: []string{"HTTP/1.1 415", "base64"}, not: neo},
		"no content type":       {send: []string{call("Content-Type: text/plain\r\n", "")}, want: []string{"HTTP/1.1 415"}},
		"negative time-out":     {send: []string{call("timeout=100", "timeout=-1")}, want: []string{"HTTP/1.1 400", "timeout is a whole number"}},
		"absurd time-out":       {send: []string{call("timeout=100", "timeout=99999999999999999999")}, want: []string{"HTTP/1.1 400"}},
		"not UTF-8":             {send: []string{call("Neo", "\xff\xfe\xfd")}, want: []string{"HTTP/1.1 400", "UTF-8"}},
		"not JSON":              {send: []string{call("text/plain", "application/json")}, want: []string{"HTTP/1.1 400", "JSON"}},
		"no key":                {send: []string{call("Authorization: Simple "+testKey+"\r\n", "")}, want: []string{"HTTP/1.1 401", `{"error":{"message":"authorization required"}}`}},
		"two keys":              {send: []string{call("Authorization:", "Authorization: x\r\nAuthorization:")}, want: []string{"HTTP/1.1 401"}},
		"wrong method":          {send: []string{call("POST ", "PUT ")}, want: []string{"HTTP/1.1 405", "\r\nAllow: POST\r\n"}},
		"CONNECT":               {send: []string{"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"}, want: []string{"HTTP/1.1 404"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := e.raw(t, test.send...)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("the engine answers %.600q, want %q in it", got, want)
				}
			}
			if test.not != "" && strings.Contains(got, test.not) {
				t.Errorf("the engine answers %.600q, want no %q", got, test.not)
			}
		})
	}
	if n := s.count(&s.most); n != 1 {
		t.Errorf("the replica had %d calls at once, want 1", n)
	}
}

func TestDeepJSONAndPrefixedZipBomb(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	if got := e.do(request{contentType: "application/json", body: deep}); got.status != 400 {
		t.Errorf("JSON 20,000 deep = %d %.80s, want 400", got.status, got.body)
	}
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "gzip, base64"} {
		got := e.do(request{contentType: "application/octet-stream", body: "x", header: map[string]string{"Content-Encoding": encoding}})
		if got.status != 415 {
			t.Errorf("Content-Encoding %s = %d %s, want 415: nothing is unpacked", encoding, got.status, got.body)
		}
	}
}

func TestH2C(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &h2c}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/v1/algo/foo/bar", strings.NewReader("Neo"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Authorization", testKey)
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("call over h2c = %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.ProtoMajor != 2 || res.StatusCode != 200 || !strings.Contains(string(body), `"Neo"`) {
		t.Errorf("call over h2c = %s %d %s, %v, want 200 and Neo", res.Proto, res.StatusCode, body, err)
	}
	upgrade := e.raw(t, strings.Replace(plainCall, "Connection: keep-alive", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nConnection: close", 1))
	if !strings.HasPrefix(upgrade, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("call that offers h2c = %.200q, want it answered over HTTP/1.1", upgrade)
	}
}
