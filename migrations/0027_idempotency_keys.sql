-- A client's idempotency key is text of its own, which may say anything about anybody: it is stored as a keyed hash, which begins with a
-- letter that no client's key can have ('#'). Keys of the release before count for 24 hours more, as they stand.

create table idempotency_upgrade (
    singleton   boolean     primary key default true check (singleton),
    clear_until timestamptz not null
);
insert into idempotency_upgrade (clear_until) values (now() + interval '24 hours');
grant select on idempotency_upgrade to atelier_app;

-- Finds the clear ones; a hashed one costs an append nothing here.
create index idempotency_keys_clear on idempotency_keys (recorded_at) where left(key, 1) <> '#';

-- The application cannot delete keys; it may ask for the end of some of those whose time is over, and of no others. The time of a clear one
-- is over with the day of the upgrade, also if a node of the release before wrote it after that.
create or replace function expire_idempotency_keys(at_most integer) returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
set enable_seqscan = off
as $$
declare
    bound   bigint := greatest(0, least(at_most, 10000));
    removed bigint;
    clear   bigint := 0;
begin
    delete from idempotency_keys where ctid = any (array(
        select ctid from idempotency_keys where recorded_at < now() - interval '24 hours' limit bound for update skip locked));
    get diagnostics removed = row_count;
    if exists (select from idempotency_upgrade where clear_until < now()) then
        delete from idempotency_keys where ctid = any (array(
            select ctid from idempotency_keys where left(key, 1) <> '#' limit bound - removed for update skip locked));
        get diagnostics clear = row_count;
    end if;
    return removed + clear;
end $$;

-- All keys of an account that is being deleted, or was. Nobody can use them any more.
create function forget_idempotency_keys(account uuid) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
    delete from idempotency_keys where account_id = account;
end $$;
revoke all on function forget_idempotency_keys from public;
grant execute on function forget_idempotency_keys to atelier_app;
