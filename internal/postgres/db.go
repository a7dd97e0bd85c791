// Package postgres keeps the mothership's state in PostgreSQL.
package postgres

// DB is the database, or one transaction of it.
type DB struct{}
