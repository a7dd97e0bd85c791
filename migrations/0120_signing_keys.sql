-- +goose Up

-- The rotations of the signing key, each signed by the key before and by the new one.
-- The key in force is the setting signing_key; those before are nowhere any more.
CREATE TABLE signing_key_rotations (
    sequence      integer PRIMARY KEY CHECK (sequence > 0),
    statement     bytea NOT NULL,
    old_signature bytea, -- none where the key before was revoked
    new_signature bytea NOT NULL,
    rotated_at    timestamptz NOT NULL,
    rotated_by    text NOT NULL
);

-- When a setting was set. The first signing key is as old as the first account, about.
ALTER TABLE settings ADD COLUMN set_at timestamptz;
UPDATE settings SET set_at = (SELECT min(created_at) FROM accounts) WHERE name = 'signing_key';
