package config

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestParseAuth: what breaks a rule is left out, told, and takes no algorithm
// down.
func TestParseAuth(t *testing.T) {
	jwt := `"issuer":"https://login.example.com/","audience":["a"]`
	for _, test := range []struct{ name, auth, want string }{
		{"none", `{}`, ""},
		{"null", `null`, ""},
		{"a URL", `{"jwt":{` + jwt + `,"jwks_url":"https://login.example.com/keys"}}`, ""},
		{"a file", `{"jwt":{` + jwt + `,"jwks_file":"jwks.json"}}`, ""},
		{"plain http of this machine", `{"jwt":{` + jwt + `,"jwks_url":"http://127.0.0.1:1/keys"}}`, ""},
		{"plain http", `{"jwt":{` + jwt + `,"jwks_url":"http://login.example.com/keys"}}`, "come by https"},
		{"a password", `{"jwt":{` + jwt + `,"jwks_url":"https://me:secret@login.example.com/"}}`, "without a user or password"},
		{"no keys", `{"jwt":{` + jwt + `}}`, "jwks_url or from jwks_file"},
		{"both keys", `{"jwt":{` + jwt + `,"jwks_file":"x","jwks_url":"https://x"}}`, "name one of both"},
		{"no issuer", `{"jwt":{"audience":["a"],"jwks_file":"x"}}`, "the issuer of tokens"},
		{"no audience", `{"jwt":{"issuer":"x","jwks_file":"x"}}`, "any token of the issuer"},
		{"leeway", `{"jwt":{` + jwt + `,"jwks_file":"x","leeway_seconds":601}}`, "0 to 600"},
		{"negative leeway", `{"jwt":{` + jwt + `,"jwks_file":"x","leeway_seconds":-1}}`, "0 to 600"},
		{"prefix alone", `{"jwt":{` + jwt + `,"jwks_file":"x","algorithms_prefix":"a:"}}`, "needs the claim"},
		{"another type", `{"jwt":7}`, "must be"},
		{"authorities", `{"client_ca":{"file":"ca.pem","rules":[{"name":"x","algorithms":["*","foo/*","foo/bar"]}]}}`, ""},
		{"no file", `{"client_ca":{}}`, "the file of their authorities"},
		{"a rule for nothing", `{"client_ca":{"file":"x","rules":[{"name":"x"}]}}`, "may call nothing"},
		{"a rule of nonsense", `{"client_ca":{"file":"x","rules":[{"name":"x","algorithms":["foo"]}]}}`, "two segments"},
		{"a rule of half a segment", `{"client_ca":{"file":"x","rules":[{"name":"x","algorithms":["foo/b*"]}]}}`, "the segments of a vanity URL"},
	} {
		r, err := ParseRoutes([]byte(`{"algorithms":[{"vanity_url":"foo/bar","algorithm":"neo/hello/` + hash + `","service":"algo-foo-bar"}],"auth":` + test.auth + `}`))
		if err != nil || len(r.Algorithms) != 1 {
			t.Errorf("%s: %v, want the algorithm served whatever auth is", test.name, err)
			continue
		}
		switch {
		case test.want == "" && len(r.Refused) > 0:
			t.Errorf("%s: %v, want it taken", test.name, r.Refused)
		case test.want != "" && (len(r.Refused) != 1 || !strings.HasPrefix(r.Refused[0].Name, "auth") || !strings.Contains(r.Refused[0].Reason, test.want) || r.Auth != Auth{}):
			t.Errorf("%s: refused %v with %+v in force, want …%s… and nothing", test.name, r.Refused, r.Auth, test.want)
		}
		if test.want == "" && test.name != "none" && test.name != "null" {
			data, err := json.Marshal(r)
			if err != nil || r.Validate() != nil || !strings.Contains(string(data), `"auth":{`) {
				t.Errorf("%s: %v, %v: %s", test.name, err, r.Validate(), data)
			}
		}
	}
}
