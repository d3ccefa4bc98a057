//! A link to PostgreSQL that can lose one answer: the server has committed, and the client never hears of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// How the server ends an answer outside a transaction: ReadyForQuery, idle. It comes after the commit.
const ANSWERED: [u8; 6] = *b"Z\0\0\0\x05I";

/// The link. It ends with the test's runtime.
pub struct LossyLink {
    /// The URL by which the database is reached through the link.
    pub url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many answers until one is lost, that one counted; 0 when none will be.
    until_loss: AtomicUsize,
    lost: AtomicUsize,
}

impl LossyLink {
    /// A link to the database of this URL.
    pub async fn to(url: &str) -> Self {
        let config: Config = url.parse().expect("a good URL");
        let (Some(Host::Unix(folder)), Some(port)) = (config.get_hosts().first(), config.get_ports().first()) else {
            panic!("the tests' server listens on a socket in a folder")
        };
        let socket = folder.join(format!(".s.PGSQL.{port}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (user, database) = (config.get_user().expect("a user"), config.get_dbname().expect("a database"));
        let link =
            Self { url: format!("postgres://{user}@{address}/{database}?sslmode=disable"), state: Arc::default() };
        tokio::spawn(accept(listener, socket, link.state.clone()));
        link
    }

    /// Loses the nth answer from now, and the connection with it. The client must be connected.
    pub fn lose_answer(&self, nth: usize) {
        self.state.until_loss.store(nth, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = UnixStream::connect(&socket).await.expect("the server runs");
        tokio::spawn(carry(client, server, state.clone()));
    }
}

async fn carry(mut client: TcpStream, mut server: UnixStream, state: Arc<State>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        let mut buffer = [0; 4096];
        let mut withheld = Vec::new();
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            let until_loss = state.until_loss.load(Ordering::SeqCst);
            withheld.extend_from_slice(&buffer[..length]);
            let ended = withheld.ends_with(&ANSWERED);
            if ended && until_loss > 0 {
                state.until_loss.store(until_loss - 1, Ordering::SeqCst);
            }
            if until_loss != 1 {
                if to_client.write_all(&std::mem::take(&mut withheld)).await.is_err() {
                    return;
                }
            } else if ended {
                state.lost.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = answers => {}
    }
}
