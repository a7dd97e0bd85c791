package admin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/signon/signontest"
)

// sent sends a form of a page, filled in, and returns where it leads, or what it says.
func (w *world) sent(t *testing.T, page, action string, cookie *http.Cookie, status int, filled ...string) string {
	t.Helper()
	got, location, body := w.submit(action, with(fields(w.page(page, cookie, http.StatusOK)), filled...), cookie)
	if got != status {
		t.Fatalf("POST %s = %d %s, want %d", action, got, body, status)
	}
	return location + body
}

func (w *world) shows(t *testing.T, path string, cookie *http.Cookie, texts ...string) {
	t.Helper()
	body := w.page(path, cookie, http.StatusOK)
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%s does not say %q", path, text)
		}
	}
}

// TestQuotasOnThePanel sets, shows and removes a quota.
func TestQuotasOnThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.shows(t, "/system/owners", neo, "Nobody takes anything yet")
	w.shows(t, "/system/repositories", neo, "No repository has anything yet")
	if got := w.sent(t, "/system/owners/quota", "/system/owners/quota", neo, http.StatusUnprocessableEntity, "owner", "acme", "quota", "much"); !strings.Contains(got, "such as 50GB") || !strings.Contains(got, `value="much"`) {
		t.Errorf("a quota that is no number says %s", got)
	}
	w.sent(t, "/system/owners/quota", "/system/owners/quota", neo, http.StatusSeeOther, "owner", "Acme", "quota", "1.5GB")
	w.shows(t, "/system/owners", neo, "acme", "1.50 GB", "0 %", "Remove quota")
	w.shows(t, "/system/owners?q=nobody", neo, "No owner matches")
	w.shows(t, "/system/owners?sort=owner", neo, "acme")
	w.shows(t, "/system/owners/acme/quota", neo, "Quota of acme", `value="1.5GB"`, "What is there stays")
	w.sent(t, "/system/owners/acme/quota", "/system/owners/acme/quota", neo, http.StatusSeeOther, "quota", "0")
	w.shows(t, "/system/owners", neo, "100 %", "Pushes are refused")
	w.shows(t, "/system/owners/acme/quota/remove", neo, "Goes: the limit", "Stays: all that")
	w.sent(t, "/system/owners/acme/quota/remove", "/system/owners/acme/quota/remove", neo, http.StatusSeeOther)
	w.shows(t, "/system/owners", neo, "Nobody takes anything yet")
	w.page("/system/owners/acme/quota/remove", neo, http.StatusNotFound)
}

// TestRetentionOnThePanel says what a rule would let go before it is saved, and changes
// and removes it.
func TestRetentionOnThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.satellite("Edge") // keeps the version that it uses
	w.pushUnused()
	w.shows(t, "/system/retention", neo, "No version goes by itself")
	if _, err := w.db.Pool().Exec(t.Context(), `UPDATE algorithm_versions SET created_at = created_at - interval '10 days'`); err != nil {
		t.Fatal(err)
	}
	got := w.sent(t, "/system/retention/new", "/system/retention/preview", neo, http.StatusOK, "of", "*", "keep_versions", "0", "after_days", "5")
	if !strings.Contains(got, "1 version") || !strings.Contains(got, "/algorithms/neo/hello/"+unusedHash) || !strings.Contains(got, `value="5"`) {
		t.Errorf("the preview says %s", got)
	}
	w.shows(t, "/system/retention", neo, "No version goes by itself") // nothing was saved
	if got := w.sent(t, "/system/retention/new", "/system/retention/preview", neo, http.StatusUnprocessableEntity, "of", "", "keep_versions", "x", "after_days", "5"); !strings.Contains(got, "it is empty") {
		t.Errorf("a rule of nothing says %s", got)
	}
	w.sent(t, "/system/retention/new", "/system/retention/new", neo, http.StatusSeeOther, "of", "*", "keep_versions", "0", "after_days", "30")
	w.shows(t, "/system/retention", neo, "Every algorithm", "30")
	w.shows(t, "/system/retention/versions", neo, "no version")
	w.sent(t, "/system/retention/edit?of=*", "/system/retention/edit", neo, http.StatusSeeOther, "after_days", "5")
	w.shows(t, "/system/retention/versions", neo, "1 version", unusedHash)
	if got := w.sent(t, "/system/retention/edit?of=*", "/system/retention/preview", neo, http.StatusOK, "after_days", "30"); !strings.Contains(got, "no version") || !strings.Contains(got, `action="/system/retention/edit"`) {
		t.Errorf("the preview of a change says %s", got)
	}
	w.page("/system/retention/edit?of=neo", neo, http.StatusNotFound)
	w.shows(t, "/system/retention/remove?of=*", neo, "Remove the rule of every algorithm?", "Goes: the rule", "does not come back")
	w.sent(t, "/system/retention/remove?of=*", "/system/retention/remove", neo, http.StatusSeeOther)
	w.shows(t, "/system/retention", neo, "No version goes by itself")
}

// TestBackupsOnThePanel shows the last, whether it was read again, and what failed.
func TestBackupsOnThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.shows(t, "/system/backups", neo, "No backup yet", "not by the clock")
	take := func(target, failed string) {
		t.Helper()
		b, ok, err := w.db.BeginBackup(t.Context(), target, "neo", time.Minute)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		b.Point, b.Blobs, b.Bytes, b.Written, b.Error = "20261130T020000.000Z", 12, 3_400_000, 1_000, failed
		if err := w.db.FinishBackup(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	take("/mnt/backups", "")
	w.shows(t, "/system/backups", neo, "/mnt/backups", "20261130T020000.000Z", "3.4 MB", "Taken, not verified")
	if err := w.db.NoteVerified(t.Context(), "/mnt/backups", "20261130T020000.000Z", ""); err != nil {
		t.Fatal(err)
	}
	w.shows(t, "/system/backups", neo, "Verified")
	take("s3://backups", "the storage s3://backups cannot be written to: it is full; free some space")
	w.shows(t, "/system/backups", neo, "The last backup failed", "it is full", "Verified")
	w.shows(t, "/system/backups?q=mnt", neo, "/mnt/backups")
	w.shows(t, "/system/backups?q=nowhere", neo, "No backup went to")
	w.shows(t, "/system/backups?sort=bytes", neo, "/mnt/backups")
}

// TestTokenRulesOnThePanel makes, changes and removes a rule; with a token that was
// tried, nothing is stored.
func TestTokenRulesOnThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	issuer, sign := signontest.NewIssuer(t)
	neo := w.visitor("neo", constellation.RoleAdmin)
	if _, err := w.control.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: "robot", Role: constellation.RoleAdmin, Kind: constellation.KindService}); err != nil {
		t.Fatal(err)
	}
	w.shows(t, "/token-rules", neo, "No token rules yet")
	w.shows(t, "/token-rules/new", neo, "robot", "https://mothership.example.com")
	filled := []string{
		"name", "Releases", "issuer", issuer, "audience", "mothership", "conditions", "repository=corp/*\nref=refs/heads/main", "account", "robot", "role", "admin", "scope", "push:corp/*",
	}
	if got := w.sent(t, "/token-rules/new", "/token-rules/new", neo, http.StatusUnprocessableEntity, append(filled, "conditions", "repository=*")...); !strings.Contains(got, "tells one workload from another") {
		t.Errorf("a rule for everybody says %s", got)
	}
	if got := w.sent(t, "/token-rules/new", "/token-rules/new", neo, http.StatusUnprocessableEntity, append(filled, "conditions", "=x")...); !strings.Contains(got, "claim's name") {
		t.Errorf("a condition without a claim says %s", got)
	}
	w.sent(t, "/token-rules/new", "/token-rules/new", neo, http.StatusSeeOther, filled...)
	if got := w.sent(t, "/token-rules/new", "/token-rules/new", neo, http.StatusUnprocessableEntity, filled...); !strings.Contains(got, "nother token rule has this name") {
		t.Errorf("a name that is taken says %s", got)
	}
	w.shows(t, "/token-rules", neo, "Releases", issuer, "repository=corp/*", "robot", "push:corp/*")
	w.shows(t, "/token-rules?q=none", neo, "No token rule matches")

	events := func() int {
		t.Helper()
		var n int
		if err := w.db.Pool().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM api_keys) + (SELECT count(*) FROM idempotency_keys)`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := events()
	claims := func(change map[string]any) map[string]any {
		m := map[string]any{"iss": issuer, "aud": "mothership", "sub": "repo:corp/models", "repository": "corp/models", "ref": "refs/heads/main", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
		for name, value := range change {
			m[name] = value
		}
		return m
	}
	for _, try := range []struct {
		token  string
		status int
		says   []string
	}{
		{sign(claims(nil)), 200, []string{"It fits", "Releases", "a key of", "robot", "repo:corp/models"}},
		{sign(claims(map[string]any{"ref": "refs/tags/v1"})), 200, []string{"It fits no token rule", "Its claim ref is", "refs/tags/v1", "refs/heads/main"}},
		{sign(claims(map[string]any{"aud": "others"})), 200, []string{"It fits no token rule", "for the audience"}},
		{sign(claims(map[string]any{"iss": "https://elsewhere.example"})), 200, []string{"No token rule is for its issuer", "https://elsewhere.example"}},
		{"nonsense", 422, []string{"This is no token"}},
		{"", 422, []string{"This is no token"}},
	} {
		got := w.sent(t, "/token-rules/try", "/token-rules/try", neo, try.status, "token_to_try", try.token)
		for _, text := range try.says {
			if !strings.Contains(got, text) {
				t.Errorf("a token that is tried does not say %q: %s", text, got)
			}
		}
	}
	if got := events(); got != before {
		t.Errorf("%d rows were stored of tokens that were tried", got-before)
	}

	rules, err := w.control.ListTokenRules(t.Context(), control.Shell(), control.ListQuery{})
	if err != nil || len(rules.Items) != 1 {
		t.Fatal(rules, err)
	}
	rule := "/token-rules/" + rules.Items[0].ID
	w.shows(t, rule+"/edit", neo, "Edit token rule", "repository=corp/*\nref=refs/heads/main", `value="push:corp/*"`)
	w.sent(t, rule+"/edit", rule+"/edit", neo, http.StatusSeeOther, "name", "Main releases", "conditions", "repository=corp/*", "account", "robot", "role", "admin")
	w.shows(t, "/token-rules", neo, "Main releases")
	w.shows(t, rule+"/remove", neo, "Remove Main releases?", "Goes: the rule", "Stays: the service account")
	w.sent(t, rule+"/remove", rule+"/remove", neo, http.StatusSeeOther)
	w.shows(t, "/token-rules", neo, "No token rules yet")
}

// TestLostOnThePanel shows what the storage lost.
func TestLostOnThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	if body := w.page("/system", neo, http.StatusOK); strings.Contains(body, "storage verify") {
		t.Error("/system says that something is lost")
	}
	w.control.NoteLost(t.Context(), constellation.LostContent{Repository: "neo/hello", Digest: "sha256:12ab", Versions: []string{"neo/hello/" + unusedHash}})
	w.shows(t, "/system", neo, "1 blob lost", "sha256:12ab of neo/hello", "neo/hello/"+unusedHash, "mothership storage verify")
}
