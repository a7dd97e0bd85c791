-- +goose Up

-- A person, or a service account, which has API keys and never signs in.
ALTER TABLE accounts ADD COLUMN kind text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'service'));

-- Accounts of people who sign in by a provider (OpenID Connect), and have no
-- password here. Without a subject the account waits for the first sign-in of
-- its username by that provider.
CREATE TABLE sign_ons (
    account_id    uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    provider      text NOT NULL,
    issuer        text NOT NULL DEFAULT '',
    subject       text,
    refresh_token bytea, -- sealed
    id_token      bytea, -- sealed
    good_until    timestamptz, -- sessions and API keys count so long, unless the provider is asked again
    refresh_at    timestamptz, -- when the provider is asked again
    ended_at      timestamptz, -- since when the provider does not vouch any more
    ended_because text NOT NULL DEFAULT '',
    UNIQUE (issuer, subject)
);
CREATE INDEX sign_ons_refresh_at ON sign_ons (refresh_at) WHERE ended_at IS NULL AND refresh_token IS NOT NULL;

-- Sign-ins that came back, so that none counts twice, at whichever server.
CREATE TABLE used_sign_ins (
    state_sha256 text PRIMARY KEY,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX used_sign_ins_expires_at ON used_sign_ins (expires_at);
