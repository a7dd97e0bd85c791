#!/bin/sh
# test.sh [ways | PACKAGE...] runs the tests, by default all of every module, and ends
# with one line that counts them. `make test` calls it with everything built.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
export CONSTELLATION_BIN="$root/bin" CONSTELLATION_APISERVER="$root/bin/devcluster"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT TERM
started=$(date +%s)
status=0

gotestsum() { # NAME DIR PACKAGE...
  name=$1 dir=$2
  shift 2
  (cd "$dir" && "$root/bin/gotestsum" --format pkgname-and-test-fails --hide-summary skipped \
    --jsonfile "$results/$name.json" -- -race -count=1 -timeout 40m "$@") || status=1
}

go build -modfile=deploy/tools/go.mod -o bin/gotestsum gotest.tools/gotestsum
ways() { # to run the mothership; each module's requirements are its own
  gotestsum chart deploy/chart ./...
  gotestsum compose deploy/compose ./...
}

if [ "$*" = ways ]; then
  gotestsum systemd . ./deploy/systemd
  ways
elif [ $# -gt 0 ]; then
  gotestsum chosen . "$@"
else
  # Most tests wait for others more than they compute: more of them at once than
  # there are processors.
  # shellcheck disable=SC2046 # a list of packages
  gotestsum main . -parallel 4 $(go list ./... | grep -v /internal/e2e)
  # Clusters and browsers one after the other: they measure time.
  gotestsum e2e . -p 1 ./internal/e2e/...
  gotestsum devcluster deploy/devcluster ./...
  ways
fi

count() { cat "$results"/*.json | grep -F '"Test":' | grep -cF "\"Action\":\"$1\"" || true; }
if grep -hF '"Action":"skip"' "$results"/*.json | grep -qF '"Test":'; then
  echo "skipped:"
  grep -hF '"Action":"skip"' "$results"/*.json | sed -n 's/.*"Package":"\([^"]*\)","Test":"\([^"]*\)".*/  \1 \2/p'
fi
echo "tests took $(($(date +%s) - started)) s"
echo "$(count pass) passed, $(count fail) failed, $(count skip) skipped"
exit $status
