-- The log: one append-only table, columns as postgres-es 0.5 has them and ours beside (DESIGN 3).

create table events (
    aggregate_type text        not null,
    aggregate_id   text        not null,
    sequence       bigint      not null check (sequence > 0),
    event_type     text        not null,
    event_version  text        not null,
    payload        json        not null,
    metadata       json        not null,
    position       bigint      not null check (position > 0),
    event_id       uuid        not null,
    decided_at     timestamptz not null,
    recorded_at    timestamptz not null,
    primary key (aggregate_type, aggregate_id, sequence)
);
create unique index events_position on events (position);

-- Snapshots are a cache of committed state; the table is the one postgres-es reads.
create table snapshots (
    aggregate_type   text   not null,
    aggregate_id     text   not null,
    last_sequence    bigint not null check (last_sequence >= 0),
    current_snapshot bigint not null check (current_snapshot >= 0),
    payload          json   not null,
    primary key (aggregate_type, aggregate_id, last_sequence)
);

-- Which log this is: part of every position and cursor that leaves by the API, renewed at a restore.
create table log_identity (
    singleton boolean primary key default true check (singleton),
    log_id    uuid not null
);
insert into log_identity (log_id) values (gen_random_uuid());

-- What an idempotency key stood for: written in the append's own transaction (DESIGN 3, property 4).
create table idempotency_keys (
    account_id  uuid        not null,
    key         text        not null,
    fingerprint bytea       not null,
    result      text        not null,
    position    bigint      not null,
    recorded_at timestamptz not null,
    primary key (account_id, key)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the log is append-only: % on % is refused', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger events_append_only before update or delete or truncate on events
    for each statement execute function refuse_change();

-- Appends a batch; one verdict per append:
--   written    its events have the positions up to last_position
--   ours       an earlier, unanswered call of the same append had already written it
--   repeat     its idempotency key was used with the same fingerprint; stored_result is the first answer
--   other_body its idempotency key was used with another fingerprint
--   conflict   another append took its place in the stream, what it was decided on is not there, or an append beneath it in
--              this batch failed
-- The lock comes first; only then, in fresh statement snapshots, is the last position read. So positions are dense and
-- in commit order, whatever the number of writers (property 1). The common case is two set-based inserts; only when a
-- unique key objects, or what an append was decided on is missing, is the batch gone through append by append.
create function append_events(
    appends integer[], aggregate_types text[], aggregate_ids text[], sequences bigint[],
    event_types text[], event_versions text[], payloads text[], metadatas text[],
    event_ids uuid[], decided_ats timestamptz[],
    key_appends integer[], key_accounts uuid[], keys text[], fingerprints bytea[], results text[]
) returns table (append integer, verdict text, last_position bigint, stored_result text)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    head     bigint;
    head_at  timestamptz;
    stamp    timestamptz;
    one      record;
    k        integer;
    found_at bigint;
    failed   text[] := '{}';
    stream   text;
    kept     record;
begin
    -- Whatever the caller's session says: an acknowledged append is durable.
    perform set_config('synchronous_commit', 'on', true);
    perform pg_advisory_xact_lock(4713951028541);
    select e.position, e.recorded_at into head, head_at from events e order by e.position desc limit 1;
    head := coalesce(head, 0);
    stamp := greatest(clock_timestamp(), coalesce(head_at, '-infinity'));
    begin
        insert into events
        select u.aggregate_type, u.aggregate_id, u.sequence, u.event_type, u.event_version, u.payload::json, u.metadata::json,
               head + u.place, u.event_id, u.decided_at, stamp
        from unnest(aggregate_types, aggregate_ids, sequences, event_types, event_versions, payloads, metadatas, event_ids, decided_ats)
             with ordinality as u (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, event_id, decided_at, place);
        if exists (select from unnest(aggregate_types, aggregate_ids, sequences) as u (aggregate_type, aggregate_id, sequence)
                   where u.sequence > 1 and not exists (
                       select from events e where e.aggregate_type = u.aggregate_type and e.aggregate_id = u.aggregate_id
                       and e.sequence = u.sequence - 1)) then
            raise unique_violation;
        end if;
        if cardinality(keys) > 0 then
            insert into idempotency_keys
            select k.account_id, k.key, k.fingerprint, k.result, head + last.place, stamp
            from unnest(key_appends, key_accounts, keys, fingerprints, results) as k (append, account_id, key, fingerprint, result)
            join (select u.append, max(u.place) as place from unnest(appends) with ordinality as u (append, place) group by u.append) last
              using (append);
        end if;
        perform pg_notify('atelier_log', (head + cardinality(appends))::text);
        return query select u.append, 'written'::text, head + max(u.place), null::text
                     from unnest(appends) with ordinality as u (append, place) group by u.append;
        return;
    exception when unique_violation then
        null;
    end;
    for one in select u.append, min(u.place)::integer as first, max(u.place)::integer as last
               from unnest(appends) with ordinality as u (append, place) group by u.append order by u.append loop
        stream := aggregate_types[one.first] || ' ' || aggregate_ids[one.first];
        k := array_position(key_appends, one.append);
        append := one.append; last_position := null; stored_result := null;
        begin
            if stream = any (failed)
               -- What it was decided on must be there: a unique key finds what is too many, not what is missing.
               or sequences[one.first] > 1 and not exists (
                   select from events e where e.aggregate_type = aggregate_types[one.first] and e.aggregate_id = aggregate_ids[one.first]
                   and e.sequence = sequences[one.first] - 1) then
                raise unique_violation;
            end if;
            insert into events
            select u.aggregate_type, u.aggregate_id, u.sequence, u.event_type, u.event_version, u.payload::json, u.metadata::json,
                   head + u.place, u.event_id, u.decided_at, stamp
            from unnest(aggregate_types[one.first:one.last], aggregate_ids[one.first:one.last], sequences[one.first:one.last],
                        event_types[one.first:one.last], event_versions[one.first:one.last], payloads[one.first:one.last],
                        metadatas[one.first:one.last], event_ids[one.first:one.last], decided_ats[one.first:one.last])
                 with ordinality as u (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, event_id, decided_at, place);
            if k is not null then
                insert into idempotency_keys
                values (key_accounts[k], keys[k], fingerprints[k], results[k], head + one.last - one.first + 1, stamp);
            end if;
            head := head + one.last - one.first + 1;
            verdict := 'written'; last_position := head;
        exception when unique_violation then
            select e.position into found_at from events e
            where e.aggregate_type = aggregate_types[one.last] and e.aggregate_id = aggregate_ids[one.last]
              and e.sequence = sequences[one.last] and e.event_id = event_ids[one.last];
            select s.fingerprint = fingerprints[k] as same, s.result, s.position into kept
            from idempotency_keys s where s.account_id = key_accounts[k] and s.key = keys[k];
            if found_at is not null then
                verdict := 'ours'; last_position := found_at;
            elsif kept.same then
                verdict := 'repeat'; last_position := kept.position; stored_result := kept.result;
            elsif not kept.same then
                verdict := 'other_body';
            else
                verdict := 'conflict';
            end if;
            if verdict <> 'ours' then
                failed := failed || stream;
            end if;
        end;
        return next;
    end loop;
    perform pg_notify('atelier_log', head::text);
end $$;

-- The application may read the log and append to it, and nothing else.
revoke all on function append_events from public;
grant execute on function append_events to atelier_app;
grant select on events, log_identity, idempotency_keys to atelier_app;
grant select, insert, update, delete on snapshots to atelier_app;
