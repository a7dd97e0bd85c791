package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Stat gives the connection pool's numbers, for metrics.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }
