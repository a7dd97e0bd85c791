#!/bin/sh
# progress.sh LABEL COMMAND... runs a command and says on stderr every 15 s
# that it still does.
label=$1
shift
started=$(date +%s)
"$@" &
command=$!
trap 'kill "$command" 2>/dev/null; wait "$command"; exit 130' INT TERM
next=15
while kill -0 "$command" 2>/dev/null; do
  sleep 0.2
  passed=$(($(date +%s) - started))
  if [ "$passed" -ge "$next" ]; then
    echo "    still $label, ${passed}s" >&2
    next=$((next + 15))
  fi
done
wait "$command"
