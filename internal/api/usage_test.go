package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// TestSystemUsage tells what owners take, with their quotas.
func TestSystemUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.control.SetQuota(t.Context(), control.Shell(), "Neo", 1000); err != nil {
		t.Fatal(err)
	}
	body := w.call(w.admin, "GET", "/v1/system/usage", "").want(t, http.StatusOK)
	owners, _ := body["owners"].([]any)
	if len(owners) != 1 {
		t.Fatalf("owners = %v, want neo alone", body["owners"])
	}
	if g := body["garbage"].(map[string]any); g["found_at"] != nil || len(g["repositories"].([]any)) != 0 {
		t.Errorf("before it was found out, what could be freed is %v", g)
	}
	if err := w.control.FindGarbage(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g := w.call(w.admin, "GET", "/v1/system/usage", "").want(t, http.StatusOK)["garbage"].(map[string]any); g["found_at"] == nil || g["bytes"] != 0.0 {
		t.Errorf("of needed content, what could be freed is %v", g)
	}
	owner := owners[0].(map[string]any)
	if owner["owner"] != "neo" || owner["quota_bytes"] != 1000.0 || owner["blobs"] != 2.0 {
		t.Errorf("owner = %v, want neo with two manifests and a quota of 1000", owner)
	}
}

// TestStartCollection has a garbage collection done in the background, once.
func TestStartCollection(t *testing.T) {
	t.Parallel()
	var by []string
	w := newWorld(t, func(o *control.Options) {
		o.StartCollection = func(_ context.Context, _ *postgres.DB, who string) error {
			by = append(by, who)
			return nil
		}
	})
	for range 2 {
		got := w.call(w.admin, "POST", "/v1/system/collections", "", "Idempotency-Key: once").want(t, http.StatusCreated)
		if got["requested_by"] != "neo" {
			t.Errorf("requested_by = %v, want neo", got["requested_by"])
		}
	}
	if len(by) != 1 {
		t.Errorf("a garbage collection was asked for %d times, want once", len(by))
	}
}

// TestQuotasAndRetention sets, lists and removes both, and says beforehand what a rule
// would let go.
func TestQuotasAndRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.call(w.admin, "GET", "/v1/quotas", "").want(t, http.StatusOK)["results"].([]any); len(got) != 0 {
		t.Errorf("quotas at first: %v", got)
	}
	w.call(w.admin, "PUT", "/v1/quotas/Neo", `{"bytes":1000}`).want(t, http.StatusOK)
	w.call(w.admin, "PUT", "/v1/quotas/acme", `{"bytes":5}`, "Idempotency-Key: q").want(t, http.StatusOK)
	w.call(w.admin, "PUT", "/v1/quotas/tried?dry_run=true", `{"bytes":5}`).want(t, http.StatusOK)
	w.call(w.admin, "PUT", "/v1/quotas/acme", `{"bytes":-1}`).refusedWith(t, http.StatusUnprocessableEntity)
	w.call(w.admin, "PUT", "/v1/quotas/a%20b", `{"bytes":1}`).refusedWith(t, http.StatusUnprocessableEntity)
	list := w.call(w.admin, "GET", "/v1/quotas?sort=-bytes&limit=1", "").want(t, http.StatusOK)
	if got := list["results"].([]any); len(got) != 1 || got[0].(map[string]any)["owner"] != "neo" || list["marker"] == nil {
		t.Errorf("the largest quota: %v", list)
	}
	if got := w.call(w.admin, "GET", "/v1/quotas?q=acm", "").want(t, http.StatusOK)["results"].([]any); len(got) != 1 {
		t.Errorf("quotas like acm: %v", got)
	}
	w.call(w.admin, "DELETE", "/v1/quotas/NEO", "").want(t, http.StatusNoContent)
	w.call(w.admin, "DELETE", "/v1/quotas/neo", "").refusedWith(t, http.StatusNotFound)

	const unused = "00000000000000000000000000000000000000ac"
	w.push(unused)
	w.satellite("keeps one")
	would := func(query string) []any {
		t.Helper()
		return w.call(w.admin, "GET", "/v1/retention/versions"+query, "").want(t, http.StatusOK)["versions"].([]any)
	}
	if got := would(""); len(got) != 0 {
		t.Errorf("without a rule, %v would go", got)
	}
	if got := fmt.Sprint(would("?scope=*&keep_versions=0&after_days=0")); !strings.Contains(got, "neo/hello/"+unused) || strings.Contains(got, hash1) {
		t.Errorf("with a rule that keeps none, %v would go; want what no satellite has", got)
	}
	if got := would("?scope=other&keep_versions=0&after_days=0"); len(got) != 0 {
		t.Errorf("with a rule of another owner, %v would go", got)
	}
	if got := w.call(w.admin, "GET", "/v1/retention", "").want(t, http.StatusOK)["results"].([]any); len(got) != 0 {
		t.Errorf("looking made the rules %v", got)
	}
	w.call(w.admin, "PUT", "/v1/retention", `{"keep_versions":1,"after_days":2}`).refusedWith(t, http.StatusBadRequest)
	w.call(w.admin, "PUT", "/v1/retention?scope=", `{"keep_versions":1,"after_days":2}`).refusedWith(t, http.StatusUnprocessableEntity)
	w.call(w.admin, "PUT", "/v1/retention?scope=*", `{"keep_versions":0,"after_days":0}`).want(t, http.StatusOK)
	w.call(w.admin, "PUT", "/v1/retention?scope=neo%2Fhello", `{"keep_versions":100,"after_days":2}`).want(t, http.StatusOK)
	if got := would(""); len(got) != 0 {
		t.Errorf("with a narrower rule that keeps all, %v would go", got)
	}
	w.call(w.admin, "DELETE", "/v1/retention?scope=neo%2Fhello", "").want(t, http.StatusNoContent)
	w.call(w.admin, "DELETE", "/v1/retention?scope=neo%2Fhello", "").refusedWith(t, http.StatusNotFound)
	if got := w.call(w.admin, "GET", "/v1/retention", "").want(t, http.StatusOK)["results"].([]any); len(got) != 1 || got[0].(map[string]any)["scope"] != "*" {
		t.Errorf("rules: %v", got)
	}
	if got := would(""); len(got) == 0 {
		t.Error("the rule of every algorithm lets nothing go")
	}
}

// TestUsageIsPaged lists owners and repositories from the largest to the smallest, and
// says in the sum that there are more than it names.
func TestUsageIsPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.execute(w.url, `INSERT INTO registry_usage (repository, owner, blobs, bytes) SELECT 'o' || i || '/x', 'o' || i, 1, i FROM generate_series(1, 1001) i`)
	w.execute(w.url, `INSERT INTO registry_owner_usage (owner, blobs, bytes) SELECT 'o' || i, 1, i FROM generate_series(1, 1001) i`)
	body := w.call(w.admin, "GET", "/v1/system/usage", "").want(t, http.StatusOK)
	if body["more_owners"] != true || body["more_repositories"] != true || len(body["owners"].([]any)) != 1000 || len(body["repositories"].([]any)) != 1000 {
		t.Errorf("of 1001 the sum names %d owners (more: %v) and %d repositories (more: %v)", len(body["owners"].([]any)), body["more_owners"], len(body["repositories"].([]any)), body["more_repositories"])
	}
	for path, name := range map[string]string{"/v1/system/usage/owners": "owner", "/v1/system/usage/repositories": "repository"} {
		seen, last := map[string]bool{}, 1e18
		for next := path + "?limit=400"; next != ""; {
			page := w.call(w.admin, "GET", next, "").want(t, http.StatusOK)
			for _, row := range page["results"].([]any) {
				use := row.(map[string]any)
				if bytes := use["bytes"].(float64); bytes > last {
					t.Errorf("%s: %v comes after %v", path, bytes, last)
				} else {
					last = bytes
				}
				seen[use[name].(string)] = true
			}
			next = ""
			if marker, ok := page["marker"].(string); ok {
				next = path + "?limit=400&marker=" + marker
			}
		}
		if len(seen) < 1001 {
			t.Errorf("%s has %d rows in all, want 1001 at least", path, len(seen))
		}
		found := w.call(w.admin, "GET", path+"?q=o1001&sort="+name, "").want(t, http.StatusOK)["results"].([]any)
		if len(found) != 1 {
			t.Errorf("%s?q=o1001 finds %v", path, found)
		}
	}
}

// TestPutTokenRule replaces a rule, and refuses what a new one would be refused for.
func TestPutTokenRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(w.admin, "POST", "/v1/service-accounts", `{"username":"robot","role":"operator"}`).want(t, http.StatusCreated)
	body := `{"name":"ci","issuer":"https://ci.example.com","audience":"m","account":"robot","role":"viewer","conditions":[{"claim":"sub","value":"x"}]}`
	made := w.call(w.admin, "POST", "/v1/token-rules", body).want(t, http.StatusCreated)
	path := "/v1/token-rules/" + made["id"].(string)
	put := w.call(w.admin, "PUT", path, strings.Replace(body, `"value":"x"`, `"value":"y*"`, 1)).want(t, http.StatusOK)
	if put["id"] != made["id"] || put["created_at"] != made["created_at"] || put["conditions"].([]any)[0].(map[string]any)["value"] != "y*" {
		t.Errorf("the rule is %v", put)
	}
	w.call(w.admin, "PUT", path, strings.Replace(body, `"viewer"`, `"admin"`, 1)).refused(t, http.StatusUnprocessableEntity, 6001, "role", "")
	w.call(w.admin, "PUT", path+"?dry_run=true", strings.Replace(body, `"ci"`, `"tried"`, 1)).want(t, http.StatusOK)
	if got := w.call(w.admin, "GET", path, "").want(t, http.StatusOK); got["name"] != "ci" {
		t.Errorf("after a dry run the rule is %v", got)
	}
}
