//! What `doctor` finds about the application's role: it reads the log and appends to it, and can do no more.

use sqlx::PgPool;

/// What a role may do that this one may not, and how PostgreSQL is asked.
const TOO_MUCH: &str = "\
    select r.rolname, \
        array_remove(array[ \
            case when r.rolsuper then 'is a superuser' end, \
            case when r.rolcreaterole then 'may make roles' end, \
            case when r.rolcreatedb then 'may make databases' end, \
            case when r.rolbypassrls then 'passes row security by' end, \
            case when r.rolreplication then 'may replicate' end, \
            case when not r.rolsuper and pg_has_role(r.oid, d.datdba, 'member') then 'owns the database' end, \
            case when not r.rolsuper and exists (select from pg_class c where c.oid = to_regclass('events') and pg_has_role(r.oid, c.relowner, 'member')) \
                then 'owns the log' end, \
            case when not r.rolsuper and to_regclass('events') is not null and has_table_privilege(r.oid, to_regclass('events'), \
                'insert, update, delete, truncate, trigger') then 'may change the log' end, \
            case when not r.rolsuper and has_schema_privilege(r.oid, 'public', 'create') then 'may make tables' end \
        ], null)::text[] \
    from pg_roles r, pg_database d where r.rolname = current_user and d.datname = current_database()";

/// Whether the role is as weak as it should be.
pub(super) async fn role(pool: &PgPool) -> Result<String, String> {
    let found: Result<(String, Vec<String>), _> = sqlx::query_as(TOO_MUCH).fetch_one(pool).await;
    match found {
        Ok((name, too_much)) if too_much.is_empty() => Ok(format!("{name} may append to the log and not change it")),
        Ok((name, too_much)) => Err(format!(
            "{name} {}: name the application's role in DATABASE_URL, atelier_app as scripts/init-roles.sql makes it",
            too_much.join(", ")
        )),
        Err(error) => Err(error.to_string()),
    }
}
