# The Rust version is the workspace's rust-version; a test compares the two.
FROM rust:1.95-bookworm AS builder
WORKDIR /src
COPY . .
# The caches keep the registry and what is compiled between builds; the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin atelier \
    && install -D target/release/atelier /out/atelier

FROM debian:bookworm-slim
# PostgreSQL's programs are not here: in production DATABASE_URL names a server. curl asks /health/ready.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin atelier \
    && install --directory --owner=atelier --group=atelier --mode=0700 /data
COPY --from=builder /out/atelier /usr/local/bin/atelier
ENV ATELIER_DATA=/data ATELIER_LISTEN=0.0.0.0:8080
USER atelier
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["atelier"]
CMD ["serve"]
