-- The second factor, recovery codes, sign-ins that wait for a code, identities elsewhere, and sign-ins under way there (V11, A16,
-- sec.T1-T3, sec.O1). Seeds and labels are sealed with the account's profile key; everything else is a keyed digest.

-- One factor at most. pending: shown, not proven; confirming: proven, its event on the way; active; off: being turned off.
-- Whether a sign-in takes a code is what the log says; the row holds what a code is checked against.
CREATE TABLE credentials.second_factors (
    account_id   uuid        PRIMARY KEY,
    seed         text        NOT NULL CHECK (length(seed) <= 400),
    state        text        NOT NULL CHECK (state IN ('pending', 'confirming', 'active', 'off')),
    changed_at   timestamptz NOT NULL,
    -- A code of this step or one before it was used already (RFC 6238, 5.2).
    last_step    bigint      NOT NULL DEFAULT 0,
    -- Tries since the last right code; a try counts before it is looked at.
    tries        integer     NOT NULL DEFAULT 0 CHECK (tries >= 0),
    locked_until timestamptz
);
CREATE INDEX second_factors_to_reconcile ON credentials.second_factors (changed_at) WHERE state <> 'active';

-- Ten for each account at most. A used one waits for its event, then goes.
CREATE TABLE credentials.recovery_codes (
    account_id uuid        NOT NULL,
    digest     bytea       NOT NULL CHECK (octet_length(digest) = 32),
    used_at    timestamptz,
    PRIMARY KEY (account_id, digest)
);
CREATE INDEX recovery_codes_to_reconcile ON credentials.recovery_codes (used_at) WHERE used_at IS NOT NULL;

-- The first factor was right, the second is missing: ten minutes, a few tries, a few for each account.
CREATE TABLE credentials.sign_in_challenges (
    digest     bytea       PRIMARY KEY CHECK (octet_length(digest) = 32),
    account_id uuid        NOT NULL,
    -- The password's version that was right; none when the first factor was an identity elsewhere.
    password_version bigint,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    tries      smallint    NOT NULL DEFAULT 0
);
CREATE INDEX sign_in_challenges_by_account ON credentials.sign_in_challenges (account_id, created_at);
CREATE INDEX sign_in_challenges_expiry ON credentials.sign_in_challenges (expires_at);

-- Who signs in elsewhere: a keyed digest of issuer and subject, never of an address (sec.O1). Rows beside events, as sessions are.
CREATE TABLE credentials.identities (
    identity_id uuid        PRIMARY KEY,
    account_id  uuid        NOT NULL,
    provider    text        NOT NULL CHECK (provider IN ('google')),
    key_version smallint    NOT NULL,
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    label       text        NOT NULL CHECK (length(label) <= 2000),
    state       text        NOT NULL CHECK (state IN ('pending', 'active', 'revoked')),
    created_at  timestamptz NOT NULL,
    UNIQUE (provider, key_version, digest)
);
CREATE INDEX identities_by_account ON credentials.identities (account_id);
CREATE INDEX identities_to_reconcile ON credentials.identities (created_at) WHERE state <> 'active';

-- A browser on its way to another provider and back: ten minutes, used once. State, nonce and verifier come from the token in the
-- browser's cookie; a link belongs to an account and to the session that asked for it.
CREATE TABLE credentials.sign_ins_elsewhere (
    state_digest   bytea       PRIMARY KEY CHECK (octet_length(state_digest) = 32),
    browser_digest bytea       NOT NULL CHECK (octet_length(browser_digest) = 32),
    account_id     uuid,
    session_id     uuid,
    expires_at     timestamptz NOT NULL,
    CHECK ((account_id IS NULL) = (session_id IS NULL))
);
CREATE INDEX sign_ins_elsewhere_by_account ON credentials.sign_ins_elsewhere (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX sign_ins_elsewhere_expiry ON credentials.sign_ins_elsewhere (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON
    credentials.second_factors, credentials.recovery_codes, credentials.sign_in_challenges, credentials.identities,
    credentials.sign_ins_elsewhere
    TO atelier_app;
