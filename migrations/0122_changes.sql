-- +goose Up

-- Whether a server looks for changes rather than being told of them: one behind a
-- pooler in transaction mode, which loses notifications.
ALTER TABLE servers ADD COLUMN polls boolean NOT NULL DEFAULT false;

-- What was notified lately, while a server polls. Lost in a crash, which every server
-- notices.
CREATE UNLOGGED TABLE changes (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload text NOT NULL
);
