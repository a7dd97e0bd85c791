// Package control is the mothership's use cases: each method authorises,
// validates and then changes the database in one transaction with its audit
// row. The browser, the REST API and the registry all come through here.
package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// Options are what a Service is made of. Now and Log may be nil.
type Options struct {
	DB          *postgres.DB
	Sealer      *auth.Sealer
	Content     bundle.Content                               // manifests of the registry
	SystemImage func(context.Context) (bundle.System, error) // the satellite's system image, in the registry
	PublicURL   string                                       // where satellites and operators reach this mothership
	Version     string
	Now         func() time.Time
	Log         *slog.Logger
}

// Service is the use cases, on the database or, inside Idempotent, on one
// transaction of it. It is safe for concurrent use.
type Service struct {
	options Options
}

// New makes a Service.
func New(options Options) *Service {
	return &Service{options: options}
}
