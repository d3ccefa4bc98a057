-- The read side: checkpoints, and one table per version of each read model (DESIGN 5). Personal columns hold sealed values.

create table checkpoints (
    name            text    not null,
    version         integer not null,
    position        bigint  not null default 0,
    state           text    not null default 'running' check (state in ('running', 'stopped')),
    error           text,
    failed_position bigint,
    primary key (name, version)
);

create schema read_models;

create table read_models.profile_v1 (
    account_id     uuid        primary key,
    email          text        not null,
    username       text        not null,
    display_name   text        not null,
    bio            text,
    email_verified boolean     not null,
    plan           text        not null,
    publish        boolean     not null,
    opened_at      timestamptz not null
);

create table read_models.rank_v1 (
    account_id uuid   primary key,
    successes  bigint not null
);
-- Jobs at work: whose they are, until they end.
create table read_models.rank_jobs_v1 (
    generation_id uuid primary key,
    account_id    uuid not null
);

create table read_models.credit_balance_v1 (
    ledger_id  text   primary key,
    account_id uuid   not null,
    held       bigint not null,
    lots       jsonb  not null
);

create table read_models.transaction_history_v1 (
    id            uuid        primary key,
    ledger_id     text        not null,
    kind          text        not null,
    amount        bigint      not null,
    generation_id uuid,
    lot_id        uuid,
    price_version integer,
    at            timestamptz not null,
    settled_at    timestamptz
);
create index transaction_history_v1_page on read_models.transaction_history_v1 (ledger_id, at desc, id desc);

create table read_models.creations_v1 (
    generation_id uuid        primary key,
    account_id    uuid        not null,
    environment   text        not null,
    status        text        not null,
    model         text        not null,
    media_type    text        not null,
    prompt        text        not null,
    width         integer     not null,
    height        integer     not null,
    num_images    integer     not null,
    seed          bigint      not null,
    price         bigint      not null,
    captured      bigint,
    settled       boolean     not null,
    published     boolean     not null,
    failure       text,
    outputs       jsonb       not null,
    requested_at  timestamptz not null,
    ended_at      timestamptz
);
create index creations_v1_page on read_models.creations_v1 (account_id, environment, requested_at desc, generation_id desc);
create index creations_v1_by_media on read_models.creations_v1 (account_id, environment, media_type, requested_at desc, generation_id desc);

create table read_models.explore_v1 (
    generation_id uuid        primary key,
    account_id    uuid        not null,
    model         text        not null,
    media_type    text        not null,
    prompt        text        not null,
    width         integer     not null,
    height        integer     not null,
    outputs       jsonb       not null,
    published_at  timestamptz
);
create index explore_v1_feed on read_models.explore_v1 (published_at desc, generation_id desc) where published_at is not null;
create index explore_v1_creator on read_models.explore_v1 (account_id, published_at desc, generation_id desc) where published_at is not null;

create table read_models.sessions_v1 (
    session_id uuid        primary key,
    account_id uuid        not null,
    started_at timestamptz not null,
    expires_at timestamptz not null
);
create index sessions_v1_account on read_models.sessions_v1 (account_id, started_at desc, session_id desc);

create table read_models.api_keys_v1 (
    key_id      uuid        primary key,
    account_id  uuid        not null,
    label       text        not null,
    prefix      text        not null,
    last4       text        not null,
    environment text        not null,
    scopes      jsonb       not null,
    created_at  timestamptz not null,
    expires_at  timestamptz,
    revoked_at  timestamptz
);
create index api_keys_v1_account on read_models.api_keys_v1 (account_id, created_at desc, key_id desc);

grant select, insert, update, delete on checkpoints to atelier_app;
grant usage on schema read_models to atelier_app;
grant select, insert, update, delete on all tables in schema read_models to atelier_app;
