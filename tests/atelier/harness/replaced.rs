//! What operators and failovers do to a database under running nodes: it is another one afterwards, and shorter.

use std::path::Path;
use std::process::Command;

use atelier_server::embedded_postgres::find_programs;
use sqlx::{Connection, Executor, PgConnection};

use super::TestDatabase;

impl TestDatabase {
    /// Its name.
    pub fn name(&self) -> String {
        let (_, path) = self.url.rsplit_once('/').expect("a URL");
        path.split('?').next().expect("a name").to_owned()
    }

    async fn elsewhere(&self) -> PgConnection {
        let url = self.superuser_url.replace(&format!("/{}?", self.name()), "/postgres?");
        PgConnection::connect(&url).await.expect("the superuser connects")
    }

    /// Does something while nobody is connected to it, nor can be.
    async fn alone(&self, statements: &[String]) {
        let (name, mut superuser) = (self.name(), self.elsewhere().await);
        let close = format!("alter database {name} allow_connections false");
        superuser.execute(close.as_str()).await.expect("the superuser may");
        loop {
            let end = "select count(*) from (select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1) ended";
            let ended: i64 =
                sqlx::query_scalar(end).bind(&name).fetch_one(&mut superuser).await.expect("the superuser may");
            if ended == 0 {
                break;
            }
        }
        for statement in statements {
            superuser.execute(statement.as_str()).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let open = format!("alter database {name} allow_connections true");
        superuser.execute(open.as_str()).await.expect("the superuser may");
    }

    /// Copies it file by file, as a backup of the volume does: the copy has the same identity. Connections are ended.
    pub async fn copy_volume(&self) -> String {
        let (name, copy) = (self.name(), format!("{}_copy", self.name()));
        self.alone(&[format!("create database {copy} template {name}")]).await;
        copy
    }

    /// Puts the copy in its place: what has happened since is gone. Connections are ended.
    pub async fn put_back(&self, copy: &str) {
        let name = self.name();
        let put =
            [format!("alter database {name} rename to {name}_lost"), format!("alter database {copy} rename to {name}")];
        self.alone(&put).await;
    }

    /// `pg_dump` into a file.
    pub fn dump(&self, file: &Path) {
        self.program("pg_dump", &["--format=custom", "--file"], file);
    }

    /// `pg_restore` into a fresh database that then has its name. Connections are ended.
    pub async fn restore_anew(&self, file: &Path) {
        let name = self.name();
        let fresh = [
            format!("alter database {name} rename to {name}_lost"),
            format!("create database {name} template template0"),
        ];
        self.alone(&fresh).await;
        self.program("pg_restore", &["--dbname", &self.superuser_url], file);
    }

    /// `pg_restore --clean` into the database itself, under whatever is connected to it.
    pub fn restore_over(&self, file: &Path) {
        self.program(
            "pg_restore",
            &["--clean", "--if-exists", "--single-transaction", "--dbname", &self.superuser_url],
            file,
        );
    }

    fn program(&self, program: &str, options: &[&str], file: &Path) {
        let mut command = Command::new(find_programs().expect("PostgreSQL is installed").join(program));
        command.args(options).arg(file);
        if program == "pg_dump" {
            command.arg(&self.superuser_url);
        }
        let ended = command.output().expect("the program starts");
        assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    /// Replaces the log itself, by a table without what is behind a position: in a transaction of the superuser that holds the
    /// checkpoints, so that followers wait with what they have read. `meanwhile` runs before the log is replaced.
    pub async fn replace_log(&self, keep: i64, meanwhile: impl AsyncFnOnce(i32)) {
        let mut superuser = PgConnection::connect(&self.superuser_url).await.expect("the superuser connects");
        superuser.execute("begin; lock table checkpoints in access exclusive mode").await.expect("it may lock");
        let own: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut superuser).await.expect("a number");
        meanwhile(own).await;
        let replace = format!(
            "alter table events rename to events_lost; create table events (like events_lost including all); \
             insert into events select * from events_lost where position <= {keep}; \
             alter table events owner to atelier_owner; grant select on events to atelier_app; \
             delete from idempotency_keys where position > {keep}; \
             create trigger events_append_only before update or delete or truncate on events for each statement execute function refuse_change(); \
             commit"
        );
        sqlx::raw_sql(&replace).execute(&mut superuser).await.expect("the superuser may");
    }
}
