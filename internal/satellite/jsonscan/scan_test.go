package jsonscan

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

func TestValidAgreesWithEncodingJSON(t *testing.T) {
	samples := append([]string{strings.Repeat("[", 9000) + strings.Repeat("]", 9000), strings.Repeat("[", 20000) + strings.Repeat("]", 20000)}, jsonSamples...)
	for _, s := range samples {
		if got, want := Valid([]byte(s)), json.Valid([]byte(s)); got != want {
			t.Errorf("Valid(%.40q) = %v, want %v", s, got, want)
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, s := range jsonSamples {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := Valid(data), json.Valid(data); got != want {
			t.Errorf("Valid(%q) = %v, want %v", data, got, want)
		}
		EachField(data, func(_, value []byte) {
			if !json.Valid(value) {
				t.Errorf("EachField(%q) gives %q, which is not JSON", data, value)
			}
		})
		var back string
		if err := json.Unmarshal(AppendQuoted(nil, data), &back); err != nil || utf8.Valid(data) && back != string(data) {
			t.Errorf("AppendQuoted(%q) reads back as %q, %v", data, back, err)
		}
	})
}

func TestEachField(t *testing.T) {
	got := ""
	ok := EachField([]byte(` {"a": 1 , "b":{"a":[2]},"c":"x\"y"} `), func(key, value []byte) { got += string(key) + "=" + string(value) + ";" })
	if want := `a=1;b={"a":[2]};c="x\"y";`; !ok || got != want {
		t.Errorf("EachField = %q, %v, want %q", got, ok, want)
	}
	for _, s := range []string{``, `[]`, `1`, `{"a":1}{}`, `{"a":1`} {
		if EachField([]byte(s), func(_, _ []byte) {}) {
			t.Errorf("EachField(%q) = true, want false", s)
		}
	}
}
