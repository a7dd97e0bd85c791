-- +goose Up

-- Rules by which a workload's token, such as a CI job's, is exchanged for an API
-- key of an hour.
CREATE TABLE token_rules (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    name_key   text COLLATE "C" NOT NULL UNIQUE,
    issuer     text NOT NULL,
    audience   text NOT NULL,
    jwks_url   text NOT NULL DEFAULT '', -- '' is what the issuer says
    ca         text NOT NULL DEFAULT '',
    conditions jsonb NOT NULL,
    account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    role       text NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
    scope      text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    created_by text NOT NULL
);
CREATE INDEX token_rules_issuer ON token_rules (issuer);
CREATE INDEX token_rules_created_at ON token_rules (created_at, id);
CREATE INDEX token_rules_account ON token_rules (account_id);

-- A key that a rule gave goes a day after its hour.
ALTER TABLE api_keys ADD COLUMN exchanged boolean NOT NULL DEFAULT false;
CREATE INDEX api_keys_exchanged ON api_keys (expires_at) WHERE exchanged;
