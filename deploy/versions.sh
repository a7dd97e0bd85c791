#!/bin/sh
# Fails when two of our Go modules that the demo or the browser's tests compile ask
# for different versions of one module: its packages, and all that import them, would
# be compiled twice.
cd "$(dirname "$0")/.." || exit 1
modules="go.mod deploy/devcluster/go.mod deploy/devcluster/kube/go.mod deploy/devcluster/coredns/go.mod internal/e2e/testdata/provider/go.mod"
# shellcheck disable=SC2086 # a list of files
awk '
	/^require \(/ { inside = 1; next }
	/^\)/         { inside = 0 }
	inside && NF >= 2 {
		if (($1 in version) && version[$1] != $2) {
			printf "%s: %s in %s, %s in %s\n", $1, version[$1], file[$1], $2, FILENAME
			differ = 1
		}
		version[$1] = $2; file[$1] = FILENAME
	}
	END { exit differ }
' $modules || { echo "lint: make the versions above the same: 'go get MODULE@VERSION' and 'go mod tidy' in the folder of each go.mod" >&2; exit 1; }
