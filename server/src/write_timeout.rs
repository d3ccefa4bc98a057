//! Connections that fail when the peer does not read: otherwise the data waiting for it would stay in memory for ever.
//!
//! It applies to every answer and every socket. The peer does not read when no write is accepted by the system's send buffer for the whole
//! time; on Linux the unsent part of that buffer is kept short, so that a slow reader is seen to make progress.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a write may wait by default.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The most unsent bytes in the system's send buffer. A peer that reads half of that within the timeout is not closed.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 * 1024;

/// A connection that fails once a write has waited for so long.
pub struct WriteTimeout<Io> {
    io: Io,
    timeout: Duration,
    /// Set while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl WriteTimeout<TcpStream> {
    /// A connection of which a write may wait for so long.
    pub fn of(io: TcpStream, timeout: Duration) -> Self {
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(&io).set_tcp_notsent_lowat(UNSENT) {
            tracing::debug!(%error, "the send buffer keeps its default size");
        }
        Self { io, timeout, waiting: None }
    }
}

impl<Io> WriteTimeout<Io> {
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(self.timeout))).as_mut().poll(context));
        metrics::counter!("atelier_http_write_timeouts_total").increment(1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for WriteTimeout<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn connection(timeout: Duration) -> (WriteTimeout<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(16);
        (WriteTimeout { io: near, timeout, waiting: None }, far)
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_closed() {
        let (mut near, _far) = connection(Duration::from_millis(20));
        let written = near.write_all(&[7; 17]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_reads_a_little_is_not_closed() {
        let (mut near, mut far) = connection(WRITE_TIMEOUT);
        near.write_all(&[7; 16]).await.unwrap();
        assert!(near.waiting.is_none(), "nothing waits to be sent");
        for _ in 0..3 {
            assert!(futures::poll!(Box::pin(near.write_all(&[7]))).is_pending());
            assert!(near.waiting.is_some(), "the timeout runs");
            far.read_u8().await.unwrap();
            near.write_all(&[7]).await.unwrap();
            assert!(near.waiting.is_none(), "it has read something");
        }
    }
}
