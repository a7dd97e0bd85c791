package serve

import (
	"context"
	"errors"

	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/space"
)

// openStorage opens the registry's storage and makes sure that it is the one of
// this database. One server after the other does so: what the first one makes in an
// empty storage, such as the secret that signs the state of uploads, is the others'.
func (m *mothership) openStorage(ctx context.Context, config registry.StorageConfig) error {
	return m.db.Transact(ctx, func(tx *postgres.DB) (err error) {
		if err := tx.Lock(ctx, "open storage"); err != nil {
			return err
		}
		if m.storage != nil { // the transaction runs again
			err, m.storage = m.storage.Close(), nil
		}
		storage, openErr := registry.OpenStorage(ctx, config, m.log)
		if err = errors.Join(err, openErr); err != nil {
			return err
		}
		m.storage = storage
		return space.ClaimStore(ctx, tx, storage)
	})
}

// checkStorage is for /readyz.
func (m *mothership) checkStorage(ctx context.Context) error {
	if err := m.storage.Check(ctx); err != nil {
		return err
	}
	return space.CheckStore(ctx, m.db, m.storage)
}
