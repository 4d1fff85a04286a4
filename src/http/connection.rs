//! One connection: what it may take, from its first byte to its last.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::HttpSettings;
use super::state::HttpState;

/// Serves a connection until it ends, is idle too long, or the server is told to stop.
pub(super) async fn serve<S>(stream: S, router: Router, state: HttpState)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = state.settings();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HttpSettings::time(settings.head_time_s))
        .max_headers(settings.headers)
        // Also how much of a body is read at once.
        .max_buf_size(settings.head_bytes.max(MIN_BUFFER_BYTES));
    let stall = HttpSettings::time(settings.stall_time_s);
    let stream = TokioIo::new(Guarded::new(stream, stall, state.clone()));
    let connection =
        builder.serve_connection(stream, TowerToHyperService::new(router)).with_upgrades();
    let mut connection = pin!(connection);
    let stopping = pin!(state.stopping());
    let ended = futures::future::select(connection.as_mut(), stopping).await;
    let is_stopping = matches!(ended, futures::future::Either::Right(_));
    if is_stopping {
        // The request that it is at is answered, and no other.
        connection.as_mut().graceful_shutdown();
        let _: Result<(), hyper::Error> = connection.await;
    }
}

/// The least that the library takes.
const MIN_BUFFER_BYTES: usize = 8_192;

/// How long a connection that is closed is still read from.
const LINGER: Duration = Duration::from_secs(5);
/// How much of that is read at once: bytes.
const PIECE_BYTES: usize = 16 << 10;

/// A stream whose other end must take what is written: without that it fails after a time.
///
/// When it is closed, what still comes is read and forgotten for a moment: who is refused in the middle
/// of a body would else find the connection reset, and never see the answer.
struct Guarded<S> {
    stream: S,
    patience: Duration,
    state: HttpState,
    /// Runs while something waits to be written.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Runs while the rest is read.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    const fn new(stream: S, patience: Duration, state: HttpState) -> Self {
        Self { stream, patience, state, deadline: None, lingering: None }
    }

    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(context));
        deadline.as_mut().reset(Instant::now() + patience);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads until the other end closes, too, or the time is over.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut piece = [MaybeUninit::uninit(); PIECE_BYTES];
        let deadline = self.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        loop {
            if self.state.is_stopping() || deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut into = ReadBuf::uninit(&mut piece);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut into)) {
                Ok(()) if !into.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let ended = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.watched(context, ended))?;
        }
        self.linger(context).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
