//! A line to a PostgreSQL that can be cut, and led to another one: what a balancer or an address that moves is to nodes, and a network that
//! fails to a standby.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// The line: an address on this machine that leads to a server's socket, or nowhere.
pub struct Line {
    /// The address, which stays the same.
    pub address: SocketAddr,
    way: watch::Sender<Option<PathBuf>>,
}

impl Line {
    /// A line to a socket.
    pub async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (way, leads) = watch::channel(Some(socket));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, leads.clone()));
            }
        });
        Self { address, way }
    }

    /// Ends what goes over it; from now on it leads nowhere.
    pub fn cut(&self) {
        self.way.send_replace(None);
    }

    /// Ends what goes over it; from now on it leads to another socket.
    pub fn lead_to(&self, socket: PathBuf) {
        self.way.send_replace(Some(socket));
    }

    /// A role's URL over the line.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@{}/{database}?sslmode=disable", self.address)
    }
}

async fn carry(mut client: TcpStream, mut leads: watch::Receiver<Option<PathBuf>>) {
    let Some(socket) = leads.borrow_and_update().clone() else { return };
    let Ok(mut server) = UnixStream::connect(&socket).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = leads.changed() => {}
    }
}
