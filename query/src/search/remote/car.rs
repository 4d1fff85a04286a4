//! Blocks in a file as IPLD tools write and read them: CAR, version 1.
//!
//! ```text
//! file  := header · blocks             each behind its length as a varint
//! header := DAG-CBOR {roots: [], version: 1}
//! block := content id · bytes
//! ```

use std::io::{self, Read, Write};

use cid::Cid;

use super::entry::HEADER_BYTES_MAX;

/// The header of a file that names no roots.
const HEADER: &[u8] = b"\xa2eroots\x80gversion\x01";
/// The longest header that is read: bytes. It may have many roots.
const ROOTS_BYTES_MAX: usize = 1 << 20;
/// The longest content id: bytes.
const CID_BYTES_MAX: usize = 128;
/// The longest block that is handed over: bytes. Longer ones are no headers, and are passed over.
const BLOCK_BYTES_MAX: usize = HEADER_BYTES_MAX + CID_BYTES_MAX;

/// Why a file of blocks cannot be read further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("this is no CAR file: {0}")]
    NoCar(&'static str),
    /// It ends in the middle, or a length is wrong.
    #[error("the CAR file is cut off or damaged at byte {at}: {problem}")]
    Damaged {
        /// Where: bytes from its beginning.
        at: u64,
        /// What is wrong.
        problem: &'static str,
    },
}

/// A block: its content id, and its bytes where it is short enough to be a header.
pub type Block = (Cid, Option<Vec<u8>>);

/// Reads the blocks of a file one by one. Whether their bytes are what their ids name is not looked at.
pub struct CarReader<R> {
    input: R,
    at: u64,
}

/// Whether bytes are the beginning of a CAR file.
#[must_use]
pub fn is_car(beginning: &[u8]) -> bool {
    // A length of one or more bytes, then a map of two fields, of which roots is the first.
    let rest = beginning.iter().position(|byte| *byte < 0x80).map(|end| &beginning[end + 1..]);
    rest.is_some_and(|rest| rest.starts_with(b"\xa2eroots"))
}

impl<R: Read> CarReader<R> {
    /// Reads the beginning of a file.
    pub fn new(input: R) -> Result<Self, CarError> {
        let mut reader = Self { input, at: 0 };
        let Some(length) = reader.length()? else { return Err(CarError::NoCar("it is empty")) };
        if length > ROOTS_BYTES_MAX as u64 {
            return Err(CarError::NoCar("its header is too long"));
        }
        let header = reader.bytes(length)?;
        if !header.starts_with(b"\xa2eroots") || !header.ends_with(b"gversion\x01") {
            return Err(CarError::NoCar("version 1 has roots and version in its header"));
        }
        Ok(reader)
    }

    /// The next block; `None` at the end.
    pub fn next_block(&mut self) -> Result<Option<Block>, CarError> {
        let at = self.at;
        let damaged = |problem| CarError::Damaged { at, problem };
        let Some(length) = self.length()? else { return Ok(None) };
        let kept = length.min(BLOCK_BYTES_MAX as u64);
        let bytes = self.bytes(kept)?;
        let mut rest = bytes.as_slice();
        let cid = Cid::read_bytes(&mut rest).map_err(|_| damaged("no content id begins there"))?;
        if kept == length {
            return Ok(Some((cid, Some(rest.to_vec()))));
        }
        let passed = io::copy(&mut self.input.by_ref().take(length - kept), &mut io::sink())?;
        self.at += passed;
        if passed < length - kept {
            return Err(damaged("it ends in the middle of a block"));
        }
        Ok(Some((cid, None)))
    }

    /// A length; `None` at the end of the file.
    fn length(&mut self) -> Result<Option<u64>, CarError> {
        let (start, mut value) = (self.at, 0_u64);
        for shift in (0..63).step_by(7) {
            let mut byte = Vec::with_capacity(1);
            self.input.by_ref().take(1).read_to_end(&mut byte)?;
            let Some(byte) = byte.first() else {
                let problem = "it ends in the middle of a length";
                let is_end = self.at == start;
                return if is_end {
                    Ok(None)
                } else {
                    Err(CarError::Damaged { at: start, problem })
                };
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(Some(value));
            }
        }
        Err(CarError::Damaged { at: start, problem: "a length beyond all files" })
    }

    /// So many bytes. What is there decides how much memory it takes, not what a length says.
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, CarError> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(length).read_to_end(&mut bytes)? as u64;
        let at = self.at;
        self.at += read;
        match read == length {
            true => Ok(bytes),
            false => Err(CarError::Damaged { at, problem: "it ends in the middle of a block" }),
        }
    }
}

fn put_length(out: &mut Vec<u8>, mut length: u64) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Begins a file.
pub fn begin(out: &mut impl Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    put_length(&mut bytes, HEADER.len() as u64);
    bytes.extend_from_slice(HEADER);
    out.write_all(&bytes)
}

/// Adds a block.
pub fn put(out: &mut impl Write, cid: &Cid, block: &[u8]) -> io::Result<()> {
    let cid = cid.to_bytes();
    let mut bytes = Vec::with_capacity(cid.len() + 10);
    put_length(&mut bytes, (cid.len() + block.len()) as u64);
    bytes.extend_from_slice(&cid);
    out.write_all(&bytes)?;
    out.write_all(block)
}
