-- +goose Up

-- What satellites and launches are chosen by. Their terms are what a selector asks
-- for: each key, and each key=value; whoever writes labels writes both.
ALTER TABLE satellites
    ADD COLUMN labels      jsonb  NOT NULL DEFAULT '{}',
    ADD COLUMN label_terms text[] COLLATE "C" NOT NULL DEFAULT '{}';
ALTER TABLE launches
    ADD COLUMN labels      jsonb  NOT NULL DEFAULT '{}',
    ADD COLUMN label_terms text[] COLLATE "C" NOT NULL DEFAULT '{}';

-- Not of what has no labels: a satellite's row changes as its launches do.
CREATE INDEX satellites_label_terms ON satellites USING gin (label_terms) WITH (fastupdate = off) WHERE label_terms <> '{}';
CREATE INDEX launches_label_terms ON launches USING gin (label_terms) WITH (fastupdate = off) WHERE label_terms <> '{}';
