package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// SigningKey is the sealed signing key, with the rotations that led to it.
type SigningKey struct {
	Sealed    []byte // nil when there is no key yet
	SetAt     *time.Time
	Rotations []KeyRotation
}

// KeyRotation is a row of signing_key_rotations.
type KeyRotation struct {
	Sequence                              int
	Statement, OldSignature, NewSignature []byte
	RotatedBy                             string
}

// SigningKey returns the signing key and its last rotations, oldest first, as they
// are at one moment.
func (db *DB) SigningKey(ctx context.Context, setting string, most int) (*SigningKey, error) {
	type row struct {
		Sealed                                []byte
		SetAt                                 *time.Time
		Sequence                              *int
		Statement, OldSignature, NewSignature []byte
		RotatedBy                             *string
	}
	rows, err := collect[row](ctx, db, "get signing key", `
		SELECT sealed, set_at, r.sequence, r.statement, r.old_signature, r.new_signature, r.rotated_by
		FROM settings LEFT JOIN (SELECT * FROM signing_key_rotations ORDER BY sequence DESC LIMIT @most) r ON true
		WHERE name = @name ORDER BY r.sequence`, pgx.NamedArgs{"name": setting, "most": most})
	if err != nil {
		return nil, err
	}
	key := &SigningKey{}
	for _, r := range rows {
		key.Sealed, key.SetAt = r.Sealed, r.SetAt
		if r.Sequence != nil {
			key.Rotations = append(key.Rotations, KeyRotation{*r.Sequence, r.Statement, r.OldSignature, r.NewSignature, *r.RotatedBy})
		}
	}
	return key, nil
}

// RotateSigningKey puts a sealed key in place of another, with the rotation to it.
func (db *DB) RotateSigningKey(ctx context.Context, setting string, sealed []byte, r KeyRotation, at time.Time) error {
	err := db.exec(ctx, "replace signing key", `UPDATE settings SET sealed = @sealed, set_at = @at WHERE name = @name`,
		pgx.NamedArgs{"name": setting, "sealed": sealed, "at": at})
	if err != nil {
		return err
	}
	return db.exec(ctx, "note rotation of the signing key", `
		INSERT INTO signing_key_rotations (sequence, statement, old_signature, new_signature, rotated_at, rotated_by)
		VALUES (@sequence, @statement, @old, @new, @at, @by)`,
		pgx.NamedArgs{"sequence": r.Sequence, "statement": r.Statement, "old": r.OldSignature, "new": r.NewSignature, "at": at, "by": r.RotatedBy})
}
