-- The append function anew: commands are decided on appends that are still on their way (DESIGN 3, command path), and a
-- predecessor that is known to be durable is not looked for again. Snapshots say what they are a snapshot of.

drop function append_events;

-- Appends a batch; one verdict per append:
--   written    its events have the positions up to last_position
--   ours       an earlier, unanswered call of the same append had already written it
--   repeat     its idempotency key was used with the same fingerprint; stored_result is the first answer
--   other_body its idempotency key was used with another fingerprint
--   conflict   another append took its place in the stream, what it was decided on is not there, or an append beneath it in
--              this batch failed
-- When every append was written, one row says so: append null, verdict all_written, last_position the last of the batch; the
-- positions of the others follow from their order and sizes.
-- The lock comes first; only then, in fresh statement snapshots, is the last position read. So positions are dense and
-- in commit order, whatever the number of writers (property 1). The common case is two set-based inserts; only when a
-- unique key objects, or what an append was decided on is missing, is the batch gone through append by append.
-- Whose predecessor had been read from the log, or acknowledged, need not name it: it is there for ever. An append decided on
-- one that was still on its way in an earlier batch names its event id (stand_appends, stands_on), and fails without it: an
-- event of another node in that place is not what it was decided on. Looking for every predecessor cost 30 us a batch and 1 us
-- an append under the lock.
create function append_events(
    appends integer[], aggregate_types text[], aggregate_ids text[], sequences bigint[],
    event_types text[], event_versions text[], payloads text[], metadatas text[],
    event_ids uuid[], decided_ats timestamptz[], stand_appends integer[], stands_on uuid[],
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
    s        integer;
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
        if cardinality(stand_appends) > 0 and exists (
            select from unnest(stand_appends, stands_on) as s (append, event_id)
            join lateral (select min(u.place) as first from unnest(appends) with ordinality as u (append, place) where u.append = s.append) f on true
            where not exists (select from events e where e.aggregate_type = aggregate_types[f.first] and e.aggregate_id = aggregate_ids[f.first]
                              and e.sequence = sequences[f.first] - 1 and e.event_id = s.event_id)) then
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
        append := null; verdict := 'all_written'; last_position := head + cardinality(appends); stored_result := null;
        return next;
        return;
    exception when unique_violation then
        null;
    end;
    for one in select u.append, min(u.place)::integer as first, max(u.place)::integer as last
               from unnest(appends) with ordinality as u (append, place) group by u.append order by u.append loop
        stream := aggregate_types[one.first] || ' ' || aggregate_ids[one.first];
        k := array_position(key_appends, one.append);
        s := array_position(stand_appends, one.append);
        append := one.append; last_position := null; stored_result := null;
        begin
            if stream = any (failed)
               or s is not null and not exists (
                   select from events e where e.aggregate_type = aggregate_types[one.first] and e.aggregate_id = aggregate_ids[one.first]
                   and e.sequence = sequences[one.first] - 1 and e.event_id = stands_on[s]) then
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
            select i.fingerprint = fingerprints[k] as same, i.result, i.position into kept
            from idempotency_keys i where i.account_id = key_accounts[k] and i.key = keys[k];
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

revoke all on function append_events from public;
grant execute on function append_events to atelier_app;

-- The form of the state a snapshot holds, and the event it ends with: one of another form, or that the log does not bear out
-- (after a restore), is not used.
alter table snapshots add column form text not null default '', add column last_event_id uuid;
