#!/bin/sh
# Installs stock clients and reference implementations in the exact versions of tests/clients/ and by their hashes under target/clients, with
# the checks beside them, so that they import the packages by name. The packages come from wherever npm is configured to look.
set -eu
cd "$(dirname "$0")/.."

clients=target/clients

fail() {
    echo "The stock clients could not be installed: $1" >&2
    exit 1
}

command -v node >/dev/null 2>&1 || fail "node (20 or newer) is missing."
command -v npm >/dev/null 2>&1 || fail "npm is missing."
[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || fail "node must be 20 or newer."

# What is there is what this script would install now, by this program, in this folder.
wanted=$(pwd; node --version; cat scripts/test-clients.sh tests/clients/package-lock.json)
wanted=$(printf '%s' "$wanted" | cksum)
if [ "$(cat "$clients/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing the stock clients into $clients." >&2
    rm -rf "$clients"
    mkdir -p "$clients"
    cp tests/clients/package.json tests/clients/package-lock.json "$clients/"
    npm --prefix "$clients" ci --ignore-scripts --no-audit --no-fund --loglevel=error || fail "npm failed."
    printf '%s\n' "$wanted" >"$clients/installed"
fi

rm -rf "$clients/tests"
mkdir "$clients/tests"
cp -R tests/clients/. "$clients/tests/"
