-- Profiles: usernames that change (U27-U29), avatars (A04), the public switch (V05).

-- held: the account's name. pending: taken by a rename whose event may not be in the log; redirects_until stays as it was, for a name
-- that is taken back. released: given up by a rename; finds its account until an instant, and is nobody's until then.
alter table credentials.claims
    add column state           text not null default 'held' check (state in ('held', 'pending', 'released')),
    add column redirects_until timestamptz,
    add constraint released_has_an_end check (state <> 'released' or redirects_until is not null);
create index claims_to_reconcile on credentials.claims (state, claimed_at) where state <> 'held';

-- Usernames of deleted accounts, under a key for each month that is destroyed with what it made (U29). No account is named.
create table credentials.username_quarantine (
    period  integer     not null,
    digest  bytea       not null check (octet_length(digest) = 32),
    ends_at timestamptz not null,
    primary key (period, digest)
);
create index username_quarantine_end on credentials.username_quarantine (ends_at);

-- One-time permissions to upload an avatar. in_use_until: somebody uploads with it right now.
create table credentials.avatar_tickets (
    ticket_digest bytea       primary key check (octet_length(ticket_digest) = 32),
    account_id    uuid        not null,
    created_at    timestamptz not null,
    expires_at    timestamptz not null,
    in_use_until  timestamptz
);
create index avatar_tickets_by_account on credentials.avatar_tickets (account_id, created_at);
create index avatar_tickets_end on credentials.avatar_tickets (expires_at);

-- Avatars whose objects are being stored: a row left behind names objects that perhaps no event names.
create table credentials.avatar_uploads (
    avatar_id  uuid        primary key,
    account_id uuid        not null,
    begun_at   timestamptz not null
);
create index avatar_uploads_by_account on credentials.avatar_uploads (account_id);
create index avatar_uploads_by_age on credentials.avatar_uploads (begun_at);

grant select, insert, update, delete on
    credentials.username_quarantine, credentials.avatar_tickets, credentials.avatar_uploads to atelier_app;

create table read_models_a.profile_v2 (
    account_id     uuid        primary key,
    email          text        not null,
    username       text        not null,
    display_name   text        not null,
    bio            text,
    avatar         jsonb,
    public         boolean     not null,
    language       text        not null,
    email_verified boolean     not null,
    plan           text        not null,
    publish        boolean     not null,
    opened_at      timestamptz not null
);
select add_read_model('Profile', 2, 'profile_v2');
