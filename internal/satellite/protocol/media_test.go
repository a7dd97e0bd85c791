package protocol

import (
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/memory"
)

// Types and encodings are read without regard to case, as RFC 9110 has them.
func TestMediaTypesIgnoreCase(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		full, encoding, want string
		base64               bool
	}{
		{"application/json", "", MediaJSON, false},
		{"Application/JSON", "", MediaJSON, false},
		{"TEXT/Plain; Charset=UTF-8", "Identity", MediaText, false},
		{"APPLICATION/TEXT", "", MediaText, false},
		{"Application/Octet-Stream", "BASE64", MediaBinary, true},
		{"image/PNG", "", "", false},
	} {
		c := Call{Langserver: true}
		f := c.ReadType(test.full, test.encoding)
		if (f == nil) != (test.want != "") || f == nil && (c.mediaType != test.want || c.base64 != test.base64) {
			t.Errorf("ReadType(%q, %q) = %+v: %q, base64 %v; want %q, %v", test.full, test.encoding, f, c.mediaType, c.base64, test.want, test.base64)
		}
	}
	c := Call{}
	if f := c.ReadType("image/PNG", ""); f != nil || c.fullType != "image/PNG" {
		t.Errorf("an http algorithm's image/PNG = %+v, %q; want it as the caller wrote it", f, c.fullType)
	}
	for media, want := range map[string]Kind{"Application/JSON": kindJSON, "Application/Problem+JSON": kindJSON, "TEXT/HTML; Charset=UTF-8": kindText} {
		res, f := readHTTP(Answer{Status: 200, ContentType: media, Body: &memory.Buffer{B: []byte(`{"a":1}`)}})
		if f != nil || res.kind != want {
			t.Errorf("an answer of type %s is %v, %+v; want %v", media, res.kind, f, want)
		}
	}
}
