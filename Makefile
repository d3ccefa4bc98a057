# Every target says what it does: `make` prints them.
.DEFAULT_GOAL := help
.PHONY: help run peers test clients corpus browser graphiql advisories check fmt clippy doc schema release clean-data postgres bench soak ha

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

postgres: ## find PostgreSQL's programs, or install them with the system's package manager
	@sh scripts/find-postgres.sh

run: postgres ## build and start atelier with its private PostgreSQL under ./data; the first time with the demo studio
	@cargo build --bin atelier
	@exec ./target/debug/atelier serve --demo

peers: ## install the real counterparts tests talk to (Python and node, pinned) under target/peers
	@sh scripts/test-peers.sh

test: postgres peers ## every test, on a private PostgreSQL of its own
	cargo test --workspace --exclude atelier-bench --no-fail-fast

clients: postgres ## stock clients and reference implementations against a running studio (some 2 minutes; `make clients CHECKS=audit` for one)
	@cargo build --bin atelier
	@sh scripts/test-clients.sh
	@node target/clients/tests/run.mjs target/debug/atelier $(CHECKS)

corpus: ## freeze the corpus of GraphQL documents anew, with graphql-js's verdicts, over schema.graphql
	@sh scripts/test-clients.sh
	@node target/clients/tests/corpus/freeze.mjs schema.graphql tests/clients/corpus

browser: postgres ## Chromium against a real server: other origins, and GraphiQL without a network (some 5 minutes with the build)
	@sh scripts/find-chromium.sh
	@cargo build --bin atelier
	@sh scripts/test-browser.sh

graphiql: ## make the files of GraphiQL anew from their pinned npm packages (server/assets/graphiql)
	@sh scripts/graphiql.sh

advisories: ## known weaknesses of the locked crates, by RustSec's list (needs the network, so not a part of `make check`)
	@cargo audit --version >/dev/null 2>&1 || cargo install --locked cargo-audit
	@cargo audit

fmt: ## check the formatting
	cargo fmt --all --check

clippy: ## lints on all targets, warnings denied
	cargo clippy --workspace --all-targets -- -D warnings

doc: ## the documentation builds without a warning
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

check: ## all of CI: fmt, clippy, doc, tests (schema, event forms and architecture among them), stock clients
	@bash .ci/stages

schema: ## write schema.graphql, openapi.json and the stored event forms anew
	ATELIER_BLESS=1 cargo test -p atelier-tests --test atelier -- committed_files

release: ## the production build
	cargo build --release --bin atelier

bench: postgres ## the engine against the stock crate, measured; bench/README.md says how to read it (some ten minutes)
	@cargo run --profile bench-release -p atelier-bench -- $(BENCH)

soak: postgres ## the long runs: 1,000 kills, 10,000 races and more, with a summary (scripts/soak.sh has the sizes; some 40 minutes)
	@bash scripts/soak.sh

ha: postgres ## Patroni, etcd and HAProxy on this machine: leaders killed and frozen under load, and what was lost (Debian 12; some 15 minutes)
	@cargo build --bin atelier
	@sh deploy/ha/run.sh drill target/debug/atelier
