#!/bin/sh
# Runs tests/browser: a real Chromium against a real server. Installs what drives it, in the exact version of tests/browser and by its
# hash, under target/browser; the package comes from wherever npm is configured to look. Needs node and npm, like the tests' peers.
set -eu
cd "$(dirname "$0")/.."

echo "browser: takes about a minute after the build; the budget is 5 minutes."
driver=target/browser
wanted=$(pwd; node --version; cat tests/browser/package-lock.json)
wanted=$(printf '%s' "$wanted" | cksum)
if [ "$(cat "$driver/installed" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$driver"
    mkdir -p "$driver"
    cp tests/browser/package.json tests/browser/package-lock.json "$driver/"
    npm --prefix "$driver" ci --ignore-scripts --no-audit --no-fund --loglevel=error
    printf '%s\n' "$wanted" >"$driver/installed"
fi
exec timeout 300 node tests/browser/run.mjs "$driver/node_modules/playwright-core" target/debug/atelier
