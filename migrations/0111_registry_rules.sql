-- +goose Up

-- How many bytes an owner's repositories may have.
CREATE TABLE registry_quotas (
    owner  text COLLATE "C" PRIMARY KEY, -- folded
    bytes  bigint NOT NULL CHECK (bytes >= 0),
    set_at timestamptz NOT NULL,
    set_by text NOT NULL
);

-- Which versions of algorithms go by themselves: those that no satellite's
-- version has, but the newest keep ones, so many days after they were pushed.
CREATE TABLE retention_rules (
    scope  text COLLATE "C" PRIMARY KEY, -- '' for all, an owner, or a repository; folded
    keep   integer NOT NULL CHECK (keep >= 0),
    days   integer NOT NULL CHECK (days >= 0),
    set_at timestamptz NOT NULL,
    set_by text NOT NULL
);
