-- Signing in: sessions that say where they are and when somebody last proved who they are, passwords whose change and event are
-- completed after a death, claims that are known to be settled, and tries that are counted (U35, V08-V10, sec.S4-S6, sec.R5).

-- device and place are coarse, and sealed under the account's profile key. A session counts while it is used: each has its own
-- idle limit, because an account with a role has a shorter one (U37).
alter table credentials.sessions
    add column proved_at    timestamptz,
    add column idle_seconds integer not null default 2592000 check (idle_seconds between 60 and 31536000),
    add column device       text check (length(device) <= 2048),
    add column place        text check (length(place) <= 2048);
update credentials.sessions set proved_at = created_at;
alter table credentials.sessions
    alter column proved_at set not null,
    alter column idle_seconds drop default;
create index sessions_by_end on credentials.sessions (expires_at);

-- A settled claim's account is open for certain: whoever meets it need not look, so a taken address costs what a free one costs.
alter table credentials.claims add column settled boolean not null default false;

-- version: which password this is; a session opened by an older one does not begin to count. The change_ columns stand from the
-- change of the hash until its event is in the log: whose process died in between, the reconciler appends it under this id.
alter table credentials.passwords
    add column version      bigint not null default 1,
    add column change_id    uuid,
    add column change_via   text check (change_via in ('change', 'reset', 'added')),
    add column change_keeps uuid,
    add constraint change_is_whole check ((change_id is null) = (change_via is null) and (change_keeps is null or change_id is not null));
create index passwords_unrecorded on credentials.passwords (changed_at) where change_id is not null;

alter table credentials.mail_tokens
    drop constraint mail_tokens_purpose_check,
    add constraint mail_tokens_purpose_check check (purpose in ('verify_email', 'reset_password'));
create index mail_tokens_by_end on credentials.mail_tokens (expires_at);

-- Tries at something that can be guessed or that sends mail, by a keyed digest of who or what is tried. A bucket tells nothing
-- without the server's key, lives for a day after its last try, and is deleted with its account.
create table credentials.tries (
    bucket        bytea       primary key check (octet_length(bucket) = 32),
    account_id    uuid,
    tries         integer     not null check (tries >= 0),
    counted_at    timestamptz not null,
    blocked_until timestamptz not null,
    expires_at    timestamptz not null
);
create index tries_by_account on credentials.tries (account_id) where account_id is not null;
create index tries_by_end on credentials.tries (expires_at);

grant select, insert, update, delete on credentials.tries to atelier_app;

-- Counts one try in each of these buckets, or in none: the answer is how many seconds to wait, 0 when it was counted. It counts
-- before anybody knows what comes of the try, so that tries at the same moment cannot pass the limit together. A try is forgiven
-- after each `forgive` seconds without one; the first `free` cost nothing, the next one waits `pause` seconds, then twice as long
-- each time, at most `cap`. Buckets come sorted, so that two callers wait for each other in one direction only.
create function credentials.count_try(
    buckets bytea[], free integer[], forgive float8[], pause float8[], cap float8[], owner uuid, at timestamptz)
returns float8
language plpgsql volatile
set search_path = credentials, pg_temp
as $$
declare
    standing credentials.tries;
    counts   integer[] := '{}';
    wait     float8 := 0;
begin
    for i in 1 .. cardinality(buckets) loop
        -- The update changes nothing: it makes the statement lock and return the row that stands, without a race.
        insert into tries as t (bucket, account_id, tries, counted_at, blocked_until, expires_at)
        values (buckets[i], owner, 0, at, 'epoch', at + interval '1 day')
        on conflict (bucket) do update set bucket = t.bucket
        returning * into standing;
        wait := greatest(wait, extract(epoch from standing.blocked_until - at)::float8);
        counts := counts || greatest(0, standing.tries
            - floor(least(86400, greatest(0, extract(epoch from at - standing.counted_at)))::float8 / forgive[i])::integer);
    end loop;
    if wait > 0 then
        return wait;
    end if;
    for i in 1 .. cardinality(buckets) loop
        update tries t set
            tries = counts[i] + 1,
            account_id = coalesce(owner, t.account_id),
            counted_at = at,
            -- Never "until now": nodes' clocks differ, and tries at the same moment come in any order.
            blocked_until = case when counts[i] < free[i] then 'epoch'
                else at + make_interval(secs => least(cap[i], pause[i] * 2::float8 ^ least(counts[i] - free[i], 20))) end,
            expires_at = at + interval '1 day'
        where t.bucket = buckets[i];
    end loop;
    return 0;
end $$;
revoke all on function credentials.count_try from public;
grant execute on function credentials.count_try to atelier_app;
