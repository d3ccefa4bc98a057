-- Read models in two places: one serves while the other is built beside it, and a takeover is one update of a checkpoint
-- (DESIGN 5). Which place serves is a fact of the reader's own snapshot, so no reader ever sees a table change under it.

create schema read_models_a;
create schema read_models_b;
-- For analysts: the newest version that serves, under a name without a version. Give a role `usage` on the schema, and select by
-- `alter default privileges for role <owner> in schema analytics grant select on tables to <role>`, which outlives a new version.
create schema analytics;

-- place: where the rows of this version are read and followed. serving: false for a version that was never at the head yet; it
-- does not answer. holder: the node that moved it last.
alter table checkpoints
    add column place   text    not null default 'a' check (place in ('a', 'b')),
    add column serving boolean not null default true,
    add column holder  uuid;

-- A build beside the serving rows. A new attempt fences the older one out. building: folds into place. clearing: it has taken
-- over, and place holds the rows that served before.
create sequence rebuild_attempts;
create table rebuilds (
    name       text        not null,
    version    integer     not null,
    attempt    bigint      not null,
    place      text        not null check (place in ('a', 'b')),
    position   bigint      not null,
    state      text        not null check (state in ('building', 'clearing')),
    started_at timestamptz not null,
    primary key (name, version)
);

-- Which node follows what, by the database's clock: a version lives as long as a node of a release that follows it.
create table follower_nodes (
    node    uuid        not null,
    name    text        not null,
    version integer     not null,
    seen_at timestamptz not null,
    primary key (node, name, version)
);

-- Which tables a version of a read model has, and whether analysts are shown them.
create table read_model_tables (
    table_name text    primary key check (table_name ~ '^[a-z_]+_v[0-9]+$'),
    name       text    not null,
    version    integer not null,
    shown      boolean not null default false
);

-- Makes a read model of a table of schema read_models_a: its twin, the view that follows whichever serves, the grants.
-- A migration of a new read model creates its table in read_models_a and calls this.
create function add_read_model(of_name text, of_version integer, of_table text) returns void language plpgsql as $$
begin
    insert into read_model_tables (table_name, name, version) values (of_table, of_name, of_version);
    execute format('create table read_models_b.%1$I (like read_models_a.%1$I including all)', of_table);
    execute format('alter table read_models_a.%1$I set (fillfactor = 80); alter table read_models_b.%1$I set (fillfactor = 80)', of_table);
    execute format('grant select, insert, update, delete on read_models_a.%1$I, read_models_b.%1$I to atelier_app', of_table);
    execute format(
        'create view read_models.%1$I as '
        'select * from read_models_a.%1$I where ''a'' = (select place from checkpoints where name = %2$L and version = %3$s) '
        'union all '
        'select * from read_models_b.%1$I where ''b'' = (select place from checkpoints where name = %2$L and version = %3$s)',
        of_table, of_name, of_version);
    execute format('grant select on read_models.%I to atelier_app', of_table);
end $$;

do $$
declare
    one record;
begin
    for one in select * from (values
        ('Profile', 'profile_v1'), ('Rank', 'rank_v1'), ('Rank', 'rank_jobs_v1'), ('CreditBalance', 'credit_balance_v1'),
        ('TransactionHistory', 'transaction_history_v1'), ('Creations', 'creations_v1'), ('Explore', 'explore_v1'),
        ('Sessions', 'sessions_v1'), ('ApiKeys', 'api_keys_v1')) as known (name, table_name) loop
        execute format('alter table read_models.%I set schema read_models_a', one.table_name);
        perform add_read_model(one.name, 1, one.table_name);
    end loop;
end $$;

-- Shows analysts the newest version that serves; does nothing when they are shown it already.
create function show_analysts() returns integer language plpgsql security definer set search_path = public, pg_temp as $$
declare
    one   record;
    old   text;
    moved integer := 0;
begin
    for one in
        select t.table_name, regexp_replace(t.table_name, '_v[0-9]+$', '') as plain
        from read_model_tables t join checkpoints c using (name, version)
        where c.serving and not t.shown
          and not exists (select from checkpoints n where n.name = t.name and n.version > t.version and n.serving)
        for update of t
    loop
        -- A long query of an analyst holds the view; then it is for the next time.
        perform set_config('lock_timeout', '200ms', true), set_config('client_min_messages', 'warning', true);
        execute format('drop view if exists analytics.%I', one.plain);
        execute format('create view analytics.%I as select * from read_models.%I', one.plain, one.table_name);
        update read_model_tables set shown = (table_name = one.table_name)
        where regexp_replace(table_name, '_v[0-9]+$', '') = one.plain;
        moved := moved + 1;
    end loop;
    return moved;
end $$;

-- Drops what no node follows any more and a newer serving version replaces; says what. A node lives if it was seen in the last minute.
create function prune_followers() returns setof text language plpgsql security definer set search_path = public, pg_temp as $$
declare
    gone record;
    one  record;
begin
    perform set_config('lock_timeout', '2s', true), set_config('client_min_messages', 'warning', true);
    delete from follower_nodes where seen_at < clock_timestamp() - interval '1 minute';
    for gone in
        select c.name, c.version from checkpoints c
        where exists (select from checkpoints n where n.name = c.name and n.version > c.version and n.serving)
          and not exists (select from follower_nodes f where f.name = c.name and f.version = c.version)
        for update
    loop
        for one in select table_name, shown from read_model_tables t where t.name = gone.name and t.version = gone.version loop
            -- What analysts still look at goes once they are shown the next version, unless there is none under this name.
            if one.shown then
                execute format('drop view if exists analytics.%I', regexp_replace(one.table_name, '_v[0-9]+$', ''));
            end if;
            execute format('drop view read_models.%I', one.table_name);
            execute format('drop table read_models_a.%1$I, read_models_b.%1$I', one.table_name);
            delete from read_model_tables where table_name = one.table_name;
            return next one.table_name;
        end loop;
        delete from rebuilds where name = gone.name and version = gone.version;
        delete from checkpoints where name = gone.name and version = gone.version;
        return next format('%s version %s', gone.name, gone.version);
    end loop;
end $$;

revoke all on function add_read_model, show_analysts, prune_followers from public;
grant execute on function show_analysts, prune_followers to atelier_app;
grant usage on schema read_models_a, read_models_b to atelier_app;
grant usage on sequence rebuild_attempts to atelier_app;
grant select, insert, update, delete on rebuilds, follower_nodes to atelier_app;
grant select on read_model_tables to atelier_app;
