#!/usr/bin/env bash
# Everything that a release consists of, but for the container image: .ci/release.sh TAG FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
tag=$1 target=$2

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' icsfeed/__init__.py)
[ "$tag" = "v$version" ] || { echo "the tag is $tag, and icsfeed/__init__.py says $version"; exit 1; }
grep -qE "^## $version \([0-9]{4}-[0-9]{2}-[0-9]{2}\)$" CHANGELOG.md ||
    { echo "CHANGELOG.md has no heading '## $version (YEAR-MONTH-DAY)'"; exit 1; }
grep -qx "    newTag: $version" packaging/kubernetes/kustomization.yaml ||
    { echo "packaging/kubernetes/kustomization.yaml has another version of the image"; exit 1; }

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --upgrade pip
"$tools/bin/python" -m pip install --quiet --group release
export PATH="$tools/bin:$PATH"
mkdir -p "$target"
bash .ci/packages.sh "$target"
