-- API keys: caps, rotation, how often and how much each was used, and how many jobs each may still ask for (U21, U34, B18, V31).

-- daily_cap, total_cap: what the key may spend, in credits. budget_id: the first key of its line, whose caps its successors spend.
-- replaces: the key it takes over from, whose end follows the event of this one.
alter table credentials.api_keys
    add column daily_cap bigint check (daily_cap > 0),
    add column total_cap bigint check (total_cap > 0),
    add column budget_id uuid,
    add column replaces  uuid;
update credentials.api_keys set budget_id = key_id;
alter table credentials.api_keys alter column budget_id set not null;

-- Per key, UTC day and HTTP status: requests; under status 0, what was paid that day. Telemetry, added to in batches: a node that is
-- killed loses its last seconds. Kept for 400 days.
create table credentials.api_key_usage (
    key_id     uuid        not null,
    day        date        not null,
    status     smallint    not null check (status between 0 and 999),
    account_id uuid        not null,
    requests   bigint      not null,
    credits    bigint      not null,
    last_at    timestamptz not null,
    primary key (key_id, day, status)
);
create index api_key_usage_by_account on credentials.api_key_usage (account_id);
create index api_key_usage_by_day on credentials.api_key_usage (day);

-- Jobs a key asked for in each quarter of an hour of the last day: at most 97 rows a key. Unlogged: a crash of PostgreSQL empties
-- it, and every key has its whole day again.
create unlogged table credentials.api_key_places (
    key_id     uuid    not null,
    slot       bigint  not null,
    account_id uuid    not null,
    taken      integer not null check (taken >= 0),
    primary key (key_id, slot)
);
create index api_key_places_by_account on credentials.api_key_places (account_id);
create index api_key_places_by_slot on credentials.api_key_places (slot);

-- Takes one of a key's places in the window of `slots` that ends with `at_slot`, if one is free: exact on any number of nodes, because
-- takers of one key come one after the other and each reads what the one before has written.
create function credentials.take_key_place(of_key uuid, of_account uuid, at_slot bigint, slots integer, at_most bigint)
returns table (was_free boolean, used bigint, oldest bigint)
language plpgsql volatile
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(of_key::text, 4713951028542));
    delete from credentials.api_key_places p where p.key_id = of_key and p.slot <= at_slot - slots;
    select coalesce(sum(p.taken), 0), min(p.slot) into used, oldest
    from credentials.api_key_places p where p.key_id = of_key and p.taken > 0;
    was_free := used < at_most;
    if was_free then
        insert into credentials.api_key_places as p values (of_key, at_slot, of_account, 1)
        on conflict (key_id, slot) do update set taken = p.taken + 1;
        used := used + 1;
        oldest := least(oldest, at_slot);
    end if;
    return next;
end $$;

grant select, insert, update, delete on credentials.api_key_usage, credentials.api_key_places to atelier_app;
revoke all on function credentials.take_key_place from public;
grant execute on function credentials.take_key_place to atelier_app;

-- The list of keys, version 2: caps, rotation, and ends that change.
create table read_models_a.api_keys_v2 (
    key_id      uuid        primary key,
    account_id  uuid        not null,
    label       text        not null,
    prefix      text        not null,
    last4       text        not null,
    environment text        not null,
    scopes      jsonb       not null,
    daily_cap   bigint,
    total_cap   bigint,
    replaces    uuid,
    replaced_by uuid,
    created_at  timestamptz not null,
    expires_at  timestamptz,
    revoked_at  timestamptz
);
create index api_keys_v2_account on read_models_a.api_keys_v2 (account_id, created_at desc, key_id desc);
select add_read_model('ApiKeys', 2, 'api_keys_v2');
