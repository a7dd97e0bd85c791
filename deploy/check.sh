#!/bin/sh
# check.sh [SINCE] is `make check`: what a person wants to know before a commit,
# of what changed since SINCE and is not committed. SINCE is where the branch
# left main, on main itself the commit before.
set -eu
cd "$(dirname "$0")/.."
started=$(date +%s)
export GOFLAGS="-trimpath ${GOFLAGS:-}"
if [ $# -gt 0 ]; then
  since=$1
elif [ "$(git rev-parse --abbrev-ref HEAD)" = main ]; then
  since=HEAD~1
else
  since=$(git merge-base HEAD main)
fi
git rev-parse --quiet --verify "$since^{commit}" >/dev/null || { echo "check.sh: there is no commit $since" >&2; exit 2; }

step() { echo "==> [$(($(date +%s) - started)) s] $1" >&2; }

changed=$(git diff --name-only "$since"; git ls-files --others --exclude-standard)
[ -n "$changed" ] || { echo "check.sh: nothing changed since $since" >&2; exit 0; }
# folders A_PATTERN lists the changed files' folders that still hold Go files of
# this module. Without a pattern it is of all files: what is embedded, such as
# SQL or a style sheet, is tested by the package that embeds it.
folders() {
  echo "$changed" | grep -v '^deploy/\(chart\|compose\|devcluster\|tools\|bench/fasthttp\)/' | grep -e "$1" | while read -r file; do
    folder=$(dirname "$file")
    while [ "$folder" != . ] && ! ls "$folder"/*.go >/dev/null 2>&1; do folder=$(dirname "$folder"); done
    [ "$folder" = . ] || echo "./$folder"
  done | sort -u
}
packages=$(folders .)
sources=$(folders '\.go$')

if echo "$changed" | grep -q '\.templ$'; then
  step "generated code"
  before=$(git diff -- web | cksum)
  go tool templ generate -path web -log-level error
  [ "$before" = "$(git diff -- web | cksum)" ] || { echo "check.sh: generated code was stale, and is fresh now: commit it" >&2; exit 1; }
fi

if [ -n "$sources" ]; then
  step "vet"
  pattern=$(echo "$sources" | sed 's|^\.|github.com/constellation-serving/constellation|')
  # With what imports them, and its tests: they may not compile any more. That is
  # a build of all but the programs, whose linking takes the most of one.
  importers=$(go list -f '{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}} ' ./... | grep -wF "$pattern" | cut -d' ' -f1)
  # shellcheck disable=SC2086 # lists of packages
  go vet $importers
  step "lint"
  [ -x bin/golangci-lint ] || go build -modfile=deploy/tools/go.mod -o bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
  # shellcheck disable=SC2086
  bin/golangci-lint run $sources
fi

step "tests of$(echo "$packages" | sed 's|^\.| |' | tr -d '\n')"
# Without CONSTELLATION_BIN and _APISERVER there is no cluster and no browser;
# those are for make e2e, make browser and make test.
# shellcheck disable=SC2086
env -u CONSTELLATION_BIN -u CONSTELLATION_APISERVER go test ./internal/importlaw $packages
step "all is well"
