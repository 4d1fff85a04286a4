//! Answers that are sent while they are made.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use chronolith_query::Canceller;
use futures::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::http::problem::Problem;

/// How much is sent at once: bytes.
const PIECE_BYTES: usize = 256 << 10;
/// How many pieces wait to be sent.
const WAITING: usize = 2;

/// What is sent.
enum Piece {
    Bytes(Bytes),
    Failed(Problem),
    End,
}

/// Runs `work` on a thread that may wait, and answers with what it writes. Where it fails before a
/// piece is full the answer is that failure; later the connection ends without an end of the body.
/// A client that takes nothing for `patience` ends the work.
pub(super) async fn answered(
    media_type: &'static str,
    patience: Duration,
    canceller: Canceller,
    work: impl FnOnce(&mut Pieces) -> Result<(), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let (sender, mut receiver) = channel(WAITING);
    let handle = Handle::current();
    // When the client goes away before anything was sent, this future is dropped, and the query with it.
    let unheard = Unheard(Some(canceller));
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces { sender, handle, patience, buffer: Vec::new() };
        let done = work(&mut pieces);
        pieces.end(done);
    });
    let first = match receiver.recv().await {
        Some(Piece::Failed(problem)) => return Err(problem),
        None => return Err(Problem::internal("the query has failed; simplify it and report it")),
        Some(first) => first,
    };
    let mut response = Response::new(Body::from_stream(body(first, receiver, unheard)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

/// Ends a query when nobody listens any more.
struct Unheard(Option<Canceller>);

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Some(canceller) = self.0.take() {
            canceller.cancel();
        }
    }
}

/// The pieces up to the end; one that failed, or none without an end, is an error.
fn body(
    first: Piece,
    receiver: Receiver<Piece>,
    unheard: Unheard,
) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some((Some(first), receiver, unheard)), |state| async {
        let (first, mut receiver, unheard) = state?;
        let piece = match first {
            Some(first) => Some(first),
            None => receiver.recv().await,
        };
        match piece {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some((None, receiver, unheard)))),
            Some(Piece::End) => None,
            Some(Piece::Failed(problem)) => Some((Err(io::Error::other(problem.message)), None)),
            None => Some((Err(io::Error::other("the query has failed")), None)),
        }
    })
}

/// What an answer is written into.
pub(super) struct Pieces {
    sender: Sender<Piece>,
    handle: Handle,
    patience: Duration,
    buffer: Vec<u8>,
}

impl Pieces {
    fn send(&self, piece: Piece) -> io::Result<()> {
        let sent =
            self.handle.block_on(tokio::time::timeout(self.patience, self.sender.send(piece)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")),
        }
    }

    fn send_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        self.send(Piece::Bytes(bytes))
    }

    fn end(mut self, done: Result<(), Problem>) {
        let last = match done {
            Ok(()) if self.send_buffer().is_ok() => Piece::End,
            Ok(()) => return,
            Err(problem) => Piece::Failed(problem),
        };
        // A client that went away needs no end.
        drop(self.send(last));
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.send_buffer()?;
        }
        Ok(bytes.len())
    }

    /// Nothing: pieces are sent when they are full, so that an early failure is a refusal.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
