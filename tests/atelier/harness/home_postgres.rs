//! The private PostgreSQL of a home: found, asked, killed, frozen.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use atelier_server::embedded_postgres::{APPLICATION_ROLE, DATABASE};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use super::process::{Home, signal, until};

impl Home {
    /// Where PostgreSQL's files are: under the data folder, or where its pointer says.
    pub fn postgres(&self) -> PathBuf {
        let asked = self.data().join("postgres");
        fs::read_to_string(asked.join("location")).map_or(asked, |text| PathBuf::from(text.trim_end_matches('\n')))
    }

    fn postmaster_file(&self) -> Vec<String> {
        let text = fs::read_to_string(self.postgres().join("cluster/postmaster.pid")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The process id of this data's PostgreSQL; none when it was stopped in order.
    pub fn postmaster(&self) -> Option<u32> {
        self.postmaster_file().first()?.trim().parse().ok()
    }

    /// The folder of its socket.
    pub fn socket(&self) -> Option<PathBuf> {
        Some(PathBuf::from(self.postmaster_file().get(4)?))
    }

    /// A connection as the superuser, once PostgreSQL is up.
    pub async fn superuser(&self) -> Option<PgConnection> {
        let (socket, port) = (self.socket()?, self.postmaster_file().get(3)?.trim().parse().ok()?);
        let options = PgConnectOptions::new_without_pgpass().socket(socket).port(port).username("postgres");
        options.database(DATABASE).connect().await.ok()
    }

    /// The application's URL, once PostgreSQL is up.
    pub fn application_url(&self) -> Option<String> {
        let (socket, file) = (self.socket()?, self.postmaster_file());
        let host = socket.to_str()?.replace('/', "%2F");
        Some(format!("postgres://{APPLICATION_ROLE}@{host}:{}/{DATABASE}?sslmode=disable", file.get(3)?.trim()))
    }

    /// Kills PostgreSQL whole, all its processes at the same moment, as a power cut would: when `moment` has come.
    pub async fn kill_postgres(&self, moment: impl Future<Output = ()>) {
        let running = self.postgres_processes();
        assert!(!running.is_empty(), "it is there to be killed");
        moment.await;
        // One that has ended by itself in between is no failure.
        Command::new("kill")
            .arg("-KILL")
            .args(&running)
            .stderr(Stdio::null())
            .status()
            .expect("kill is on every machine");
        // Its node may have started another one already.
        until("the end of PostgreSQL", async || {
            let left = self.postgres_processes();
            (!left.iter().any(|process| running.contains(process))).then_some(())
        })
        .await;
    }

    /// Freezes PostgreSQL whole: it takes connections, and answers nothing.
    pub fn freeze_postgres(&self) {
        signal("STOP", &self.postgres_processes());
    }

    /// Lets it go on.
    pub fn thaw_postgres(&self) {
        signal("CONT", &self.postgres_processes());
    }

    /// The postmaster of this data, if it lives, and what it started.
    fn postgres_processes(&self) -> Vec<String> {
        let Some(postmaster) = self.postmaster() else { return Vec::new() };
        let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat=,args="]).output();
        let listed = String::from_utf8_lossy(&listed.expect("ps is on every machine").stdout).into_owned();
        let (postmaster, data) = (postmaster.to_string(), self.postgres().join("cluster").display().to_string());
        let processes: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        // The id of a dead one may be somebody else's by now; a dead one that nobody collected is dead.
        let ours = |process: &Vec<&str>| match process[..] {
            [pid, _, stat, ..] if stat.starts_with('Z') || pid == "0" => false,
            [pid, ..] if pid == postmaster => process.iter().any(|argument| *argument == data),
            _ => false,
        };
        if !processes.iter().any(ours) {
            return Vec::new();
        }
        let started = |process: &&Vec<&str>| process[0] == postmaster || process[1] == postmaster;
        processes.iter().filter(started).map(|process| process[0].to_owned()).collect()
    }
}
