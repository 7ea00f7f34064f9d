#!/usr/bin/env bash
# Builds into a folder the source distribution, the wheel, the .deb, and the bill of materials of what uv.lock
# installs with them: .ci/packages.sh FOLDER. With the group `release` on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

build_log=$(mktemp)
trap 'rm -f "$build_log"' EXIT
run() { "$@" >"$build_log" 2>&1 || { tail -40 "$build_log"; exit 1; }; }

run python3 -m build --outdir "$1" .
run packaging/deb/build "$1"/icsfeed-*.tar.gz "$1"
run uv export --frozen --no-default-groups --extra redis --extra signing \
    --format cyclonedx1.5 --output-file "$1/icsfeed.cdx.json"
