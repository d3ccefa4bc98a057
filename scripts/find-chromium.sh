#!/bin/sh
# Makes sure that a Chromium is on this machine: silent when one is, else says so and installs Debian's package. CHROMIUM names one that
# is somewhere else.
set -eu

fail() {
    echo "Chromium could not be installed: $1. Install it by hand, or name its program in CHROMIUM." >&2
    exit 1
}

found() {
    for program in "${CHROMIUM:-chromium}" chromium chromium-browser google-chrome; do
        command -v "$program" >/dev/null 2>&1 && return 0
    done
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo"
    fi
}

found && exit 0
command -v apt-get >/dev/null 2>&1 || fail "it is missing, and there is no apt-get"
echo "Chromium is not on this machine; installing it: apt-get install chromium" >&2
as_root apt-get update -q || fail "apt-get update failed"
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium || fail "apt-get install chromium failed"
found || fail "the package brings no program of that name"
