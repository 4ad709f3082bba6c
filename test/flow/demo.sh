#!/bin/sh
# The demo as one test: TAP on standard output. DEPUTY_BIN is the folder with deputyd and deputy.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
said=$(mktemp)
trap 'rm -f "$said"' EXIT
echo 1..1
if "$root/test/demo/demo.sh" >"$said" 2>&1; then
    echo 'ok 1 - demo'
else
    tail -n 40 "$said" | sed 's/^/# /'
    echo 'not ok 1 - demo'
    exit 1
fi
