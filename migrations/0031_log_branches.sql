-- Branches of the log: a log that comes back shorter, from a replica that was behind, a dump or an older volume, goes on as another
-- branch, and what was said of the one before is not taken for this one's.
--
-- A branch is known by what it is (a random id: a counter that fell back would give a number twice), and found to be another one by
-- where it is: the cluster's system identifier, its timeline, and the oid of the table, which a dump that is restored changes. A
-- volume that was put back changes none of these. So nodes also compare the events that they have seen with those that are there.
create table log_branches (
    branch            uuid        primary key,
    ordinal           bigint      not null unique check (ordinal > 0),
    system_identifier text        not null,
    timeline          text        not null,
    events_oid        oid         not null,
    -- Positions from here on are this branch's; those before it are those of the branches before, as far as they went.
    first_position    bigint      not null check (first_position > 0),
    opened_at         timestamptz not null,
    -- The greatest position of an earlier branch that a node had seen and that is not there any more; null when none is lost.
    lost_through      bigint,
    acknowledged_at   timestamptz,
    acknowledged_by   text        check (length(acknowledged_by) <= 200),
    check (lost_through >= first_position)
);
grant select on log_branches to atelier_app;

-- Where the log is now. Not pg_control_checkpoint(): for seconds after a promotion that says the old timeline.
create function log_place(out system_identifier text, out timeline text, out events_oid oid) language plpgsql stable as $$
begin
    if pg_is_in_recovery() then
        raise exception 'a server in recovery takes no appends' using errcode = 'read_only_sql_transaction';
    end if;
    system_identifier := (select c.system_identifier::text from pg_control_system() c);
    timeline := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
    events_oid := to_regclass('public.events');
end $$;

insert into log_branches (branch, ordinal, system_identifier, timeline, events_oid, first_position, opened_at)
select gen_random_uuid(), 1, p.system_identifier, p.timeline, p.events_oid, 1, clock_timestamp() from log_place() p;

-- The branch that the log is on; null when it is at another place than its newest branch, in recovery, or does not have the event
-- that the asker knows: then open_log_branch is called. Asked in the statement or transaction that reads, so it is about what is read.
create function log_branch(known_position bigint default null, known_event uuid default null) returns uuid language plpgsql stable as $$
declare
    newest public.log_branches;
begin
    if pg_is_in_recovery() then
        return null;
    end if;
    if known_position is not null and not exists (
        select from public.events e where e.position = known_position and e.event_id = known_event) then
        return null;
    end if;
    select * into newest from public.log_branches b order by b.ordinal desc limit 1;
    if newest.events_oid = to_regclass('public.events')
       and newest.timeline = left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
       and newest.system_identifier = (select c.system_identifier::text from pg_control_system() c) then
        return newest.branch;
    end if;
    return null;
end $$;

-- Finds the branch that the log is on, and opens one when it is another than the caller knows. The caller brings the branches that it
-- has worked on and some of the events that it has seen, with their positions, in rising order. Answers with the branch, all branches
-- in their order, the head, and the greatest position up to which what the caller knows is there (kept; null when all of it is).
--   at another place, nothing known is missing     the branch begins behind the head: nothing is lost
--   something known is missing                     it begins behind the last known event that is there
--   the same, and a branch that the caller does not know was opened by another node: that branch is made to begin there if it began
--   later, and its loss is raised. Too early is safe: positions are then called unknown that are not.
-- Idempotent, and any number of nodes may call it at once: the lock, taken when something differs, is that of appends.
create function open_log_branch(known_branches uuid[], known_positions bigint[], known_events uuid[])
returns table (branch uuid, branches uuid[], head bigint, kept bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    here        record;
    newest      log_branches;
    shared      bigint;
    unknown     bigint;
    least_gone  bigint;
    most_gone   bigint;
    last_there  bigint;
begin
    if cardinality(known_positions) <> cardinality(known_events) or cardinality(known_positions) > 10000 or cardinality(known_branches) > 1000 then
        raise exception 'too much, or not a pair each' using errcode = 'invalid_parameter_value';
    end if;
    -- As a rule all is as the caller knows it, and nobody need wait for appends.
    branch := log_branch();
    if branch is not null and not exists (
        select from unnest(known_positions, known_events) as k (position, event_id)
        where not exists (select from events e where e.position = k.position and e.event_id = k.event_id)) then
        branches := array(select b.branch from log_branches b
                          where b.ordinal <= (select o.ordinal from log_branches o where o.branch = open_log_branch.branch) order by b.ordinal);
        head := coalesce((select max(e.position) from events e), 0);
        return next;
        return;
    end if;
    perform pg_advisory_xact_lock(4713951028541);
    select * into here from log_place();
    select * into newest from log_branches b order by b.ordinal desc limit 1;
    -- pg_restore gives the application its rights last. Before that, rows or whole tables may not be there yet.
    if newest.branch is null or here.events_oid is null or not has_table_privilege('atelier_app', here.events_oid, 'select') then
        raise exception 'the log is being restored' using errcode = 'cannot_connect_now';
    end if;
    head := coalesce((select max(e.position) from events e), 0);
    select min(k.position), max(k.position) into least_gone, most_gone
    from unnest(known_positions, known_events) as k (position, event_id)
    where not exists (select from events e where e.position = k.position and e.event_id = k.event_id);
    if least_gone is not null then
        kept := coalesce((select max(k.position) from unnest(known_positions) as k (position) where k.position < least_gone), 0);
        -- The branches that were opened since the last one that the caller has worked on; the first one of all is nobody's loss.
        select max(b.ordinal) into shared from log_branches b where b.branch = any (known_branches);
        select min(b.ordinal) into unknown from log_branches b
        where b.ordinal > coalesce(shared, (select min(f.ordinal) from log_branches f));
        if unknown is not null then
            update log_branches b set
                first_position = least(b.first_position, kept + 1),
                lost_through = greatest(b.lost_through, most_gone),
                -- Who has acknowledged less has not acknowledged this.
                acknowledged_at = case when most_gone > coalesce(b.lost_through, 0) then null else b.acknowledged_at end,
                acknowledged_by = case when most_gone > coalesce(b.lost_through, 0) then null else b.acknowledged_by end
            where b.ordinal = unknown
              and (b.first_position > kept + 1 or most_gone > coalesce(b.lost_through, 0));
        end if;
    end if;
    if least_gone is not null and unknown is null
       or (newest.system_identifier, newest.timeline, newest.events_oid) is distinct from
          (here.system_identifier, here.timeline, here.events_oid) then
        insert into log_branches (branch, ordinal, system_identifier, timeline, events_oid, first_position, opened_at, lost_through)
        values (gen_random_uuid(), newest.ordinal + 1, here.system_identifier, here.timeline, here.events_oid,
                case when least_gone is not null and unknown is null then kept + 1 else head + 1 end, clock_timestamp(),
                case when least_gone is not null and unknown is null then most_gone end)
        returning * into newest;
    end if;
    branch := newest.branch;
    branches := array(select b.branch from log_branches b order by b.ordinal);
    return next;
end $$;
revoke all on function open_log_branch from public;
grant execute on function open_log_branch to atelier_app;

-- Says that an operator has seen a branch and its loss. False when there is no such branch, or it was acknowledged before.
create function acknowledge_log_branch(seen uuid, seen_by text) returns boolean
language sql volatile security definer
set search_path = public, pg_temp
as $$
    with acknowledged as (
        update log_branches set acknowledged_at = clock_timestamp(), acknowledged_by = seen_by
        where branch = seen and acknowledged_at is null returning branch)
    select exists (select from acknowledged)
$$;
revoke all on function acknowledge_log_branch from public;
grant execute on function acknowledge_log_branch to atelier_app;

-- The append function anew, with what the caller knows of the log: the branch, and the last event that it has seen. When the log is
-- another one, nothing is written (AT001). Whoever names no branch, a node of the release before, finds a branch opened by where the
-- log is; only an older volume is not noticed by it.
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
    key_appends integer[], key_accounts uuid[], keys text[], fingerprints bytea[], results text[],
    expected_branch uuid default null, known_position bigint default null, known_event uuid default null
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
    if expected_branch is null then
        -- A node of the release before: what can be seen without its knowledge is.
        if log_branch() is null then
            perform from open_log_branch('{}', '{}', '{}');
        end if;
    elsif (select b.branch = expected_branch and b.events_oid = to_regclass('public.events')
           from log_branches b order by b.ordinal desc limit 1) is not true
          or known_position is not null and not exists (
              select from events e where e.position = known_position and e.event_id = known_event) then
        raise exception 'this is not the log that the batch was decided on' using errcode = 'AT001';
    end if;
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
