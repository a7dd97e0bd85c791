-- +goose Up

-- The index of names has the id too, so that a search by name reads nothing but
-- it until it has its page.
ALTER TABLE satellites DROP CONSTRAINT satellites_name_key_key;
ALTER TABLE satellites ADD CONSTRAINT satellites_name_key_key UNIQUE (name_key) INCLUDE (id);
