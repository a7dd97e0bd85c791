-- +goose Up

-- Who may call a satellite, and until when, as one version that only grows:
-- plans and heartbeats carry it, so that a satellite knows which of two is the
-- newer whatever way they came. It is Unix time in milliseconds where that is
-- greater, so that a mothership that was restored from a backup is believed
-- again from its first change on.
ALTER TABLE satellites
    ADD COLUMN access_version bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint;

-- +goose StatementBegin
CREATE FUNCTION next_access_version(version bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT greatest(version + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION satellite_key_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE satellites SET access_version = next_access_version(access_version) WHERE id = coalesce(NEW.satellite_id, OLD.satellite_id);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER satellite_keys_added AFTER INSERT OR DELETE ON satellite_keys FOR EACH ROW EXECUTE FUNCTION satellite_key_changed();
CREATE TRIGGER satellite_keys_changed AFTER UPDATE OF sha256, algorithms, rate_per_second, rate_burst, expires_at, revoked_at ON satellite_keys
    FOR EACH ROW EXECUTE FUNCTION satellite_key_changed();

-- +goose StatementBegin
CREATE FUNCTION satellite_expiry_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.expires_at IS DISTINCT FROM OLD.expires_at THEN
        NEW.access_version := next_access_version(OLD.access_version);
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER satellites_expiry BEFORE UPDATE OF expires_at ON satellites FOR EACH ROW EXECUTE FUNCTION satellite_expiry_changed();
