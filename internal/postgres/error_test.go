package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestFullDiskIsSaid(t *testing.T) {
	t.Parallel()
	err := translate(&pgconn.PgError{Code: "53100", Message: "could not extend file"}, "insert satellite")
	if constellation.KindOf(err) != constellation.KindUnavailable || !strings.HasPrefix(err.Error(), "the database's disk is full") {
		t.Errorf("a full disk is %v", err)
	}
}
