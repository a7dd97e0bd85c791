package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/signon/signontest"
)

func TestTokenExchange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuer, sign := signontest.NewIssuer(t)
	if _, err := w.control.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: "robot", Kind: constellation.KindService, Role: constellation.RoleAdmin}); err != nil {
		t.Fatal(err)
	}
	rule := func(name, repository, role, scope string) string {
		return fmt.Sprintf(`{"name":%q,"issuer":%q,"audience":"m","account":"robot","role":%q,"scope":%q,"conditions":[{"claim":"repository","value":%q},{"claim":"ref","value":"refs/heads/*"}]}`, name, issuer, role, scope, repository)
	}
	w.call(w.admin, "POST", "/v1/token-rules", rule("b", "corp/*", "viewer", "push:corp/*")).refused(t, http.StatusUnprocessableEntity, 6001, "scope", "")
	made := w.call(w.admin, "POST", "/v1/token-rules", rule("b", "corp/*", "admin", "push:corp/*")).want(t, http.StatusCreated)
	w.call(w.admin, "POST", "/v1/token-rules", strings.Replace(rule("a", "corp/reader", "viewer", ""), `"scope":"",`, "", 1)).want(t, http.StatusCreated)
	w.call(w.admin, "POST", "/v1/token-rules", strings.Replace(rule("B", "x", "viewer", ""), `"scope":"",`, "", 1)).refused(t, http.StatusConflict, 1002, "", "")
	for body, field := range map[string]string{
		`{"name":"x","issuer":"http://ci.example","audience":"m","account":"robot","role":"viewer","conditions":[{"claim":"sub","value":"x"}]}`:   "issuer",
		`{"name":"x","issuer":"https://ci.example","audience":"","account":"robot","role":"viewer","conditions":[{"claim":"sub","value":"x"}]}`:   "audience",
		`{"name":"x","issuer":"https://ci.example","audience":"m","account":"neo","role":"viewer","conditions":[{"claim":"sub","value":"x"}]}`:    "account",
		`{"name":"x","issuer":"https://ci.example","audience":"m","account":"robot","role":"viewer","conditions":[]}`:                             "conditions",
		`{"name":"x","issuer":"https://ci.example","audience":"m","account":"robot","role":"viewer","conditions":[{"claim":"sub","value":"**"}]}`: "conditions",
		`{"name":"x","issuer":"https://ci.example","audience":"m","account":"robot","role":"viewer","conditions":[{"claim":"","value":"x"}]}`:     "conditions[0].claim",
	} {
		w.call(w.admin, "POST", "/v1/token-rules", body).refused(t, http.StatusUnprocessableEntity, 6001, field, "")
	}

	claims := func(change map[string]any) map[string]any {
		now := time.Now()
		c := map[string]any{"iss": issuer, "aud": "m", "sub": "repo:corp/models", "repository": "corp/models", "ref": "refs/heads/main", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
		maps.Copy(c, change)
		return c
	}
	exchange := func(token string) answer {
		return w.call("", "POST", "/v1/token-exchange", `{"subject_token":"`+token+`"}`)
	}
	got := exchange(sign(claims(nil))).want(t, http.StatusOK)
	if got["username"] != "robot" || got["role"] != "admin" || got["scope"] != "push:corp/*" || got["token_type"] != "Bearer" || got["expires_in"] != 3600.0 {
		t.Errorf("exchanged: %v", got)
	}
	got = exchange(sign(claims(map[string]any{"repository": "corp/reader"}))).want(t, http.StatusOK) // the first by name
	key := got["access_token"].(string)
	if got := w.call(key, "GET", "/v1/account", "").want(t, http.StatusOK); got["username"] != "robot" || got["role"] != "viewer" {
		t.Errorf("the key of an hour is %v", got)
	}
	form := url.Values{"grant_type": {exchangeGrant}, "subject_token": {sign(claims(nil))}, "subject_token_type": {typePrefix + "jwt"}}.Encode()
	answered, err := http.Post(w.server.URL+"/v1/token-exchange", formType, strings.NewReader(form)) // the document is held against JSON alone
	if err != nil {
		t.Fatal(err)
	}
	if answered.Body.Close(); answered.StatusCode != http.StatusOK {
		t.Errorf("a form = %s, want 200", answered.Status)
	}

	for _, test := range []struct {
		token  string
		status int
		says   string
	}{
		{"nonsense", 401, "is no token"},
		{sign(claims(map[string]any{"iss": "https://elsewhere.example"})), 401, "no token rule is for the issuer"},
		{sign(claims(map[string]any{"aud": "another"})), 401, "for the audience"},
		{sign(claims(map[string]any{"repository": "evil/models"})), 403, "no token rule is for what it claims"},
		{sign(claims(map[string]any{"ref": "refs/tags/x"})), 403, "no token rule is for what it claims"},
		{sign(claims(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})), 401, "expired on"},
		{sign(claims(map[string]any{"iat": time.Now().Add(time.Hour).Unix()})), 401, "of the future"},
		{signontest.Unsigned(claims(nil)), 401, `signed by "none"`},
		{signontest.SignWith(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, claims(nil)), 401, `signed by "HS256"`},
		{func() string { s := sign(claims(nil)); return s[:len(s)-8] + "AAAAAAAA" }(), 401, "signature is not by a key of its issuer"},
	} {
		if got := exchange(test.token); got.StatusCode != test.status || !strings.Contains(string(got.body), strings.ReplaceAll(test.says, `"`, `\"`)) {
			t.Errorf("%s: %d %s", test.says, got.StatusCode, got.body)
		}
	}
	w.call("", "POST", "/v1/token-exchange", `{}`).refused(t, http.StatusUnprocessableEntity, 6001, "subject_token", "")

	w.call(w.admin, "DELETE", "/v1/token-rules/"+made["id"].(string), "").want(t, http.StatusNoContent)
	if got := exchange(sign(claims(nil))); got.StatusCode != http.StatusForbidden {
		t.Errorf("after its rule is gone: %d %s", got.StatusCode, got.body)
	}
	w.clock.Store(3700)
	w.call(key, "GET", "/v1/account", "").refused(t, http.StatusUnauthorized, 2002, "", "expired")
	w.clock.Store(26 * 3600)
	if err := w.control.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := w.control.ListKeys(t.Context(), control.Shell(), "robot", control.ListQuery{})
	if err != nil || len(keys.Items) != 0 {
		t.Errorf("a day later there are still %d keys of an hour, %v", len(keys.Items), err)
	}
}

// TestRefusalsOfAnExchange provokes what the walks over all operations do of others:
// an exchange has no key, and so no account that they could send it by.
func TestRefusalsOfAnExchange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuer, sign := signontest.NewIssuer(t)
	body := `{"subject_token":"` + sign(map[string]any{"iss": issuer, "aud": "m"}) + `"}`
	exchange := func(body string, header ...string) answer {
		return w.call("", "POST", "/v1/token-exchange", body, header...)
	}
	exchange(`{"subject_token":`).refusedWith(t, http.StatusBadRequest)
	exchange(body, "Content-Type: text/plain").refusedWith(t, http.StatusUnsupportedMediaType)
	exchange(body+strings.Repeat(" ", maxBody+1)).refusedWith(t, http.StatusRequestEntityTooLarge)
	w.execute(w.url, `ALTER TABLE token_rules RENAME TO away`)
	exchange(body).refusedWith(t, http.StatusInternalServerError)
	w.execute(w.url, `ALTER TABLE away RENAME TO token_rules`)
	exchange(body).refusedWith(t, http.StatusUnauthorized)
	inner := w.server.Config.Handler
	for _, limit := range []struct {
		bodies *httpserve.Bodies
		status int
	}{
		{httpserve.NewBodies(maxBody, 1), http.StatusTooManyRequests},
		{httpserve.NewBodies(1, maxBody), http.StatusServiceUnavailable},
	} {
		w.server = httptest.NewServer(limit.bodies.Limit(inner)) // as serve does
		t.Cleanup(w.server.Close)
		exchange(body).refusedWith(t, limit.status)
	}
}
