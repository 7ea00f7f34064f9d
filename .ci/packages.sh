#!/usr/bin/env bash
# Builds into a folder the source distribution, the wheel, the .deb, and of what uv.lock installs with them the
# requirements, with hashes, and the bill of materials: .ci/packages.sh FOLDER. With the group `release` on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

build_log=$(mktemp)
trap 'rm -f "$build_log"' EXIT
run() { "$@" >"$build_log" 2>&1 || { tail -40 "$build_log"; exit 1; }; }

run python3 -m build --no-isolation --outdir "$1" .
run packaging/deb/build "$1"/icsfeed-*.tar.gz "$1"
locked=(uv export --frozen --no-default-groups --extra redis --extra signing)
run "${locked[@]}" --no-header --no-annotate --no-emit-project --output-file "$1/icsfeed-requirements.txt"
run "${locked[@]}" --format cyclonedx1.5 --output-file "$1/icsfeed.cdx.json"
# uv leaves out the version of the project itself, which is dynamic.
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' icsfeed/__init__.py)
sed -i "0,/\"name\": \"icsfeed\",/s//&\n      \"version\": \"$version\",/" "$1/icsfeed.cdx.json"
