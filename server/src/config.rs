//! Configuration: flags and environment, with defaults that work on a newcomer's machine.

mod google;
mod origin;
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;

use atelier_commands::write_side::AccessSettings;
use atelier_commands::{AppAddress, ReturnAddresses};
use atelier_gateways::{InvalidSmtp, Smtp};
use chrono::TimeDelta;
use clap::Args;
use ipnet::IpNet;

use crate::api_config::ApiConfig;
pub use google::{GoogleConfig, Unprinted};
pub use origin::origin;

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

    /// The mail server: `smtps://user:password@host`, or `smtp://...`, of which STARTTLS is required unless it is on this machine or
    /// the URL ends in `?tls=none`. Without it mails stay in the data folder, and the mailbox page shows them.
    #[arg(long, env = "ATELIER_SMTP_URL", hide_env_values = true, global = true)]
    pub smtp_url: Option<String>,

    /// Who mails come from: `Name <address>`.
    #[arg(long, env = "ATELIER_MAIL_FROM", default_value = "atelier <no-reply@localhost>", global = true)]
    pub mail_from: String,

    /// The most connections of this node's pool, at least 12: half of them may be in snapshots, and five in locks, while others go on.
    #[arg(long, env = "ATELIER_POOL", default_value_t = 24, value_parser = clap::value_parser!(u32).range(12..), global = true)]
    pub pool: u32,

    /// MiB that must be free on each disk of the node: with less, `/health/ready` and `doctor` say that it is full.
    #[arg(long, env = "ATELIER_DISK_RESERVE", default_value_t = 64, global = true)]
    pub disk_reserve: u64,
}

impl Config {
    /// The bytes that must be free on each disk.
    #[must_use]
    pub const fn disk_reserve(&self) -> u64 {
        self.disk_reserve.saturating_mul(1 << 20)
    }

    /// The mail server, if mails leave this machine.
    ///
    /// # Errors
    /// When its settings cannot be used.
    pub fn smtp(&self) -> Result<Option<Smtp>, InvalidSmtp> {
        self.smtp_url.as_deref().map(|url| Smtp::open(url, &self.mail_from)).transpose()
    }
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

    /// Where operators read `/metrics` and the details of `/health/ready`, when development pages are off; 127.0.0.1:9464 when not given.
    /// In development they are on the clients' address, and here only if asked for.
    #[arg(long, env = "ATELIER_OPERATIONS_LISTEN")]
    pub operations_listen: Option<SocketAddr>,

    /// The most connections of clients at once; as many as the descriptor limit leaves room for when not given, and never more.
    #[arg(long, env = "ATELIER_CONNECTIONS")]
    pub connections: Option<usize>,

    /// Who gets in, and how.
    #[command(flatten)]
    pub access: AccessConfig,

    /// What API keys may do.
    #[command(flatten)]
    pub api: ApiConfig,
}

/// What a deployment says about access.
#[derive(Debug, Clone, Args)]
pub struct AccessConfig {
    /// The frontend that has the pages `/verify-email` and `/reset-password` for the links of mails; this server's own when not given.
    #[arg(long, env = "ATELIER_FRONTEND_URL", value_parser = origin::address)]
    pub frontend_url: Option<String>,

    /// The origins whose pages may call this server and read its answers, with cookies (CORS, sockets), beside its own and the
    /// frontend's: `https://app.example.com`, as a list.
    #[arg(long, env = "ATELIER_ORIGINS", value_delimiter = ',', value_parser = origin::origin)]
    pub origins: Vec<String>,

    /// Addresses of apps that a browser may be sent back to after signing in with Google, beside pages of the frontend's and the listed
    /// origins: `com.example.app:/callback`, as a list.
    #[arg(long, env = "ATELIER_APP_REDIRECTS", value_delimiter = ',', value_parser = AppAddress::parse)]
    pub app_redirects: Vec<AppAddress>,

    /// Where people reach support: a page, or `mailto:help@example.com`. It stands in every mail, beside the address in the settings, and where an
    /// account is deleted; without it nobody is sent anywhere.
    #[arg(long, env = "ATELIER_SUPPORT_URL", value_parser = support::address)]
    pub support_url: Option<String>,

    /// The networks of the proxies in front, as a list of CIDRs: only their `X-Forwarded-For` is believed.
    #[arg(long, env = "ATELIER_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,

    /// A city or country file in MaxMind's format, for the coarse place of sessions; without it none is shown.
    #[arg(long, env = "ATELIER_GEOIP")]
    pub geoip: Option<PathBuf>,

    /// The longest a session lasts, used or not, in days.
    #[arg(long, env = "ATELIER_SESSION_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub session_days: u16,

    /// Whether passwords need a number and a symbol; their length and the common ones are checked either way.
    #[arg(long, env = "ATELIER_PASSWORD_COMPOSITION", default_value_t = true, action = clap::ArgAction::Set)]
    pub password_composition: bool,

    /// Google's sign-in.
    #[command(flatten)]
    pub google: GoogleConfig,
}

impl Default for AccessConfig {
    fn default() -> Self {
        let (frontend_url, origins, trusted_proxies, geoip) = (None, Vec::new(), Vec::new(), None);
        Self {
            frontend_url,
            origins,
            app_redirects: Vec::new(),
            support_url: None,
            trusted_proxies,
            geoip,
            session_days: 90,
            password_composition: true,
            google: GoogleConfig::default(),
        }
    }
}

impl AccessConfig {
    /// The same, as the write side needs it.
    #[must_use]
    pub fn settings(&self) -> AccessSettings {
        AccessSettings {
            session_life: TimeDelta::days(self.session_days.into()),
            password_composition: self.password_composition,
            frontend_url: self.frontend_url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
            return_addresses: self.return_addresses(),
            support_url: self.support_url.clone().filter(|url| !url.is_empty()),
        }
    }
}

impl AccessConfig {
    /// Where a browser may be sent back to: pages of the frontend's origin and of the listed ones, and the listed apps.
    fn return_addresses(&self) -> ReturnAddresses {
        let pages = self.frontend_url.iter().chain(&self.origins).filter_map(|url| origin(url).ok());
        let pages = pages.filter(|origin| !origin.is_empty());
        ReturnAddresses::new(pages.collect(), self.app_redirects.clone())
    }
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
