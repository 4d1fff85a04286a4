//! Arrow IPC: streams, and files, which are a stream between a magic and a directory.

use std::io::{self, Read};

use chronolith_query::arrow::array::RecordBatch;
use chronolith_query::arrow::buffer::Buffer;
use chronolith_query::arrow::ipc::reader::StreamDecoder;
use chronolith_query::arrow::ipc::{Message, root_as_message};

use super::{Damage, guarded, take};
use crate::ingest::input::Source;
use crate::ingest::intake::Intake;
use crate::ingest::{IngestError, RecordSink};

/// The first bytes of a file; zeros fill them up to 8 bytes, or to 64 by some writers.
const FILE_MAGIC: &[u8] = b"ARROW1";
const FILE_HEAD_BYTES_MAX: usize = 64;
/// Stands before the length of each message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// The longest description of a message: bytes.
const HEADER_BYTES_MAX: u64 = 64 << 20;
/// Reads the whole input.
pub(in crate::ingest) fn run<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'_, S>,
) -> Result<(), IngestError> {
    let (decoder, pending) = (StreamDecoder::new(), Buffer::default());
    let most = intake.options.max_batch_bytes as u64;
    let mut messages = Messages { bytes: Bytes(source), most, decoder, pending, is_done: false };
    let failed = |damage: Damage| IngestError::batches(intake.name, 0, damage);
    messages.skip_magic().map_err(failed)?;
    // The schema comes before all batches, and where there are none it is all there is.
    let first = guarded(|| messages.next_batch()).map_err(failed)?;
    let Some(schema) = messages.decoder.schema() else {
        return Err(failed("it holds no schema; is it Arrow IPC?".to_owned()));
    };
    let mut first = Some(first);
    take(&schema, || first.take().map_or_else(|| messages.next_batch(), Ok), intake)
}

/// Reads what a source holds and gives.
struct Bytes<'a, 'b>(&'a mut Source<'b>);

impl Read for Bytes<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.window().is_empty() {
            self.0.fill().map_err(io::Error::other)?;
        }
        let given = self.0.window().len().min(into.len());
        into[..given].copy_from_slice(&self.0.window()[..given]);
        self.0.consume(given, 0);
        Ok(given)
    }
}

/// What a cut input is.
const SHORT: &str = "it ends within a message";

struct Messages<'a, 'b> {
    bytes: Bytes<'a, 'b>,
    /// How long a batch may be, as it is stored and unpacked: bytes.
    most: u64,
    decoder: StreamDecoder,
    /// What the decoder has not taken yet.
    pending: Buffer,
    is_done: bool,
}

fn damage(error: impl std::fmt::Display) -> Damage {
    error.to_string()
}

impl Messages<'_, '_> {
    fn skip_magic(&mut self) -> Result<(), Damage> {
        if !self.bytes.0.window().starts_with(FILE_MAGIC) {
            return Ok(());
        }
        while self.bytes.0.window().len() < FILE_HEAD_BYTES_MAX
            && self.bytes.0.fill().map_err(damage)?
        {}
        let filled = self.bytes.0.window().iter().skip(FILE_MAGIC.len());
        let zeros = filled.take_while(|byte| **byte == 0).count();
        self.bytes.0.consume((FILE_MAGIC.len() + zeros).min(FILE_HEAD_BYTES_MAX), 0);
        Ok(())
    }

    /// So many bytes; memory grows with what is there and not with what was announced.
    fn exactly(&mut self, length: u64, into: &mut Vec<u8>) -> Result<(), Damage> {
        let read = self.bytes.by_ref().take(length).read_to_end(into).map_err(damage)?;
        if read as u64 == length { Ok(()) } else { Err(SHORT.to_owned()) }
    }

    /// The next batch; the end of the input or of the stream is the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Damage> {
        loop {
            if !self.pending.is_empty() {
                let decoded = self.decoder.decode(&mut self.pending).map_err(damage)?;
                if decoded.is_some() {
                    return Ok(decoded);
                }
            }
            if self.is_done {
                return Ok(None);
            }
            self.pending = Buffer::from_vec(self.message()?);
        }
    }

    /// The bytes of the next message. Behind the last comes a mark of the end, at which the decoder
    /// gives what it held back.
    fn message(&mut self) -> Result<Vec<u8>, Damage> {
        let mut message = Vec::new();
        let read = self.bytes.by_ref().take(8).read_to_end(&mut message).map_err(damage)?;
        if read == 0 {
            message = [CONTINUATION, [0; 4]].concat();
        }
        let (marker, length) = message.split_at(message.len().min(4));
        let length = <[u8; 4]>::try_from(length).map_err(|_| SHORT.to_owned())?;
        if marker != CONTINUATION {
            return Err("a message does not begin as Arrow IPC since version 0.15 does".to_owned());
        }
        let length = u64::from(u32::from_le_bytes(length));
        self.is_done = length == 0;
        if length > HEADER_BYTES_MAX {
            return Err(format!("a message has a header of {length} bytes"));
        }
        if self.is_done {
            return Ok(message);
        }
        self.exactly(length, &mut message)?;
        let header = root_as_message(message.get(8..).unwrap_or_default()).map_err(damage)?;
        let body = u64::try_from(header.bodyLength()).map_err(damage)?;
        if body > self.most {
            return Err(too_long(body));
        }
        let header_end = message.len();
        self.exactly(body, &mut message)?;
        let (head, body) = message.split_at(header_end);
        let header = root_as_message(head.get(8..).unwrap_or_default()).map_err(damage)?;
        let unpacked = unpacked_bytes(&header, body).ok_or("a buffer lies beyond its batch")?;
        if unpacked > self.most {
            return Err(too_long(unpacked));
        }
        Ok(message)
    }
}

fn too_long(bytes: u64) -> Damage {
    format!("a batch has {bytes} bytes; write batches of fewer rows")
}

/// How long the buffers of a batch are unpacked, as they say themselves: the decoder allocates what they
/// say, and there may be no such memory. Those of a batch that is not packed lie in its body.
fn unpacked_bytes(header: &Message<'_>, body: &[u8]) -> Option<u64> {
    let dictionary = header.header_as_dictionary_batch().and_then(|batch| batch.data());
    let Some(batch) = header.header_as_record_batch().or(dictionary) else { return Some(0) };
    let (Some(_), Some(buffers)) = (batch.compression(), batch.buffers()) else { return Some(0) };
    let mut sum = 0_u64;
    for buffer in &buffers {
        let offset = usize::try_from(buffer.offset()).ok()?;
        let length = usize::try_from(buffer.length()).ok()?;
        let packed = body.get(offset..offset.checked_add(length)?)?;
        // An empty one has no prefix; -1 says that what follows is not packed.
        let Some(prefix) = packed.first_chunk() else { continue };
        sum = sum.saturating_add(match i64::from_le_bytes(*prefix) {
            -1 => 0,
            bytes => u64::try_from(bytes).ok()?,
        });
    }
    Some(sum)
}
