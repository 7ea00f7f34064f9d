#!/usr/bin/env bash
# The wheel, installed as people install programs, and as docs/releasing.md says: .ci/installers.sh DIST. With the
# group `release` on PATH.
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

python3 -m venv "$home/locked"
"$home/locked/bin/python" -m pip install --quiet --no-deps --require-hashes -r "${wheel%/*}/icsfeed-requirements.txt"
"$home/locked/bin/python" -m pip install --quiet --no-deps "$wheel"
python3 packaging/trim.py "$home"/locked/lib/python3*/site-packages
python3 .ci/answers.py "$home/locked/bin/icsfeed"
