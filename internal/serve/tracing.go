package serve

import (
	"context"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/tracing"
)

// openTracing makes what sends spans, when a collector is named.
func (m *mothership) openTracing(ctx context.Context, c *Config) error {
	settings, err := c.tracing()
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // a server without a name has none in its spans
	m.tracer, err = tracing.New(ctx, settings, tracing.Options{Service: "mothership", Version: m.build.Version, Instance: host, Log: m.log})
	return err
}

// traced is what traces statements, when anything does.
func (m *mothership) traced() []func(*pgxpool.Config) {
	if m.tracer == nil {
		return nil
	}
	return []func(*pgxpool.Config){postgres.Traced}
}
