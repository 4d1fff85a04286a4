//! Bodies: read within their bounds, and unpacked.
//!
//! What all bodies together take in memory is bounded: each takes its room before it grows.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HttpSettings;
use super::problem::Problem;
use super::state::HttpState;

/// The unit in which room is counted: bytes.
const ROOM_BYTES: usize = 4_096;
/// How long a body may be slower than the slowest: for the first packets, and for small bodies.
const GRACE: Duration = Duration::from_secs(10);

/// Room for the bodies of all requests, and for what is made of them.
pub(super) struct Room {
    left: Arc<Semaphore>,
    whole_bytes: usize,
    body_bytes: usize,
}

impl Room {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        // A body of the largest size, packed and unpacked, finds room.
        let most = settings.bodies_bytes.max(settings.body_bytes.saturating_mul(2)) / ROOM_BYTES;
        let most = (most + 2).min(Semaphore::MAX_PERMITS);
        let left = Arc::new(Semaphore::new(most));
        Self { left, whole_bytes: most * ROOM_BYTES, body_bytes: settings.body_bytes }
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let busy =
            |_| Problem::unavailable("busy", "too many bodies are on their way; come again", 1);
        let units = u32::try_from(bytes.div_ceil(ROOM_BYTES)).unwrap_or(u32::MAX);
        Arc::clone(&self.left).try_acquire_many_owned(units).map_err(busy)
    }
}

/// Bytes with the room that they take.
struct Held {
    bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
}

impl Held {
    fn new(room: &Room, expected: usize) -> Result<Self, Problem> {
        let permit = room.take(expected)?;
        Ok(Self { bytes: Vec::with_capacity(expected), room: permit })
    }

    fn push(&mut self, room: &Room, more: &[u8], most: usize) -> Result<(), Problem> {
        let needed = self.bytes.len() + more.len();
        if needed > most {
            return Err(Problem::too_large(most));
        }
        if needed > self.bytes.capacity() {
            // As a vector grows; the old half is there until it is copied.
            let capacity = (2 * self.bytes.capacity()).max(needed).min(most);
            self.room.merge(room.take(capacity - self.bytes.capacity())?);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }
}

/// A body, unpacked. It keeps its room until it is dropped.
///
/// Whoever takes it apart on another thread takes it whole: a client that goes away ends the request,
/// not the thread, and the room is not free before the bytes are.
pub(super) struct Taken {
    bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
}

impl Taken {
    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes, and what keeps their room.
    pub(super) fn into_parts(self) -> (Vec<u8>, Taking) {
        (self.bytes, Taking { _room: self.room })
    }

    /// Takes room for what is made of it, too.
    ///
    /// # Errors
    /// Where there will never be so much, or is not now.
    pub(super) fn take_more(&mut self, room: &Room, bytes: usize) -> Result<(), Problem> {
        if bytes.saturating_add(self.bytes.len()) > room.whole_bytes {
            let message = format!("what is in the body takes {bytes} bytes; send it in parts");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
        }
        self.room.merge(room.take(bytes)?);
        Ok(())
    }
}

/// Keeps the room of a body whose bytes are elsewhere.
#[derive(Debug)]
pub(super) struct Taking {
    _room: OwnedSemaphorePermit,
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Deflate,
    Zstd,
    Snappy,
}

fn packing(request: &Request) -> Result<Packing, Problem> {
    let unsupported = || {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "encoding",
            "Content-Encoding is one of gzip, deflate, zstd, snappy and identity",
        )
    };
    let mut all = request.headers().get_all(CONTENT_ENCODING).iter();
    let Some(value) = all.next() else { return Ok(Packing::None) };
    if all.next().is_some() {
        return Err(unsupported());
    }
    match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Packing::None),
        "gzip" | "x-gzip" => Ok(Packing::Gzip),
        "deflate" => Ok(Packing::Deflate),
        "zstd" => Ok(Packing::Zstd),
        "snappy" => Ok(Packing::Snappy),
        _ => Err(unsupported()),
    }
}

/// Reads a body to its end and unpacks it.
pub(super) async fn read(state: &HttpState, request: Request) -> Result<Taken, Problem> {
    read_most(state, request, state.room().body_bytes).await
}

/// The same for bodies that are at most so long, packed and unpacked.
pub(super) async fn read_most(
    state: &HttpState,
    request: Request,
    most: usize,
) -> Result<Taken, Problem> {
    let packing = packing(&request)?;
    let most = most.min(state.room().body_bytes);
    let declared = request.headers().get(CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    // Before anything of it is read.
    if declared.is_some_and(|length| length > most) {
        return Err(Problem::too_large(most));
    }
    let held = receive(state, request.into_body(), most).await?;
    state.measures().received(held.bytes.len());
    if packing == Packing::None {
        return Ok(Taken { bytes: held.bytes, room: held.room });
    }
    let state = state.clone();
    let unpacked = tokio::task::spawn_blocking(move || unpack(packing, &held, state.room(), most));
    let held =
        unpacked.await.map_err(|_| Problem::internal("the body could not be unpacked"))??;
    Ok(Taken { bytes: held.bytes, room: held.room })
}

async fn receive(state: &HttpState, mut body: Body, most: usize) -> Result<Held, Problem> {
    let (room, settings) = (state.room(), state.settings());
    // Not 408: a bad link may be better soon, and Telegraf and Prometheus throw away what is answered
    // with a status of 4xx.
    let slow = |what: String| Problem::unavailable("too_slow", what, 1);
    let stall = HttpSettings::time(settings.stall_time_s);
    let begin = Instant::now();
    // Room for what is declared is taken as it comes: who declares much and sends nothing has none.
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut held = Held::new(room, expected.min(64 << 10))?;
    loop {
        let frame = tokio::time::timeout(stall, body.frame()).await;
        let frame = frame.map_err(|_| slow(format!("nothing of the body came for {stall:?}")))?;
        let frame = match frame {
            None => return Ok(held),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                return Err(Problem::invalid(format!("the body cannot be read: {error}")));
            }
        };
        if let Some(data) = frame.data_ref() {
            held.push(room, data, most)?;
        }
        let late = begin.elapsed().saturating_sub(GRACE);
        let least = late.as_secs_f64() * settings.body_bytes_per_s as f64;
        if (held.bytes.len() as f64) < least {
            return Err(slow(format!(
                "the body comes slower than {} bytes a second",
                settings.body_bytes_per_s
            )));
        }
    }
}

fn unpack(packing: Packing, packed: &Held, room: &Room, most: usize) -> Result<Held, Problem> {
    let bytes = packed.bytes.as_slice();
    match packing {
        Packing::None => unpack_stream(bytes, room, most),
        Packing::Gzip => unpack_stream(flate2::read::MultiGzDecoder::new(bytes), room, most),
        Packing::Deflate => unpack_stream(flate2::read::ZlibDecoder::new(bytes), room, most),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(damaged)?;
            // The window that a frame may ask for is memory, too.
            decoder.window_log_max(WINDOW_LOG_MOST).map_err(damaged)?;
            unpack_stream(decoder, room, most)
        }
        Packing::Snappy => {
            let length = snap::raw::decompress_len(bytes).map_err(damaged)?;
            if length > most {
                return Err(Problem::too_large(most));
            }
            let mut held = Held::new(room, length)?;
            held.bytes.resize(length, 0);
            snap::raw::Decoder::new().decompress(bytes, &mut held.bytes).map_err(damaged)?;
            Ok(held)
        }
    }
}

/// The largest window of zstd: 2 to this many bytes.
const WINDOW_LOG_MOST: u32 = 23;

fn damaged(error: impl std::fmt::Display) -> Problem {
    Problem::invalid(format!("the body cannot be unpacked: {error}"))
}

fn unpack_stream(mut stream: impl Read, room: &Room, most: usize) -> Result<Held, Problem> {
    let mut held = Held::new(room, 64 << 10)?;
    let mut piece = vec![0; 64 << 10];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(held),
            Ok(read) => held.push(room, &piece[..read], most)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use std::io::Write as _;

    fn room(body_bytes: usize) -> Room {
        Room::new(&HttpSettings { body_bytes, bodies_bytes: 0, ..HttpSettings::default() })
    }

    fn unpacked(packing: Packing, bytes: Vec<u8>, room: &Room) -> Result<Vec<u8>, StatusCode> {
        let held = Held { room: room.take(bytes.len()).map_err(|problem| problem.status)?, bytes };
        let unpacked = unpack(packing, &held, room, room.body_bytes);
        unpacked.map(|held| held.bytes).map_err(|problem| problem.status)
    }

    type Pack = fn(&[u8]) -> Vec<u8>;

    #[test]
    fn what_is_packed_comes_out_and_bombs_are_refused() {
        let room = room(1 << 20);
        let bomb = vec![b'x'; 8 << 20];
        let text = b"speed,device=a value=1 1\n".repeat(1_000);
        let packings: [(Packing, Pack); 4] = [
            (Packing::Gzip, |bytes| {
                let mut out =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }),
            (Packing::Deflate, |bytes| {
                let mut out =
                    flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }),
            (Packing::Zstd, |bytes| zstd::stream::encode_all(bytes, 1).unwrap()),
            (Packing::Snappy, |bytes| snap::raw::Encoder::new().compress_vec(bytes).unwrap()),
        ];
        for (packing, pack) in packings {
            assert_eq!(unpacked(packing, pack(&text), &room), Ok(text.clone()), "{packing:?}");
            let refused = unpacked(packing, pack(&bomb), &room);
            assert_eq!(refused, Err(StatusCode::PAYLOAD_TOO_LARGE), "{packing:?}");
            let mut cut = pack(&text);
            cut.truncate(cut.len() - 3);
            assert_eq!(unpacked(packing, cut, &room), Err(StatusCode::BAD_REQUEST), "{packing:?}");
        }
    }

    #[test]
    fn all_bodies_together_are_bounded() {
        let room = room(1 << 20);
        let first = Held::new(&room, 1 << 20).unwrap();
        let second = Held::new(&room, 1 << 20).unwrap();
        assert_eq!(
            Held::new(&room, 1 << 20).err().unwrap().status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        drop((first, second));
        assert!(Held::new(&room, 1 << 20).is_ok());
    }

    /// An empty series of remote write is two bytes of a body and some hundred in memory: what bodies
    /// held was bounded, and not what was made of them.
    #[test]
    fn what_is_made_of_a_body_takes_room_too() {
        let room = room(1 << 20);
        let held = Held::new(&room, 1 << 20).unwrap();
        let mut taken = Taken { bytes: vec![0; 1 << 20], room: held.room };
        taken.take_more(&room, 1 << 19).unwrap();
        let status = |problem: Problem| problem.status;
        let never = taken.take_more(&room, 2 << 20).map_err(status);
        assert_eq!(never, Err(StatusCode::PAYLOAD_TOO_LARGE));
        // Another's body, now and when this one is dropped.
        let other = Held::new(&room, 1 << 20).map(drop).map_err(status);
        assert_eq!(other, Err(StatusCode::SERVICE_UNAVAILABLE));
        let (_bytes, taking) = taken.into_parts();
        assert!(Held::new(&room, 1 << 20).is_err());
        drop(taking);
        assert!(Held::new(&room, 1 << 20).is_ok());
    }
}
