#!/usr/bin/env bash
# Builds the documentation as a site, warnings as errors: .ci/site.sh FOLDER. With the group `docs` on PATH, and npm.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath --canonicalize-missing "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp .ci/package.json "$work"
npm --prefix "$work" install --silent --no-audit --no-fund --ignore-scripts
mkdir -p "$work/static/chunks"
cp "$work"/node_modules/mermaid/dist/mermaid.esm.min.mjs "$work/static"
cp -R "$work"/node_modules/mermaid/dist/chunks/mermaid.esm.min "$work/static/chunks"
find "$work/static" -name '*.map' -delete
PYTHONPATH="$PWD" MERMAID="$work/static" sphinx-build --quiet --fail-on-warning --keep-going \
    --doctree-dir "$work/doctrees" -c docs/site . "$target"

# Readers' browsers ask this site alone: scripts, styles, fonts and pictures are its own.
if grep -rnoE '(<script[^>]*src|<link[^>]*rel="(stylesheet|preload)"[^>]*href|<img[^>]*src)="(https?:)?//[^"]*' \
    --include='*.html' "$target" || grep -rnE "(import|from|url\()[ \"']*https?://" --include='*.css' --include='*.html' "$target"; then
    echo "the site loads from other hosts"
    exit 1
fi
echo "   $(find "$target" -name '*.html' | wc -l) pages, $(du -sm "$target" | cut -f1) MB"
