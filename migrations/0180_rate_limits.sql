-- +goose Up

-- How much of each limit is used, for all servers: when the whole of it is there again,
-- by this database's clock (the generic cell rate algorithm). What is not used has no
-- row. The numbers are those of the last claim. Nothing here is worth a disk's write.
CREATE UNLOGGED TABLE rate_limits (
    name    text COLLATE "C" NOT NULL,  -- of the limit
    subject text COLLATE "C" NOT NULL,  -- a key's or session's id, an address, a network
    full_at timestamptz NOT NULL,
    quota   integer NOT NULL,
    step    double precision NOT NULL,  -- seconds until one more is there
    spent   integer NOT NULL,
    granted integer NOT NULL,
    PRIMARY KEY (name, subject)
) WITH (fillfactor = 70);
