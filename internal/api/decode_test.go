package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		body, field, message string
		kind                 constellation.Kind
	}{
		{`{"name":"a","algorithms":[{"replicas":2}],"x":null,"y":true}`, "", "", ""},
		{``, "", "the request has no body; send a JSON object", constellation.KindMalformed},
		{" \n", "", "the request has no body; send a JSON object", constellation.KindMalformed},
		{"{\n  \"name\": }", "", "at line 2, column 11", constellation.KindMalformed},
		{"{\"é\": x}", "", "at line 1, column 7", constellation.KindMalformed},
		{`{"name":"a"`, "", "unexpected end of JSON input", constellation.KindMalformed},
		{`{"name":"a"} trailing`, "", "invalid character 't' after top-level value at line 1, column 14", constellation.KindMalformed},
		{"\xff\xfe{}", "", "it is not UTF-8", constellation.KindMalformed},
		{strings.Repeat("[", 20000), "", "exceeded max depth", constellation.KindMalformed},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "", "nests deeper than 64 levels", constellation.KindMalformed},
		{strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "", "nests deeper than 64 levels", constellation.KindMalformed},
		{strings.Repeat("[", 60) + strings.Repeat("]", 60), "", "", ""},
		{`{"name":"a","Name":"b"}`, "Name", "Name is given twice", constellation.KindInvalid},
		{`{"a":[{"b":"x\u0000"}]}`, "a[0].b", "a[0].b has a NUL character", constellation.KindInvalid},
		{`{"replicas":1e3}`, "replicas", "is a whole number, written without a point or an exponent; not 1e3", constellation.KindInvalid},
		{`{"replicas":99999999999999999999}`, "replicas", "is a whole number", constellation.KindInvalid},
	}
	for _, test := range tests {
		_, err := checkJSON([]byte(test.body), jsonRules{})
		if constellation.KindOf(err) != test.kind {
			t.Errorf("checkJSON(%.40q) kind = %q, want %q", test.body, constellation.KindOf(err), test.kind)
			continue
		}
		var e *constellation.Error
		if !errors.As(err, &e) {
			continue
		}
		if !strings.Contains(e.Message, test.message) {
			t.Errorf("checkJSON(%.40q) = %q, want %q in it", test.body, e.Message, test.message)
		}
		if test.field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != test.field) {
			t.Errorf("checkJSON(%.40q) fields = %v, want %q", test.body, e.Fields, test.field)
		}
	}
}

// TestComplaintsAreBounded sends many numbers of one long name. It runs beside no
// other test, since it counts what is allocated.
func TestComplaintsAreBounded(t *testing.T) {
	body := []byte(`{"` + strings.Repeat("x", maxBody/2) + `":[` + strings.Repeat("1.5,", maxBody/8) + `1.5]}`)
	check := func(rules jsonRules) error {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := checkJSON(body, rules)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
			t.Errorf("a body of 1 MiB took %d MiB to check, want at most 100", took>>20)
		}
		return err
	}
	var e *constellation.Error
	if err := check(jsonRules{}); !errors.As(err, &e) {
		t.Fatalf("checkJSON() = %v", err)
	}
	size := len(e.Message)
	for _, f := range e.Fields {
		size += len(f.Field) + len(f.Message)
	}
	if len(e.Fields) != maxFields || size > 1<<16 {
		t.Errorf("%d fields of %d bytes, want %d of a few hundred each", len(e.Fields), size, maxFields)
	}
	if err := check(jsonRules{isNumber: func(path string) bool { return path == "replicas" }}); err != nil {
		t.Errorf("numbers of an unknown field = %v, want nothing of how they are written", err)
	}
}

func TestPresentedKey(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer k": "k", "bearer k": "k", "Simple k": "k", "simple  k ": "k", "k": "k",
		"": "", "   ": "", "Basic abc": "", "Bearer a b": "", "Digest x": "",
	} {
		got, err := presentedKey(header)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("presentedKey(%q) = %q, %v; want %q", header, got, err, want)
		}
	}
}

func TestCheckMediaType(t *testing.T) {
	t.Parallel()
	for contentType, ok := range map[string]bool{
		"": true, "application/json": true, "application/json; charset=UTF-8": true, "application/merge-patch+json": true,
		"Application/JSON; Charset=utf-8": true, "APPLICATION/MERGE-PATCH+JSON": true,
		"text/plain": false, "application/x-www-form-urlencoded": false, "application/json; charset=latin1": false,
		"application/jsonp": false, "image/svg+json": false, ";;": false,
	} {
		if err := checkMediaType(contentType); (err == nil) != ok {
			t.Errorf("checkMediaType(%q) = %v, want ok %v", contentType, err, ok)
		}
	}
}

func TestRevision(t *testing.T) {
	t.Parallel()
	number := func(n int64) *int64 { return &n }
	tests := []struct {
		header string
		want   *int64
		ok     bool
	}{
		{"", nil, true}, {"*", nil, true}, {`"3"`, number(3), true}, {`"3.1f", "2"`, number(3), true}, {`".3"`, number(0), true}, {`"3" `, number(3), true}, {`"03"`, number(0), true},
		{`"other"`, number(0), true}, {`"-3"`, number(0), true}, {`"1", "2"`, number(2), true}, {`"2","1","x"`, number(2), true},
		{`W/"3"`, nil, false}, {"3", nil, false}, {`"1",`, nil, false}, {`"1" "2"`, nil, false}, {`*, "1"`, nil, false}, {`"`, nil, false}, {`""3""`, nil, false}, {"\"3\n\"", nil, false},
	}
	for _, test := range tests {
		got, err := IfMatchInput{IfMatch: test.header}.revision()
		if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != test.ok {
			t.Errorf("revision of %s = %v, %v (-want +got):\n%s", test.header, got, err, diff)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		``: false, `"a"`: true, `W/"a"`: true, `"b", "a"`: true, `*`: true, `"b"`: false, `a`: false,
	} {
		if got := matches(header, `"a"`); got != want {
			t.Errorf("matches(%s) = %v, want %v", header, got, want)
		}
	}
}

func TestRoutesThatAreNot(t *testing.T) {
	t.Parallel()
	handler := New(nil, Options{})
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/v1/nothing", 404, ""},
		{"GET", "/v1/satellites/", 404, ""},
		{"PATCH", "/v1/satellites", 405, "GET, HEAD, POST, PUT"},
		{"PUT", "/v1/algorithms/a/b/versions", 405, "GET, HEAD, POST"},
		{"POST", "/v1/algorithms", 405, "GET, HEAD"},
		{"DELETE", "/v1/satellites/a%2Fb/launches", 405, "GET, HEAD, POST, PUT"},
		{"BREW", "/v1/account", 405, "GET, HEAD"},
		{"GET", "/v1/satellites/a%00b", 400, ""},
		{"GET", "/v1/satellites?q=%ff", 400, ""},
		{"GET", "/v1/satellites?q=%zz", 400, ""},
	}
	for _, test := range tests {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
		if w.Code != test.status || w.Header().Get("Allow") != test.allow {
			t.Errorf("%s %s = %d, Allow %q; want %d, %q", test.method, test.path, w.Code, w.Header().Get("Allow"), test.status, test.allow)
		}
		checkErrorShape(t, test.method+" "+test.path, w.Result())
	}
}

func TestBodiesAreCappedBeforeAuthentication(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(New(nil, Options{}))
	t.Cleanup(server.Close)
	for _, size := range []int{maxBody + 1, 11 << 20} {
		resp, err := server.Client().Post(server.URL+"/v1/satellites", "application/json", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatalf("POST of %d bytes: %v", size, err)
		}
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("POST of %d bytes = %d, want 413", size, resp.StatusCode)
		}
		checkErrorShape(t, "POST", resp)
		_ = resp.Body.Close()
	}
	resp, err := server.Client().Post(server.URL+"/v1/satellites", "application/json", strings.NewReader(strings.Repeat("x", maxBody)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != challenge {
		t.Errorf("POST of %d bytes without a key = %d, WWW-Authenticate %q", maxBody, resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	}
}
