-- What a deletion of an account needs beside its events (REQUIREMENTS 4.2.10).

-- The confirmation that was offered: the digest of its token. One for each account, for minutes.
CREATE TABLE credentials.deletion_offers (
    account_id   uuid        PRIMARY KEY,
    token_digest bytea       NOT NULL CHECK (octet_length(token_digest) = 32),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX deletion_offers_by_expiry ON credentials.deletion_offers (expires_at);

-- Where the last mail goes: the address sealed under the key of a subject that exists for this alone and is shredded with the row.
CREATE TABLE credentials.farewells (
    account_id uuid        PRIMARY KEY,
    subject    uuid        NOT NULL,
    address    text        NOT NULL,
    language   text        NOT NULL,
    made_at    timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON credentials.deletion_offers, credentials.farewells TO atelier_app;
