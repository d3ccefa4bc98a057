-- Process managers: their state, and the work they ask for, in the transaction of their checkpoint (DESIGN 4).

create table process_states (
    manager  text not null,
    instance text not null,
    state    jsonb not null,
    primary key (manager, instance)
);

-- Commands, timers and outbox messages, delivered at least once and deduplicated by id = manager:event:n. A timer is a row
-- that is due later. Payloads hold ids only, nothing personal.
create table process_work (
    id           text        primary key,
    lane         text        not null check (lane in ('command', 'timer', 'message', 'render')),
    payload      jsonb       not null,
    due_at       timestamptz not null,
    attempts     integer     not null default 0,
    leased_until timestamptz,
    last_error   text
);
create index process_work_due on process_work (lane, due_at);

grant select, insert, update, delete on process_states, process_work to atelier_app;
