#!/bin/sh
# fuzz.sh runs every fuzz target of the main module for FUZZ_TIME (60s) each,
# side by side. What a target begins with is stored beside it, in testdata/fuzz.
set -eu
cd "$(dirname "$0")/.."
time=${FUZZ_TIME:-60s}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT TERM
targets=$(grep -rHo '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' internal cmd web | sed 's|/[^/]*_test.go:func | |' | sort -u)

fuzz() { # NUMBER PACKAGE TARGET
  if go test -run '^$' -fuzz "^$3\$" -fuzztime "$time" -parallel 1 -timeout 30m "./$2" >"$results/$1.out" 2>&1; then
    touch "$results/$1.ok"
  fi
}

# What a target compiles, with its coverage counted, the next ones find done.
echo "$targets" | while read -r package target; do
  go test -run '^$' -fuzz "^$target\$" -fuzztime 1x -parallel 1 "./$package" >/dev/null 2>&1 || true
done
n=0
while read -r package target; do
  n=$((n + 1))
  fuzz "$n" "$package" "$target" &
done <<TARGETS
$targets
TARGETS
wait
status=0 n=0
while read -r package target; do
  n=$((n + 1))
  if [ -e "$results/$n.ok" ]; then
    echo "fuzz $target ($package): $(grep -F 'execs:' "$results/$n.out" | tail -1 | sed 's/^fuzz: //')"
  else
    status=1
    echo "fuzz $target ($package): FAIL" >&2
    cat "$results/$n.out" >&2
  fi
done <<TARGETS
$targets
TARGETS
exit $status
