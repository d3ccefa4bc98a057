-- An event that a follower cannot decode or fold costs one account in that follower, and nothing else (DESIGN 5).

-- partial: the follower goes on without the accounts that it has in quarantine. A release from before this migration moves
-- checkpoints that are 'running' only, so it leaves these to the nodes that know what to leave out.
alter table checkpoints
    drop constraint checkpoints_state_check,
    add constraint checkpoints_state_check check (state in ('running', 'partial', 'stopped'));

-- What a follower leaves out: an account, or `stream:<type>:<id>` where no account is known. Rows are added, and removed, in the
-- transaction that holds the row of the checkpoint (or of the build, for the place that does not serve), so that which events are
-- left out and how far the follower is are always of one moment.
create table quarantine (
    follower   text        not null,
    version    integer     not null,
    place      text        not null check (place in ('a', 'b')),
    subject    text        not null,
    account_id uuid,
    kind       text        not null check (kind in ('undecodable', 'unfoldable')),
    -- The event that was parked; after a retry that failed, the one it failed at.
    position   bigint      not null,
    event_id   uuid        not null,
    -- Structure only: never a value of the event.
    error      text        not null,
    since      timestamptz not null,
    -- How far the subject's events are folded: a process manager goes on after this position, a read model begins at 0.
    folded_to  bigint      not null,
    -- Which retry may write; a later one fences an earlier one out.
    attempt    bigint      not null default 0,
    primary key (follower, version, place, subject),
    foreign key (follower, version) references checkpoints (name, version) on delete cascade
);
create sequence quarantine_attempts;

-- Which forms of events a live node decodes, as {"<aggregate>.<event>": <highest version>}: an older node leaves to a newer one what
-- only that one can decode, and quarantines what no live node can. A release from before this migration says nothing.
create table node_forms (
    node    uuid        primary key,
    forms   jsonb       not null,
    seen_at timestamptz not null
);

-- Work that an operator gave up, and why: for `atelier work list --dropped`. Ids only, as the work itself.
create table dropped_work (
    id         text        not null,
    lane       text        not null,
    payload    jsonb       not null,
    attempts   integer     not null,
    last_error text,
    reason     text        not null,
    dropped_at timestamptz not null,
    primary key (id, dropped_at)
);

-- Folds keep instants within years of four digits. A release before this one rounded the last ones up to the year 10000, which JSON
-- readers do not take: these rows become what a rebuild would make of them.
update read_models_a.api_keys_v2 set expires_at = '9999-12-31 23:59:59.999999+00' where expires_at > '9999-12-31 23:59:59.999999+00';
update read_models_b.api_keys_v2 set expires_at = '9999-12-31 23:59:59.999999+00' where expires_at > '9999-12-31 23:59:59.999999+00';

grant select, insert, update, delete on quarantine, node_forms to atelier_app;
grant usage on sequence quarantine_attempts to atelier_app;
-- A record: it is added to and read.
grant select, insert on dropped_work to atelier_app;
