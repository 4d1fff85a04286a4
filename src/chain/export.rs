//! Blocks with their certificates as a file, which anybody can check from the genesis alone.
//!
//! ```text
//! "CLCHAIN\x01" · genesis: length u32, bytes · blocks with certificates, each: length u32, bytes
//! ```
//!
//! Lengths are little-endian; genesis and blocks are in their canonical encoding. There is no
//! checksum: every byte is under a hash or a signature that is checked.

use std::io::{self, Read, Write};

use chronolith_chain::block::MAX_BLOCK_BYTES;
use chronolith_chain::consensus::message::Decided;
use chronolith_chain::encoding::{DecodeError, decode, encode};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::ChainId;
use chronolith_chain::light::Options;

use super::{Chain, ChainError, Replay};

/// What an export begins with.
pub const MAGIC: &[u8; 8] = b"CLCHAIN\x01";
/// The largest encoding of a block with its certificate.
const BLOCK_MOST: usize = MAX_BLOCK_BYTES + (64 << 10);
const DAY_NS: u64 = 86_400 * 1_000_000_000;

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("this is no export of a chain: it does not begin with CLCHAIN and version 1")]
    Magic,
    /// It ends in the middle.
    #[error("the export ends in the middle of block {after}+1: it was cut off; export again")]
    Cut {
        /// The height of the last whole block.
        after: u64,
    },
    /// A length is larger than anything that could be there.
    #[error("after block {after} there is a length of {found} bytes, and {most} is the most")]
    TooLarge {
        /// The height of the last whole block.
        after: u64,
        /// The length.
        found: u64,
        /// The most.
        most: usize,
    },
    /// Something in it is not encoded as it should be.
    #[error("after block {after}: {reason}")]
    Decode {
        /// The height of the last whole block.
        after: u64,
        /// Why.
        reason: DecodeError,
    },
    /// It is of another chain.
    #[error("the export is of the chain {found}, and {trusted} is trusted")]
    OtherChain {
        /// The trusted chain.
        trusted: ChainId,
        /// The export's.
        found: ChainId,
    },
    /// The genesis is too old to go on from.
    #[error(
        "the genesis is {days} days old, longer than it is trusted: verify a proof that begins at a \
         later block which is trusted (--since and --block)"
    )]
    Expired {
        /// Its age.
        days: u64,
    },
    /// A block does not follow.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

fn put(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// Writes all blocks of a chain; how many there are.
pub fn write(chain: &Chain, out: &mut impl Write) -> Result<u64, ExportError> {
    out.write_all(MAGIC)?;
    put(out, &encode(chain.genesis()))?;
    let height = chain.height()?;
    for at in 1..=height {
        put(out, &encode(&chain.block(at)?))?;
    }
    Ok(height)
}

/// Reads a part; none at the end.
fn take(input: &mut impl Read, after: u64, most: usize) -> Result<Option<Vec<u8>>, ExportError> {
    let mut length = [0; 4];
    match fill(input, &mut length)? {
        0 => return Ok(None),
        4 => {}
        _ => return Err(ExportError::Cut { after }),
    }
    let length = u32::from_le_bytes(length);
    if u64::from(length) > most as u64 {
        return Err(ExportError::TooLarge { after, found: length.into(), most });
    }
    // What is there decides how much memory it takes, not what a length says.
    let mut bytes = Vec::new();
    let read = input.by_ref().take(length.into()).read_to_end(&mut bytes)?;
    if read != length as usize {
        return Err(ExportError::Cut { after });
    }
    Ok(Some(bytes))
}

/// Fills a buffer as far as the input goes; how far.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Checks an export of the chain whose genesis has the trusted hash, at a time in nanoseconds since
/// the epoch: executes every block from the genesis on.
///
/// # Errors
/// The first thing that does not hold, with its height.
pub fn verify(
    input: &mut impl Read,
    trusted: ChainId,
    now_ns: u64,
    options: &Options,
) -> Result<Replay, ExportError> {
    let mut magic = [0; 8];
    if fill(input, &mut magic)? != magic.len() || magic != *MAGIC {
        return Err(ExportError::Magic);
    }
    let wrong = |after| move |reason| ExportError::Decode { after, reason };
    let bytes = take(input, 0, Genesis::MAX_BYTES)?.ok_or(ExportError::Cut { after: 0 })?;
    let genesis = Genesis::decode(&bytes).map_err(wrong(0))?;
    let found = genesis.chain_id();
    if found != trusted {
        return Err(ExportError::OtherChain { trusted, found });
    }
    let mut replay = Replay::new(&genesis)?;
    // Everything rests on those who validated at the beginning: as the first step of a proof does.
    let age_ns = now_ns.saturating_sub(replay.tip().time_ns);
    if options.trusting_period_ns.is_some_and(|period| period < age_ns) {
        return Err(ExportError::Expired { days: age_ns / DAY_NS });
    }
    loop {
        let after = replay.tip().height;
        let Some(bytes) = take(input, after, BLOCK_MOST)? else { return Ok(replay) };
        let decided: Decided =
            decode("a committed block", &bytes, BLOCK_MOST).map_err(wrong(after))?;
        replay.apply(&decided)?;
    }
}
