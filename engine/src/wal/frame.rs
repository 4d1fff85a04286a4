//! Frames: the unit that the log writes and checks.
//!
//! ```text
//! file header, 24 bytes: "CLWAL\0" · version u16 · file number u64 · reserved u32 · crc32 u32
//! frame header, 36 bytes:
//!   magic u32 · payload length u32 · sequence u64 · synced u64 · scheme u8 · reserved [u8; 3] ·
//!   key id u32 · crc32 u32 over the 32 bytes before and the crc32 of the payload
//! ```

use std::borrow::Cow;

use crate::protect::Protection;

use super::Sequence;

/// Length of the header of a file: bytes.
pub(crate) const FILE_HEADER_BYTES: usize = 24;
/// Length of the header of a frame: bytes.
pub(crate) const HEADER_BYTES: usize = 36;
/// The longest payload: the largest batch and room for its definitions, bytes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 30;
/// The version that this program writes.
pub(crate) const VERSION: u16 = 1;

const FILE_MAGIC: [u8; 6] = *b"CLWAL\0";
const MAGIC: u32 = u32::from_le_bytes(*b"\xC1wf\x01");

/// The header of file `number`.
pub(crate) fn file_header(number: u64) -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..6].copy_from_slice(&FILE_MAGIC);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&number.to_le_bytes());
    let crc = crc32fast::hash(&header[..20]);
    header[20..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// What is wrong with the header of file `number`; `None` where it is whole.
pub(crate) fn check_file_header(bytes: &[u8], number: u64) -> Option<String> {
    let expected = file_header(number);
    match bytes.get(..FILE_HEADER_BYTES) {
        None => Some("the header of the file is cut short".to_owned()),
        Some(header) if header == expected => None,
        Some(header) if header[..6] == FILE_MAGIC && header[6..8] != expected[6..8] => {
            let version = u16::from_le_bytes([header[6], header[7]]);
            Some(format!("format version {version}; this program reads version {VERSION}"))
        }
        Some(_) => Some("the header of the file is damaged".to_owned()),
    }
}

/// A frame under construction: room for the header, then the payload.
pub(crate) struct Frame {
    bytes: Vec<u8>,
    payload_crc: u32,
    protection: Protection,
}

impl Frame {
    /// A buffer to append a payload to: it begins with room for the header.
    pub(crate) fn room(payload_bytes: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload_bytes);
        bytes.resize(HEADER_BYTES, 0);
        bytes
    }

    /// Takes a buffer that began as [`Frame::room`], and protects the payload in it.
    pub(crate) fn new(
        mut bytes: Vec<u8>,
        protect: impl FnOnce(&[u8]) -> (Protection, Cow<'_, [u8]>),
    ) -> Self {
        let (protection, protected) = protect(&bytes[HEADER_BYTES..]);
        if let Cow::Owned(protected) = protected {
            bytes.truncate(HEADER_BYTES);
            bytes.extend_from_slice(&protected);
        }
        Self { payload_crc: crc32fast::hash(&bytes[HEADER_BYTES..]), bytes, protection }
    }

    /// Fills in the header; the bytes are then what the log holds.
    pub(crate) fn finish(&mut self, sequence: Sequence, synced: Sequence) -> &[u8] {
        let size = (self.bytes.len() - HEADER_BYTES) as u32;
        let header = &mut self.bytes[..HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[4..8].copy_from_slice(&size.to_le_bytes());
        header[8..16].copy_from_slice(&sequence.to_le_bytes());
        header[16..24].copy_from_slice(&synced.to_le_bytes());
        header[24] = self.protection.scheme;
        header[28..32].copy_from_slice(&self.protection.key_id.to_le_bytes());
        let crc = header_crc(&header[..32], self.payload_crc);
        header[32..].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

fn header_crc(header: &[u8], payload_crc: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(&payload_crc.to_le_bytes());
    hasher.finalize()
}

/// A whole frame whose checksum holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameView<'a> {
    pub(crate) sequence: Sequence,
    /// The log was known to be synced up to here when the frame was made.
    pub(crate) synced: Sequence,
    pub(crate) protection: Protection,
    pub(crate) payload: &'a [u8],
}

impl<'a> FrameView<'a> {
    /// The frame at the front of `bytes`, where a whole one is there.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let u32_at = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(*header.get(at..)?.first_chunk()?));
        let size = u32_at(4)? as usize;
        if u32_at(0)? != MAGIC || size > PAYLOAD_BYTES_MAX {
            return None;
        }
        let payload = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(size)?)?;
        if header_crc(&header[..32], crc32fast::hash(payload)) != u32_at(32)? {
            return None;
        }
        let protection = Protection { scheme: header[24], key_id: u32_at(28)? };
        Some(Self { sequence: u64_at(8)?, synced: u64_at(16)?, protection, payload })
    }

    /// The length of the whole frame: bytes.
    pub(crate) fn len(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }

    /// The first whole frame at or behind `from`, and where it stands.
    pub(crate) fn search(bytes: &'a [u8], from: usize) -> Option<(usize, Self)> {
        let magic = MAGIC.to_le_bytes();
        let mut at = from;
        while at + HEADER_BYTES <= bytes.len() {
            if bytes[at..at + 4] == magic
                && let Some(frame) = Self::parse(&bytes[at..])
            {
                return Some((at, frame));
            }
            at += 1;
        }
        None
    }
}
