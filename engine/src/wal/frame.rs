//! Frames: the unit that the log writes and checks.
//!
//! ```text
//! file header, 28 bytes: "CLWAL\0" · version u16 · file number u64 · synced u64 · crc32 u32
//! frame header, 40 bytes:
//!   magic u32 · payload length u32 · sequence u64 · synced u64 · scheme u8 · reserved [u8; 3] ·
//!   key id u32 · crc32 of the payload u32 · crc32 u32 of the 36 bytes before
//! ```
//!
//! The checksums of headers begin with the salt of their file. A value may well hold a piece of
//! some log; what is in it is no frame of this file, wherever a reader looks.

use std::borrow::Cow;

use crate::protect::Protection;

use super::Sequence;

/// Length of the header of a file: bytes.
pub(crate) const FILE_HEADER_BYTES: usize = 28;
/// Length of the header of a frame: bytes.
pub(crate) const HEADER_BYTES: usize = 40;
/// The longest frame: bytes. A frame says its length in 32 bits.
pub(crate) const FRAME_BYTES_MAX: usize = 1 << 30;
/// The version that this program writes.
pub(crate) const VERSION: u16 = 1;

const FILE_MAGIC: [u8; 6] = *b"CLWAL\0";
const MAGIC: u32 = u32::from_le_bytes(*b"\xC1wf\x01");

/// What the checksums of one file's headers begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(u32);

impl Salt {
    /// The salt of file `number` of the database that these bytes name.
    pub(crate) fn new(database: &[u8], number: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("chronolith log file v1");
        hasher.update(&number.to_le_bytes()).update(database);
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }

    fn crc(self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// The header of file `number`; everything up to `synced` was on stable storage before the file
/// was made.
pub(crate) fn file_header(salt: Salt, number: u64, synced: Sequence) -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..6].copy_from_slice(&FILE_MAGIC);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&number.to_le_bytes());
    header[16..24].copy_from_slice(&synced.to_le_bytes());
    let crc = salt.crc(&header[..24]);
    header[24..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// What the header of file `number` says had been synced before, or what is wrong with it.
pub(crate) fn read_file_header(bytes: &[u8], salt: Salt, number: u64) -> Result<Sequence, String> {
    let header: &[u8; FILE_HEADER_BYTES] =
        bytes.first_chunk().ok_or("the header of the file is cut short")?;
    let version = u16::from_le_bytes([header[6], header[7]]);
    if header[..6] == FILE_MAGIC && version != VERSION {
        return Err(format!("format version {version}; this program reads version {VERSION}"));
    }
    let synced = header[16..24].first_chunk().map_or(0, |synced| Sequence::from_le_bytes(*synced));
    if *header != file_header(salt, number, synced) {
        return Err("the header of the file is damaged, or of another database".to_owned());
    }
    Ok(synced)
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

    /// How long the frame is: bytes.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Fills in the header; the bytes are then what the log's file with this salt holds.
    pub(crate) fn finish(&mut self, salt: Salt, sequence: Sequence, synced: Sequence) -> &[u8] {
        let size = (self.bytes.len() - HEADER_BYTES) as u32;
        let header = &mut self.bytes[..HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[4..8].copy_from_slice(&size.to_le_bytes());
        header[8..16].copy_from_slice(&sequence.to_le_bytes());
        header[16..24].copy_from_slice(&synced.to_le_bytes());
        header[24] = self.protection.scheme;
        header[28..32].copy_from_slice(&self.protection.key_id.to_le_bytes());
        header[32..36].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = salt.crc(&header[..36]);
        header[36..].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

/// A whole frame whose checksums hold.
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
    pub(crate) fn parse(bytes: &'a [u8], salt: Salt) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let u32_at = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(*header.get(at..)?.first_chunk()?));
        // The header first: nothing that merely looks like one gets its payload read.
        if u32_at(0)? != MAGIC || salt.crc(&header[..36]) != u32_at(36)? {
            return None;
        }
        let size = u32_at(4)? as usize;
        let payload = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(size)?)?;
        if crc32fast::hash(payload) != u32_at(32)? {
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
    pub(crate) fn search(bytes: &'a [u8], from: usize, salt: Salt) -> Option<(usize, Self)> {
        let magic = MAGIC.to_le_bytes();
        let mut at = from;
        while at + HEADER_BYTES <= bytes.len() {
            if bytes[at..at + 4] == magic
                && let Some(frame) = Self::parse(&bytes[at..], salt)
            {
                return Some((at, frame));
            }
            at += 1;
        }
        None
    }
}
