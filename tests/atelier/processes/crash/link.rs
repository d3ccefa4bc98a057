//! The process's link to PostgreSQL: every statement that changes something is a step before it is sent and a step before its answer
//! is given; a dead process sends nothing and hears nothing, and what the server was already told, it does.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::statements::{Named, Statements};
use super::steps::{Side, Steps};

/// The link; dropped, it is cut.
pub struct Link {
    /// The URL by which the process reaches its database.
    pub url: String,
    _carriers: JoinSet<()>,
}

impl Link {
    /// A link to the database of this URL.
    pub async fn to(url: &str, steps: Arc<Steps>) -> Self {
        let config: Config = url.parse().expect("a good URL");
        let (Some(Host::Unix(folder)), Some(port)) = (config.get_hosts().first(), config.get_ports().first()) else {
            panic!("the tests' server listens on a socket in a folder")
        };
        let socket = folder.join(format!(".s.PGSQL.{port}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (user, database) = (config.get_user().expect("a user"), config.get_dbname().expect("a database"));
        let mut carriers = JoinSet::new();
        carriers.spawn(accept(listener, socket, steps));
        Self { url: format!("postgres://{user}@{address}/{database}?sslmode=disable"), _carriers: carriers }
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, steps: Arc<Steps>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        client.set_nodelay(true).expect("an option of TCP");
        let server = UnixStream::connect(&socket).await.expect("the server runs");
        connections.spawn(carry(client, server, steps.clone()));
    }
}

/// Bytes that make up whole messages, as they arrive.
#[derive(Default)]
struct Messages {
    bytes: Vec<u8>,
}

impl Messages {
    /// The next whole message: its tag and all its bytes. The very first of a client has no tag.
    fn next(&mut self, tagged: bool) -> Option<(u8, Vec<u8>)> {
        let tag = usize::from(tagged);
        let length: [u8; 4] = self.bytes.get(tag..tag + 4)?.try_into().ok()?;
        let length = tag + usize::try_from(u32::from_be_bytes(length)).ok()?;
        if self.bytes.len() < length {
            return None;
        }
        let rest = self.bytes.split_off(length);
        let message = std::mem::replace(&mut self.bytes, rest);
        Some((if tagged { message[0] } else { 0 }, message))
    }
}

/// The answers that the server still owes, each with its step if it is one.
type Owed = Arc<std::sync::Mutex<VecDeque<Option<Named>>>>;

async fn carry(mut client: TcpStream, mut server: UnixStream, steps: Arc<Steps>) {
    let owed = Owed::default();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        _ = ask(from_client, to_server, &steps, &owed) => {}
        _ = answer(from_server, to_client, &steps, &owed) => {}
    }
}

async fn ask(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    steps: &Steps,
    owed: &Owed,
) -> std::io::Result<()> {
    let (mut messages, mut statements) = (Messages::default(), Statements::default());
    let (mut tagged, mut batch, mut step) = (false, Vec::new(), None);
    while from.read_buf(&mut messages.bytes).await? > 0 {
        while let Some((tag, message)) = messages.next(tagged) {
            if tagged {
                step = statements.read(tag, &message[5..]).or(step);
            }
            batch.extend_from_slice(&message);
            // Sync and Query end what is answered together.
            if tagged && [b'S', b'Q'].contains(&tag) {
                let named: Option<Named> = step.take();
                match &named {
                    Some(named) if !named.only_with_rows => steps.pass(Side::Before, &named.name).await,
                    _ => steps.alive().await,
                }
                owed.lock().expect("nobody panics with it").push_back(named);
                to.write_all(&std::mem::take(&mut batch)).await?;
            } else if !tagged || step.is_none() && ![b'P', b'B', b'D', b'E', b'C'].contains(&tag) {
                steps.alive().await;
                to.write_all(&std::mem::take(&mut batch)).await?;
            }
            tagged = true;
        }
    }
    Ok(())
}

async fn answer(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    steps: &Steps,
    owed: &Owed,
) -> std::io::Result<()> {
    let mut messages = Messages::default();
    let (mut held, mut rows) = (Vec::new(), 0);
    while from.read_buf(&mut messages.bytes).await? > 0 {
        while let Some((tag, message)) = messages.next(true) {
            held.extend_from_slice(&message);
            rows += usize::from(tag == b'D');
            if tag == b'Z' {
                // The first of a connection answers no statement.
                let named = owed.lock().expect("nobody panics with it").pop_front().flatten();
                match named.filter(|named| rows > 0 || !named.only_with_rows) {
                    Some(named) => steps.pass(Side::After, &named.name).await,
                    None => steps.alive().await,
                }
                rows = 0;
                to.write_all(&std::mem::take(&mut held)).await?;
            }
        }
        if owed.lock().expect("nobody panics with it").is_empty() {
            steps.alive().await;
            to.write_all(&std::mem::take(&mut held)).await?;
        }
    }
    Ok(())
}
