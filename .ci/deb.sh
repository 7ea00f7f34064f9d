#!/usr/bin/env bash
# The .deb as its users have it: .ci/deb.sh DIST has lintian look at the one in that folder, installs it on this
# machine, uses it, and purges it. As root.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$(realpath "$1")

say() { printf '   %s\n' "$*"; }
fail() { say "$*"; exit 1; }

dpkg-query -W icsfeed >/dev/null 2>&1 && fail "icsfeed is installed here: the test would remove it"
[ ! -e /etc/icsfeed ] && [ ! -e /var/lib/icsfeed ] || fail "there is a configuration or state of icsfeed here"

deb=("$dist"/icsfeed_*.deb)
say "${deb[0]##*/}: $(du -k "${deb[0]}" | cut -f1) kB, installed $(dpkg-deb --field "${deb[0]}" Installed-Size) kB"
lintian --allow-root --fail-on error "${deb[0]}"

cleanup() {
    dpkg --purge icsfeed >/dev/null 2>&1 || true
    rm -rf /etc/icsfeed
    userdel icsfeed-export 2>/dev/null || true # packages leave their users, so that no other gets their files
}
trap cleanup EXIT
env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${deb[0]}" >"$dist/install.log" 2>&1 ||
    { cat "$dist/install.log"; exit 1; }

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' icsfeed/__init__.py)
[ "$(icsfeed --version)" = "icsfeed, version $version" ] || fail "icsfeed --version: $(icsfeed --version)"

python3 .ci/answers.py icsfeed

# The configuration that is installed is one, and the server says what it lacks.
install -m 0600 <(echo "a-secret-of-more-than-thirty-two-letters") /etc/icsfeed/credentials/icsfeed-secret
echo key >/etc/icsfeed/credentials/plane-api-key
links=$(CREDENTIALS_DIRECTORY=/etc/icsfeed/credentials icsfeed urls property 2>&1)
[[ "$links" == */feeds/icsf_* ]] || fail "the installed feeds.yaml gives no links: $links"
[ "$(stat -c %a /etc/icsfeed/credentials)" = 700 ] || fail "anyone can read the credentials"

units=(icsfeed.service icsfeed.socket icsfeed-export.service icsfeed-export.timer icsfeed-push@x.service icsfeed-push@x.timer)
found=$(systemd-analyze verify "${units[@]}" 2>&1 | grep -i icsfeed || true)
[ -z "$found" ] || fail "$found"
[ -z "$(find /etc/systemd/system -name 'icsfeed*')" ] || fail "a unit is enabled without being asked for"
getent passwd icsfeed-export >/dev/null || fail "the user icsfeed-export is missing"

for page in icsfeed icsfeed-serve; do
    shown=$(man -l --warnings "/usr/share/man/man1/$page.1.gz" 2>&1 >/dev/null)
    [ -z "$shown" ] || fail "man page $page: $shown"
done
bash -c 'source /usr/share/bash-completion/completions/icsfeed && complete -p icsfeed' >/dev/null
completed=$(COMP_WORDS="icsfeed ser" COMP_CWORD=1 _ICSFEED_COMPLETE=bash_complete icsfeed)
[ "$completed" = "plain,serve" ] || fail "completion of 'icsfeed ser': $completed"
say "units, man pages and completion are in their places"

mkdir -p /var/lib/icsfeed /var/lib/private/icsfeed /var/lib/icsfeed-export
DEBIAN_FRONTEND=noninteractive dpkg --purge icsfeed >/dev/null 2>&1
left=$(find /usr/lib/icsfeed /etc/icsfeed /var/lib/icsfeed /var/lib/private/icsfeed /var/lib/icsfeed-export 2>/dev/null || true)
[ "$(sort <<<"$left")" = "$(sort <<<"/etc/icsfeed
/etc/icsfeed/credentials
/etc/icsfeed/credentials/icsfeed-secret
/etc/icsfeed/credentials/plane-api-key")" ] || fail "left after the purge: $left"
say "purged; only the credentials are left"
