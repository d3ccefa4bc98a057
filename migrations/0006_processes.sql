-- Work that does not end by itself is told apart from work that waits, and idempotency keys end after a day.

-- waiting: will be done; stuck: tried so often that somebody should look, and still tried, slowly; dead: will never be
-- done, kept as a record. A dead row is due at infinity, so that nobody who looks for due work ever meets it.
alter table process_work
    add column state text not null default 'waiting' check (state in ('waiting', 'stuck', 'dead')),
    add constraint dead_is_never_due check ((state = 'dead') = (due_at = 'infinity'));
-- The few that need somebody: what metrics and `atelier doctor` count. Leasing changes neither index's columns.
create index process_work_troubled on process_work (state) where state <> 'waiting';

-- Keys count for 24 hours (REQUIREMENTS 3.3). They come in the order of their time, so a summary per block range finds the
-- old ones, and an append with a key pays next to nothing for it.
create index idempotency_keys_age on idempotency_keys using brin (recorded_at) with (pages_per_range = 16);

-- The application cannot delete keys; it may ask for the end of some of those whose time is over, and of no others.
create function expire_idempotency_keys(at_most integer) returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
set enable_seqscan = off
as $$
declare
    removed bigint;
begin
    delete from idempotency_keys where ctid = any (array(
        select ctid from idempotency_keys where recorded_at < now() - interval '24 hours'
        limit greatest(0, least(at_most, 10000)) for update skip locked));
    get diagnostics removed = row_count;
    return removed;
end $$;
revoke all on function expire_idempotency_keys from public;
grant execute on function expire_idempotency_keys to atelier_app;
