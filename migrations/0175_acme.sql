-- +goose Up

-- What servers with a certificate of an ACME authority share: the account's key,
-- the certificate with its key, answers to challenges, the last failure. All of it
-- is sealed.
CREATE TABLE acme_values (
    name       text COLLATE "C" PRIMARY KEY,
    sealed     bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX acme_values_expires_at ON acme_values (expires_at);
