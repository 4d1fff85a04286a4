//! Messages on a stream: a length and so many bytes.
//!
//! ```text
//! length u32, little-endian · bytes
//! ```
//!
//! In place of an answer, a length of 2^32 − 1 says that it is too large for a connection through a
//! relay.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;

/// The length that stands for an answer that is too large for the way back.
const TOO_LARGE: u32 = u32::MAX;

/// Memory grows by at most so much ahead of what has arrived.
const STEP: usize = 64 << 10;

/// The bytes of messages that are arriving or are not handled yet, of all peers together.
#[derive(Debug)]
pub(super) struct InboundBytes {
    used: AtomicUsize,
    most: usize,
}

impl InboundBytes {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most })
    }

    /// Sets so many bytes aside, until what is returned is dropped; none where there is no room.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Permit> {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.used.try_update(Ordering::AcqRel, Ordering::Acquire, fits).ok()?;
        Some(Permit { of: Arc::clone(self), bytes })
    }

    #[cfg(test)]
    fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}

/// Room for bytes that arrived; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    of: Arc<InboundBytes>,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// A message, and the room it takes up where it came from outside.
#[derive(Debug)]
pub(super) struct Framed {
    pub(super) bytes: Vec<u8>,
    pub(super) permit: Option<Permit>,
    /// Whether it stands for an answer that is too large for a connection through a relay.
    pub(super) is_too_large: bool,
}

impl Framed {
    /// A message of this node.
    pub(super) fn own(bytes: Vec<u8>) -> Self {
        Self { bytes, permit: None, is_too_large: false }
    }

    /// Stands for an answer that is too large for a connection through a relay.
    pub(super) fn too_large() -> Self {
        Self { bytes: Vec::new(), permit: None, is_too_large: true }
    }
}

/// Reads and writes messages of bounded size.
#[derive(Debug, Clone)]
pub(super) struct Frames {
    pub(super) request_bytes: usize,
    pub(super) response_bytes: usize,
    pub(super) inbound: Arc<InboundBytes>,
}

impl Frames {
    async fn read<T: AsyncRead + Unpin + Send>(
        &self,
        io: &mut T,
        most: usize,
    ) -> io::Result<Framed> {
        let mut length = [0; 4];
        io.read_exact(&mut length).await?;
        let length = u32::from_le_bytes(length);
        if length == TOO_LARGE {
            return Ok(Framed::too_large());
        }
        let length = length as usize;
        if length > most {
            let problem = format!("a message of {length} bytes; at most {most} are read");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let Some(permit) = self.inbound.take(length) else {
            return Err(io::Error::other("too much has arrived and is not handled yet"));
        };
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let begin = bytes.len();
            bytes.resize(length.min(begin + STEP.max(begin)), 0);
            io.read_exact(&mut bytes[begin..]).await?;
        }
        Ok(Framed { bytes, permit: Some(permit), is_too_large: false })
    }

    async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, message: Framed) -> io::Result<()> {
        let length = match message.is_too_large {
            true => TOO_LARGE,
            false => u32::try_from(message.bytes.len()).map_err(io::Error::other)?,
        };
        io.write_all(&length.to_le_bytes()).await?;
        io.write_all(&message.bytes).await?;
        io.close().await
    }
}

impl Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = Framed;
    type Response = Framed;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Framed> {
        let request = self.read(io, self.request_bytes).await?;
        match request.is_too_large {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, "no request has such a length")),
            false => Ok(request),
        }
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Framed> {
        self.read(io, self.response_bytes).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Framed,
    ) -> io::Result<()> {
        Self::write(io, request).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Framed,
    ) -> io::Result<()> {
        Self::write(io, response).await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn frames(most: usize) -> Frames {
        Frames { request_bytes: 1_000_000, response_bytes: 10, inbound: InboundBytes::new(most) }
    }

    #[test]
    fn messages_come_back_and_give_their_room_back() {
        let (frames, mut wire) = (frames(1 << 20), Cursor::new(Vec::new()));
        let message: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        block_on(Frames::write(&mut wire, Framed::own(message.clone()))).unwrap();
        wire.set_position(0);
        let read = block_on(frames.read(&mut wire, 1_000_000)).unwrap();
        assert_eq!(read.bytes, message);
        assert_eq!(frames.inbound.used(), message.len());
        drop(read);
        assert_eq!(frames.inbound.used(), 0);
    }

    #[test]
    fn what_is_too_long_or_cut_is_refused_and_holds_nothing() {
        let frames = frames(1 << 20);
        for bytes in [&b""[..], b"\x01", b"\x04\0\0\0abc", b"\xfe\xff\xff\xffabc", b"\0\0\x10\0"] {
            let mut wire = Cursor::new(bytes.to_vec());
            assert!(block_on(frames.read(&mut wire, 1_000_000)).is_err(), "{bytes:?}");
        }
        assert_eq!(frames.inbound.used(), 0);
    }

    #[test]
    fn an_answer_may_be_too_large_for_its_way_and_a_request_is_not() {
        let (mut frames, mut wire) = (frames(1 << 20), Cursor::new(Vec::new()));
        block_on(Frames::write(&mut wire, Framed::too_large())).unwrap();
        let protocol = StreamProtocol::new("/test");
        wire.set_position(0);
        assert!(block_on(frames.read_response(&protocol, &mut wire)).unwrap().is_too_large);
        wire.set_position(0);
        assert!(block_on(frames.read_request(&protocol, &mut wire)).is_err());
    }

    #[test]
    fn there_is_room_for_so_much_of_all_peers_together() {
        let frames = frames(100);
        let wire =
            |length: u8| Cursor::new([vec![length, 0, 0, 0], vec![7; length.into()]].concat());
        let first = block_on(frames.read(&mut wire(60), 1_000)).unwrap();
        assert!(block_on(frames.read(&mut wire(60), 1_000)).is_err());
        drop(first);
        assert!(block_on(frames.read(&mut wire(60), 1_000)).is_ok());
    }
}
