#!/usr/bin/env bash
# The wheel, installed as people install programs: .ci/installers.sh DIST. With the group `release` on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=$(realpath "$1"/icsfeed-*.whl)
version="icsfeed, version $(sed -n 's/^__version__ = "\(.*\)"$/\1/p' icsfeed/__init__.py)"
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

export PIPX_HOME="$home/pipx" PIPX_BIN_DIR="$home/bin" PIPX_MAN_DIR="$home/man"
pipx install --quiet "icsfeed[redis,signing] @ file://$wheel"
[ "$("$home/bin/icsfeed" --version)" = "$version" ]
python3 .ci/answers.py "$home/bin/icsfeed"

[ "$(cd "$home" && uvx --quiet --from "$wheel" icsfeed --version)" = "$version" ]
python3 .ci/answers.py uvx --quiet --from "$wheel" icsfeed
