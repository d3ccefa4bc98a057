-- Rows that prove who somebody is: claims, password hashes, sessions, API keys, mail tokens (DESIGN 4 and 7).
-- No event carries any of this; rows are deleted at erasure. Nothing here is readable: digests are keyed
-- HMAC-SHA-256 under keys that live outside PostgreSQL, passwords are argon2id.

CREATE SCHEMA credentials;

-- An email or username belongs to one account. Taken before the account opens, deleted at erasure.
CREATE TABLE credentials.claims (
    kind        text        NOT NULL CHECK (kind IN ('email', 'username')),
    key_version smallint    NOT NULL,
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    account_id  uuid        NOT NULL,
    claimed_at  timestamptz NOT NULL,
    PRIMARY KEY (kind, key_version, digest)
);
CREATE INDEX claims_by_account ON credentials.claims (account_id);

CREATE TABLE credentials.passwords (
    account_id uuid        PRIMARY KEY,
    phc        text        NOT NULL,
    changed_at timestamptz NOT NULL
);

-- Rows beside events: a pending row waits for its event, a revoked one for the event of its end; neither authenticates.
CREATE TABLE credentials.sessions (
    session_id     uuid        PRIMARY KEY,
    account_id     uuid        NOT NULL,
    digest         bytea       NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    state          text        NOT NULL CHECK (state IN ('pending', 'active', 'revoked')),
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    last_active_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_account ON credentials.sessions (account_id);
CREATE INDEX sessions_to_reconcile ON credentials.sessions (state, created_at) WHERE state <> 'active';

CREATE TABLE credentials.api_keys (
    key_id      uuid        PRIMARY KEY,
    public_id   text        NOT NULL UNIQUE,
    account_id  uuid        NOT NULL,
    environment text        NOT NULL CHECK (environment IN ('live', 'test')),
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    scopes      text[]      NOT NULL,
    state       text        NOT NULL CHECK (state IN ('pending', 'active', 'revoked')),
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz
);
CREATE INDEX api_keys_by_account ON credentials.api_keys (account_id);
CREATE INDEX api_keys_to_reconcile ON credentials.api_keys (state, created_at) WHERE state <> 'active';

CREATE TABLE credentials.mail_tokens (
    token_digest bytea       PRIMARY KEY CHECK (octet_length(token_digest) = 32),
    account_id   uuid        NOT NULL,
    purpose      text        NOT NULL CHECK (purpose IN ('verify_email')),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz
);
CREATE INDEX mail_tokens_by_account ON credentials.mail_tokens (account_id);

GRANT USAGE ON SCHEMA credentials TO atelier_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    credentials.claims, credentials.passwords, credentials.sessions, credentials.api_keys, credentials.mail_tokens
    TO atelier_app;
