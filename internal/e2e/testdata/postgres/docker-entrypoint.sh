#!/bin/sh
# What the entrypoint of the stock image does, as far as the chart needs it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf '%s\n' "$POSTGRES_PASSWORD" |
    initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" --pwfile /dev/stdin --auth scram-sha-256 --encoding UTF8 --locale C >&2
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_DB\";" | postgres --single -D "$PGDATA" postgres >&2
fi
exec postgres -D "$PGDATA" -c 'listen_addresses=*' -c unix_socket_directories=/var/run/postgresql
