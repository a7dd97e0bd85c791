// Package migrations is the database schema as numbered SQL files, which
// goose applies in order. A file that a release holds never changes again.
package migrations

import "embed"

// FS holds the SQL files.
//
//go:embed *.sql
var FS embed.FS
