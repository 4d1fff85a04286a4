//! A connection: a thread that reads frames, and one that writes them from a bounded queue.

use std::io::{self, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use super::frame::Frame;

/// How many frames wait to be written. What does not fit is lost, as networks lose things;
/// consensus says it again.
const QUEUE: usize = 4_096;

/// The writing end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    queue: SyncSender<Arc<[u8]>>,
    stream: Arc<TcpStream>,
}

impl Connection {
    /// Begins to read and to write. `take` gets each frame, and none when the connection ended.
    pub(super) fn start(
        stream: TcpStream,
        mut take: impl FnMut(Option<Frame>) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let mut input = BufReader::with_capacity(1 << 16, stream.try_clone()?);
        let output = stream.try_clone()?;
        let (queue, frames) = sync_channel(QUEUE);
        thread::spawn(move || {
            while let Ok(Some(frame)) = Frame::read(&mut input) {
                if !take(Some(frame)) {
                    return;
                }
            }
            take(None);
        });
        thread::spawn(move || write(output, &frames));
        Ok(Self { queue, stream: Arc::new(stream) })
    }

    /// Sends a frame if there is room.
    pub(super) fn send(&self, frame: &Frame) {
        self.send_bytes(frame.to_bytes().into());
    }

    /// Sends the bytes of a frame if there is room.
    pub(super) fn send_bytes(&self, bytes: Arc<[u8]>) {
        match self.queue.try_send(bytes) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// Sends a frame, and waits for room: for who takes everything, and must miss nothing.
    pub(super) fn send_surely(&self, frame: &Frame) {
        // Where the connection ended, nobody is left to miss it.
        let _ = self.queue.send(frame.to_bytes().into());
    }

    /// Ends the connection.
    pub(super) fn close(&self) {
        // It may have ended already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

fn write(mut output: TcpStream, frames: &Receiver<Arc<[u8]>>) {
    while let Ok(bytes) = frames.recv() {
        if output.write_all(&bytes).is_err() {
            return;
        }
    }
}
