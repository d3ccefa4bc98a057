#!/bin/sh
# Three PostgreSQL nodes under Patroni, etcd and HAProxy on this machine, by one command: `run.sh up` leaves them running until it is
# interrupted, `run.sh drill PROGRAM` kills leaders under load and prints what was lost. See docs/high-availability.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# Outside the work tree: PostgreSQL's user must reach Patroni.
tools=${HA_TOOLS:-/var/tmp/atelier-ha-tools}
sh "$here/install.sh" "$tools"
what=${1:-up}
program=${2:-}
[ -z "$program" ] || program=$(cd "$(dirname "$program")" && pwd)/$(basename "$program")
exec "$tools/python/bin/python" "$here/cluster.py" "$what" "$tools" ${program:+"$program"}
