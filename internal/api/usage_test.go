package api

import (
	"context"
	"net/http"
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
