#!/bin/sh
# Installs the real counterparts that tests talk to, in the exact versions of tests/peers/ and by their hashes, under target/peers:
# a mail server, an authenticator, another argon2 (Python) and an OpenID provider (node). Quick and silent when they are there.
# The packages come from wherever pip and npm are configured to look.
set -eu
cd "$(dirname "$0")/.."

peers=target/peers

fail() {
    echo "The tests' counterparts could not be installed: $1" >&2
    exit 1
}

command -v python3 >/dev/null 2>&1 || fail "python3 (3.10 or newer, with venv) is missing."
command -v node >/dev/null 2>&1 || fail "node (20 or newer) is missing."
command -v npm >/dev/null 2>&1 || fail "npm is missing."
python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || fail "python3 must be 3.10 or newer, with venv."
[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || fail "node must be 20 or newer."

# What is there is what this script would install now, by these programs, in this folder.
wanted=$(pwd; python3 --version; node --version; cat scripts/test-peers.sh tests/peers/requirements.txt tests/peers/package-lock.json)
wanted=$(printf '%s' "$wanted" | cksum)
if [ "$(cat "$peers/installed" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

echo "Installing the tests' counterparts into $peers." >&2
rm -rf "$peers"
mkdir -p "$peers"
python3 -m venv "$peers/python" || fail "python3 -m venv failed."
"$peers/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --requirement tests/peers/requirements.txt || fail "pip failed."
cp tests/peers/package.json tests/peers/package-lock.json "$peers/"
npm --prefix "$peers" ci --ignore-scripts --no-audit --no-fund --loglevel=error || fail "npm failed."
printf '%s\n' "$wanted" >"$peers/installed"
