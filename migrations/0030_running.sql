-- What a node looks at before it serves: which release the schema is of, and whether its keys folder is this database's.

grant select on _sqlx_migrations to atelier_app;

-- A keyed hash for each version of the server's keys that a node has served this database with. It says nothing of the key, and a
-- folder with other keys cannot make it.
create table key_fingerprints (
    name        text        not null check (name in ('index', 'credentials')),
    version     integer     not null check (version > 0),
    fingerprint bytea       not null check (length(fingerprint) = 32),
    first_seen  timestamptz not null default now(),
    primary key (name, version)
);
grant select, insert on key_fingerprints to atelier_app;

-- No decision of a node whose clock is ahead: one second is what nodes may differ by. Resends are older than their first try, which is
-- fine, and what is there already is found before this looks. Beneath every function that appends, so that each of them keeps it.
-- Compared with recorded_at, which is this clock or the log's last instant, whichever is later: a database whose clock was set back, or
-- whose log was restored on a machine with a wrong clock, must not refuse what is decided on streams that are ahead of it.
create function refuse_future() returns trigger language plpgsql as $$
begin
    if exists (select from added where decided_at > recorded_at + interval '1 second') then
        raise exception 'decided more than a second ahead of the database'
            using errcode = 'check_violation', constraint = 'events_decided_in_time';
    end if;
    return null;
end $$;
create trigger events_decided_in_time after insert on events referencing new table as added
    for each statement execute function refuse_future();
