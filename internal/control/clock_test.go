package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// TestServersClocksAreCompared with the database's.
func TestServersClocksAreCompared(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	show := func(id string, ahead time.Duration) {
		t.Helper()
		if err := h.db.KeepServer(ctx, postgres.Server{ID: id, Version: "1", StartedAt: time.Now()}, time.Now().Add(ahead)); err != nil {
			t.Fatal(err)
		}
	}
	show("right", 0)
	if err := h.CheckClocks(ctx); err != nil {
		t.Errorf("CheckClocks of one that is right = %v", err)
	}
	show("early", time.Hour)
	show("late", -time.Hour)
	err := h.CheckClocks(ctx)
	if constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), "server early is 36") || !strings.Contains(err.Error(), "s ahead of it") ||
		!strings.Contains(err.Error(), "server late is 36") || !strings.Contains(err.Error(), "s behind it") || strings.Contains(err.Error(), "right") {
		t.Errorf("CheckClocks = %v, want both that are off", err)
	}
	system, err := h.System(ctx, control.Shell())
	if err != nil || len(system.Servers) != 3 {
		t.Errorf("System has the servers %+v, %v; want three", system, err)
	}
	show("early", 0)
	show("late", time.Second)
	if err := h.CheckClocks(ctx); err != nil {
		t.Errorf("CheckClocks once they are right = %v", err)
	}
}
