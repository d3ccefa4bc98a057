-- What open sockets live on: a word when a session ends, and a place in the log for each notice.

-- Whichever statement of whichever release takes a session's right away, its sockets on every node hear of it with the commit. The id
-- names a session that is over. Expiry makes no statement: each node looks after that itself.
create function credentials.tell_session_ended() returns trigger language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('atelier_sessions', old.session_id::text);
    return null;
end $$;
create trigger tell_session_ended after update of state, digest on credentials.sessions for each row
    when (old.state = 'active' and (new.state <> 'active' or new.digest <> old.digest))
    execute function credentials.tell_session_ended();

-- position: where the log's head was once the notice could be seen; null until a second statement has written it. So whoever read at a
-- position and did not see the notice finds it by "null, or not before that position" (subscriptions resume by it).
alter table notices add column position bigint;
update notices set position = (select coalesce(max(position), 0) from events);
