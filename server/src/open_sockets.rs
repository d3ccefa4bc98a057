//! The sockets that are open on this node: how many there may be, whose they are, and the end of those whose session is over (sec.S6).
//!
//! A session's end reaches a socket in three ways, each enough by itself: a word from the database with the commit that ended it
//! ([`OpenSockets::end`]), a question before each event (`http/socket`), and [`look`] every few seconds: one statement for
//! all sockets of the node, however many. The register is small (see [`SocketLimits::node`]) and is walked through.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_commands::WriteSide;
use atelier_domain::{AccountId, SessionId};
use atelier_projections::{Changes, Topic, notices};
use atelier_vault::SecretDigest;
use atelier_vault::credential_rows::{RowError, sessions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The most sessions of one statement.
const BATCH: usize = 2_000;

/// The bounds of sockets.
#[derive(Debug, Clone, Copy)]
pub struct SocketLimits {
    /// Sockets of a node.
    pub node: usize,
    /// Sockets of one client address on a node; of an IPv6 /64.
    pub client: usize,
    /// Sockets of one account on a node.
    pub account: usize,
    /// Subscriptions of one socket.
    pub subscriptions: usize,
    /// Messages that a client may send within [`SocketLimits::window`].
    pub messages: u32,
    /// How long that is.
    pub window: Duration,
    /// From the upgrade to `connection_init`.
    pub init: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// From a ping until something is heard.
    pub pong: Duration,
    /// How long one message may wait until the client takes it.
    pub send: Duration,
    /// Between two looks for sessions that are over and notices that nobody told of.
    pub look: Duration,
}

impl Default for SocketLimits {
    /// Room for a person's tabs and devices, and for an office behind one address.
    fn default() -> Self {
        Self {
            node: 5_000,
            client: 200,
            account: 30,
            subscriptions: 20,
            messages: 200,
            window: Duration::from_secs(10),
            init: Duration::from_secs(10),
            ping: Duration::from_secs(20),
            pong: Duration::from_secs(20),
            send: Duration::from_secs(10),
            look: Duration::from_secs(5),
        }
    }
}

/// There is no room for another socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The node has all it can have.
    Node,
    /// The client address has.
    Client,
}

/// Every open socket of a node.
#[derive(Debug, Default)]
pub struct OpenSockets {
    open: Mutex<Register>,
    look: Notify,
}

#[derive(Debug, Default)]
struct Register {
    next: u64,
    sockets: HashMap<u64, Socket>,
}

#[derive(Debug)]
struct Socket {
    client: Option<[u8; 32]>,
    token: Option<Token>,
    account: Option<AccountId>,
    end: CancellationToken,
}

/// What a socket was opened by: the session, and the digest of the token.
#[derive(Clone, Copy)]
struct Token {
    session: SessionId,
    digest: SecretDigest,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.session)
    }
}

/// A socket's place, until dropped.
#[derive(Debug)]
pub struct Place {
    of: Arc<OpenSockets>,
    number: u64,
    /// Cancelled when its session is over.
    pub end: CancellationToken,
}

impl OpenSockets {
    fn open(&self) -> MutexGuard<'_, Register> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a socket of a client, if it is known where that is.
    ///
    /// # Errors
    /// [`Full`].
    pub fn enter(self: &Arc<Self>, client: Option<&SecretDigest>, limits: &SocketLimits) -> Result<Place, Full> {
        let client = client.map(|digest| *digest.as_bytes());
        let mut register = self.open();
        if register.sockets.len() >= limits.node {
            return Err(Full::Node);
        }
        let of_client = |socket: &&Socket| client.is_some() && socket.client == client;
        if register.sockets.values().filter(of_client).count() >= limits.client {
            return Err(Full::Client);
        }
        let (number, end) = (register.next, CancellationToken::new());
        register.next += 1;
        register.sockets.insert(number, Socket { client, token: None, account: None, end: end.clone() });
        metrics::gauge!("atelier_sockets_open").increment(1.0);
        Ok(Place { of: self.clone(), number, end })
    }

    /// Ends the sockets of a session.
    pub fn end(&self, session: SessionId) {
        let register = self.open();
        let of_session = |socket: &&Socket| socket.token.is_some_and(|token| token.session == session);
        register.sockets.values().filter(of_session).for_each(|socket| socket.end.cancel());
    }

    /// Asks for a look now.
    pub fn ask_for_a_look(&self) {
        self.look.notify_one();
    }

    fn presented(&self) -> Vec<(u64, SessionId, SecretDigest)> {
        let presented = |(number, socket): (&u64, &Socket)| {
            socket.token.map(|Token { session, digest }| (*number, session, digest))
        };
        self.open().sockets.iter().filter_map(presented).collect()
    }

    fn end_socket(&self, number: u64) {
        if let Some(socket) = self.open().sockets.get(&number) {
            socket.end.cancel();
        }
    }
}

impl Place {
    /// Says by which token the socket is opened, before that is looked up: a session that ends from now on ends the socket.
    pub fn presents(&self, session: SessionId, digest: SecretDigest) {
        if let Some(socket) = self.of.open().sockets.get_mut(&self.number) {
            socket.token = Some(Token { session, digest });
        }
    }

    /// Says whose the socket is, and whether the account may have it.
    #[must_use]
    pub fn belongs_to(&self, account: AccountId, limits: &SocketLimits) -> bool {
        let mut register = self.of.open();
        let others = register.sockets.values().filter(|socket| socket.account == Some(account)).count();
        let admitted = others < limits.account;
        if let Some(socket) = register.sockets.get_mut(&self.number).filter(|_| admitted) {
            socket.account = Some(account);
        }
        admitted
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.open().sockets.remove(&self.number);
        metrics::gauge!("atelier_sockets_open").decrement(1.0);
    }
}

/// Looks now and then, until stopped, for what no word was heard of.
pub async fn look(
    write: &WriteSide,
    sockets: &OpenSockets,
    changes: &Changes,
    every: Duration,
    stop: &CancellationToken,
) {
    let mut since = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
            () = sockets.look.notified() => {}
        }
        if let Err(error) = look_for_ended(write, sockets).await {
            tracing::warn!(%error, "the sessions of open sockets cannot be looked up");
        }
        let accounts = changes.accounts_of_notices();
        if accounts.is_empty() {
            continue;
        }
        match notices::accounts_since(&write.pool, &accounts, since).await {
            Ok((found, head)) => {
                // A log that has become shorter: what came since is not behind where it was.
                let found = if head < since { accounts } else { found };
                since = head;
                found.into_iter().for_each(|account| changes.wake(Topic::Notices(account)));
            }
            Err(error) => tracing::warn!(%error, "new notices cannot be looked for"),
        }
    }
}

async fn look_for_ended(write: &WriteSide, sockets: &OpenSockets) -> Result<(), RowError> {
    for batch in sockets.presented().chunks(BATCH) {
        let tokens: Vec<_> = batch.iter().map(|(_, session, digest)| (*session, *digest)).collect();
        let counting = sessions::that_count(&write.pool, &tokens, write.now()).await?;
        let counting: HashSet<usize> = counting.into_iter().collect();
        let over = (0..batch.len()).filter(|place| !counting.contains(place));
        over.for_each(|place| sockets.end_socket(batch[place].0));
    }
    Ok(())
}
