#!/bin/sh
# Makes sure that PostgreSQL's programs, version 15 or newer, are on this machine: silent when they are, else says what it
# will do and installs them with the system's package manager. It looks where server/src/embedded_postgres/programs.rs looks.
set -eu

oldest=15

fail() {
    echo "PostgreSQL $oldest or newer could not be installed: $1. Install it by hand, or set DATABASE_URL to a server of your own." >&2
    exit 1
}

usable() {
    [ -x "$1/postgres" ] && [ -x "$1/initdb" ] && [ -x "$1/pg_ctl" ] || return 1
    version=$("$1/postgres" --version 2>/dev/null) || return 1
    major=$(printf '%s\n' "$version" | sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p')
    [ -n "$major" ] && [ "$major" -ge "$oldest" ]
}

found() {
    saved_ifs=$IFS
    IFS=:
    for folder in $PATH; do
        if usable "$folder"; then
            IFS=$saved_ifs
            return 0
        fi
    done
    IFS=$saved_ifs
    if command -v pg_config >/dev/null 2>&1 && usable "$(pg_config --bindir 2>/dev/null)"; then
        return 0
    fi
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/lib/postgresql[0-9]*/bin /usr/libexec/postgresql[0-9]* \
        /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin /home/linuxbrew/.linuxbrew/opt/postgresql@*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin; do
        if usable "$folder"; then
            return 0
        fi
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

announce() {
    echo "PostgreSQL $oldest or newer is not on this machine; installing it: $1" >&2
}

# Debian's package would make and start a cluster of its own on port 5432 unless told so before it is unpacked.
install_with_apt() {
    announce "apt-get install postgresql (without Debian's default cluster)"
    as_root mkdir -p /etc/postgresql-common
    settings=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$settings" ] || ! grep -Eq '^[[:space:]]*create_main_cluster[[:space:]]*=[[:space:]]*false' "$settings"; then
        echo 'create_main_cluster = false' | as_root tee -a "$settings" >/dev/null
    fi
    as_root apt-get update -q || fail "apt-get update failed"
    # --force-confold: keep the file written above when the package brings its own.
    as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold postgresql || fail "apt-get install postgresql failed"
}

install_with_dnf() {
    announce "dnf install postgresql-server"
    as_root dnf install -y postgresql-server || fail "dnf install postgresql-server failed"
}

install_with_apk() {
    announce "apk add postgresql"
    as_root apk add postgresql || fail "apk add postgresql failed"
}

install_with_brew() {
    announce "brew install postgresql@17"
    brew install postgresql@17 || fail "brew install postgresql@17 failed"
}

if found; then
    exit 0
fi
if command -v brew >/dev/null 2>&1 && [ "$(uname -s)" = Darwin ]; then
    install_with_brew
elif command -v apt-get >/dev/null 2>&1; then
    install_with_apt
elif command -v dnf >/dev/null 2>&1; then
    install_with_dnf
elif command -v apk >/dev/null 2>&1; then
    install_with_apk
else
    fail "no package manager was found that this script knows (apt-get, dnf, apk, brew)"
fi
found || fail "the system's package manager offers only an older version"
