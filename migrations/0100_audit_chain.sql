-- +goose Up
-- The audit log's rows are linked by hashes, each of the row and the link before.
-- Links are made after the commit, in the order of audit_pending, so that writers do
-- not wait for each other. A trigger notes what is to be linked, so that what an older
-- release writes beside is linked too.
CREATE TABLE audit_pending (event_id bigint PRIMARY KEY);

CREATE TABLE audit_chain (
    seq      bigint PRIMARY KEY,
    event_id bigint NOT NULL UNIQUE,
    hash     bytea NOT NULL
);

-- What retention took: the chain begins behind it.
CREATE TABLE audit_trimmed (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq     bigint NOT NULL,
    hash    bytea NOT NULL,
    until   timestamptz NOT NULL
);

-- How far each stream of the audit log has come.
CREATE TABLE audit_streams (
    name text PRIMARY KEY,
    seq  bigint NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION note_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending (event_id) VALUES (NEW.id);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER events_noted AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION note_event();
INSERT INTO audit_pending (event_id) SELECT id FROM events;
CREATE TRIGGER audit_chain_immutable BEFORE UPDATE ON audit_chain FOR EACH ROW EXECUTE FUNCTION refuse_update();
