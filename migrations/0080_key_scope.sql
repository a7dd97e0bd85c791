-- +goose Up

-- What an API key is limited to, "push:neo/*"; '' is not limited. A mothership
-- from before would take such a key for one without a limit, so its hash is
-- stored in a form that only one that knows of scopes looks for.
ALTER TABLE api_keys
    ADD COLUMN scope text NOT NULL DEFAULT '',
    ADD CONSTRAINT api_keys_scoped_hash CHECK ((scope <> '') = starts_with(sha256, 'scoped '));
