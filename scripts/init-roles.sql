-- The two roles and the database of atelier, for psql 15 or newer, run once by a superuser: by compose.yaml when its PostgreSQL
-- starts on an empty volume, or by hand: psql -f scripts/init-roles.sql, with both passwords in the environment.
\set ON_ERROR_STOP on
\getenv owner_password ATELIER_OWNER_PASSWORD
\getenv app_password ATELIER_APP_PASSWORD
\if :{?owner_password} \else
    do $$ begin raise exception 'ATELIER_OWNER_PASSWORD is not set'; end $$;
\endif
\if :{?app_password} \else
    do $$ begin raise exception 'ATELIER_APP_PASSWORD is not set'; end $$;
\endif

-- A statement that fails is logged with its text, and here the text holds a password.
set log_min_error_statement = panic;
set log_statement = none;

-- The owner migrates; the application may read the log and append to it, and cannot change its past (DESIGN 3.5).
create role atelier_owner login password :'owner_password';
create role atelier_app login password :'app_password';
create database atelier owner atelier_owner;
