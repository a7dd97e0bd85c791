-- +goose Up

-- How many seconds a server's clock is before the database's, as it last showed itself.
ALTER TABLE servers ADD COLUMN clock_ahead double precision;
