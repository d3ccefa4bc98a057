#!/bin/sh
# Brings etcd and HAProxy (Debian 12, amd64) and Patroni (PyPI) into a folder, pinned by version and hash. Nothing is installed into the
# system, and nothing is started: Debian's packages would start their services.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
into=${1:?the folder to install into}
done_mark="$into/installed.$(cat "$here/packages.sha256" "$here/requirements.txt" | sha256sum | cut -c1-16)"
[ -e "$done_mark" ] && exit 0

fail() {
    echo "deploy/ha cannot be installed: $1" >&2
    exit 1
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "this script needs Debian's apt-get and dpkg-deb"
# Debian's own first: another one may stand where PostgreSQL's user, who runs Patroni, may not go.
python=$(PATH="/usr/bin:$PATH" command -v python3) || fail "this script needs python3"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || fail "the pinned packages are for Python 3.11"
rm -rf "$into"
mkdir -p "$into/packages" "$into/root"
cd "$into/packages"
# One look at the list of packages, so that a pinned version is found where it is.
[ "$(id -u)" -ne 0 ] || apt-get update -q >/dev/null || fail "apt-get update failed"
while read -r _ file; do
    name=${file%%_*}
    version=$(echo "$file" | cut -d_ -f2)
    # apt-get drops its rights for a download, and may not write here then; it says so and goes on.
    apt-get download -q "$name=$version" >/dev/null 2>&1 || fail "$name $version is not among this machine's packages (Debian 12 with security updates)"
done <"$here/packages.sha256"
sha256sum --check --quiet "$here/packages.sha256" || fail "a package is not the one that was pinned"
for file in *.deb; do
    dpkg-deb -x "$file" "$into/root"
done
"$python" -m venv "$into/python" || fail "python3 has no venv (Debian: python3-venv)"
pip="$into/python/bin/pip --disable-pip-version-check -q install --require-hashes --no-deps"
grep -E '^(setuptools|wheel|packaging)==' "$here/requirements.txt" >"$into/build.txt"
$pip -r "$into/build.txt" || fail "pip failed"
# Two of them come as source: built with what was just installed, not with what a registry has today.
$pip --no-build-isolation -r "$here/requirements.txt" || fail "pip failed"
: >"$done_mark"
