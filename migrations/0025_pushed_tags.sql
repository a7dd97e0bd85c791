-- +goose Up

-- Tags that were pushed and are no version of an algorithm, such as "latest":
-- the newest few of each repository, to tell who pushed them why no version is
-- there.
CREATE TABLE pushed_tags (
    repository text COLLATE "C" NOT NULL,
    tag        text COLLATE "C" NOT NULL,
    digest     text NOT NULL,
    pushed_at  timestamptz NOT NULL,
    pushed_by  text NOT NULL,
    PRIMARY KEY (repository, tag)
);
CREATE INDEX pushed_tags_pushed_at ON pushed_tags (pushed_at);
