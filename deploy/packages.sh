#!/bin/sh
# packages.sh NAME... installs the Debian packages that are missing, without
# starting any service that comes with them. Where it cannot (no apt-get, not
# root), it says in one sentence what to install.
set -eu
missing=
for name in "$@"; do
  dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing="$missing $name"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "packages.sh: this needs the equivalent of these Debian packages:$missing" >&2
  command -v dpkg-query >/dev/null 2>&1 || exit 0
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "packages.sh: please run: sudo apt-get install -y$missing" >&2
  exit 1
fi
echo "==> apt-get install$missing" >&2
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  made=1
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT
trap 'exit 130' INT TERM
log=$(mktemp)
# Package lists may be missing or stale on a fresh machine.
if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
  tail -n 20 "$log" >&2
  rm -f "$log"
  echo "packages.sh: apt-get could not install:$missing" >&2
  exit 1
fi
rm -f "$log"
