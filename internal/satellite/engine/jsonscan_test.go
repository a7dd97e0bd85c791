package engine

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

var jsonSamples = []string{
	`null`, `true`, `false`, `0`, `-0`, `1.5e+10`, `1E-2`, `""`, `"a\"\\\/\b\f\n\r\té"`, `[]`, `[1, 2,3 ]`, `{}`, `{"a":1,"b":[{}]}`,
	" \t\r\n{ \"a\" : 1 }\n", ``, ` `, `01`, `1.`, `.5`, `1e`, `+1`, `-`, `nul`, `truex`, `"`, `"\x"`, `"\u00g0"`, `"\u00"`, "\"\x01\"", `[1,]`,
	`[1 2]`, `[`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1}x`, "\"\xff\"", `"\ud800"`, `[[[[1]]]]`, `{"a":{"b":{"c":[]}}}`,
}

func TestValidJSONAgreesWithEncodingJSON(t *testing.T) {
	samples := append([]string{strings.Repeat("[", 9000) + strings.Repeat("]", 9000), strings.Repeat("[", 20000) + strings.Repeat("]", 20000)}, jsonSamples...)
	for _, s := range samples {
		if got, want := validJSON([]byte(s)), json.Valid([]byte(s)); got != want {
			t.Errorf("validJSON(%.40q) = %v, want %v", s, got, want)
		}
	}
}

func FuzzValidJSON(f *testing.F) {
	for _, s := range jsonSamples {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := validJSON(data), json.Valid(data); got != want {
			t.Errorf("validJSON(%q) = %v, want %v", data, got, want)
		}
		eachField(data, func(_, value []byte) {
			if !json.Valid(value) {
				t.Errorf("eachField(%q) gives %q, which is not JSON", data, value)
			}
		})
		var back string
		if err := json.Unmarshal(appendQuoted(nil, data), &back); err != nil || utf8.Valid(data) && back != string(data) {
			t.Errorf("appendQuoted(%q) reads back as %q, %v", data, back, err)
		}
	})
}

func TestEachField(t *testing.T) {
	got := ""
	ok := eachField([]byte(` {"a": 1 , "b":{"a":[2]},"c":"x\"y"} `), func(key, value []byte) { got += string(key) + "=" + string(value) + ";" })
	if want := `a=1;b={"a":[2]};c="x\"y";`; !ok || got != want {
		t.Errorf("eachField = %q, %v, want %q", got, ok, want)
	}
	for _, s := range []string{``, `[]`, `1`, `{"a":1}{}`, `{"a":1`} {
		if eachField([]byte(s), func(_, _ []byte) {}) {
			t.Errorf("eachField(%q) = true, want false", s)
		}
	}
}
