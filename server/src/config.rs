//! Configuration: flags and environment, with defaults that work on a newcomer's machine.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::api_config::ApiConfig;

/// What every command needs.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Where keys, media, mails and the private PostgreSQL live.
    #[arg(long, env = "ATELIER_DATA", default_value = "data", global = true)]
    pub data: PathBuf,

    /// The application's database; without it a private PostgreSQL under the data folder is used.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<String>,

    /// The same database as its owner, for migrations; the application's URL when not given.
    #[arg(long, env = "ATELIER_OWNER_URL", hide_env_values = true, global = true)]
    pub owner_url: Option<String>,

    /// The most connections of this node's pool.
    #[arg(long, env = "ATELIER_POOL", default_value_t = 24, global = true)]
    pub pool: u32,
}

/// What `serve` needs beside.
#[derive(Debug, Clone, Args)]
pub struct ServeConfig {
    /// Where to listen.
    #[arg(long, env = "ATELIER_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// How clients reach this server; links in mails and answers begin with it. `http://<listen>` when not given.
    #[arg(long, env = "ATELIER_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Fill in the demo studio on the first run, and print how to sign in.
    #[arg(long, env = "ATELIER_DEMO")]
    pub demo: bool,

    /// Development pages (GraphiQL, mailbox) and introspection. On for a loopback address, off otherwise.
    #[arg(long, env = "ATELIER_DEVELOPMENT")]
    pub development: Option<bool>,

    /// What API keys may do.
    #[command(flatten)]
    pub api: ApiConfig,
}

impl ServeConfig {
    /// How clients reach this server, without a trailing slash.
    #[must_use]
    pub fn public_url(&self, bound: SocketAddr) -> String {
        let url = self.public_url.clone().unwrap_or_else(|| format!("http://{bound}"));
        url.trim_end_matches('/').to_owned()
    }

    /// Whether development pages are on.
    #[must_use]
    pub fn development(&self) -> bool {
        self.development.unwrap_or_else(|| self.listen.ip().is_loopback() && self.public_url.is_none())
    }
}
