#!/bin/sh
# Makes the files of GraphiQL in server/assets/graphiql anew from its pinned npm packages, or with --check says whether they are what
# those packages give. Only this needs node and a registry: the server has the files inside.
set -eu
cd "$(dirname "$0")/.."

assets=server/assets/graphiql
work=target/graphiql
rm -rf "$work"
mkdir -p "$work"
cp "$assets/package.json" "$assets/package-lock.json" "$work/"
npm --prefix "$work" ci --ignore-scripts --no-audit --no-fund --loglevel=error
node "$assets/pack.mjs" "$work/node_modules" "$assets" "$@"
