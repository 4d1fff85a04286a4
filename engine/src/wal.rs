//! The write-ahead log: what was acknowledged is in it until it is in a run or a chunk.
//!
//! Invariants
//! 1. Frames carry consecutive sequence numbers, over all files of the log.
//! 2. Each frame says up to which sequence the log was known to be synced before it was made. A
//!    frame that cannot be read is *damage* where a later frame, or a clean close, confirms it, and
//!    *torn* only where nothing does: then it was never acknowledged as synced.
//! 3. Nothing is written to a new file of the log before its name is durable.
//! 4. After a failed write or sync the log takes nothing more: what the disk holds is unknown.

pub(crate) mod frame;
pub(crate) mod payload;
pub(crate) mod recovery;
mod tail;
mod ticket;
mod writer;

pub use tail::{Followed, Follower, Logged};
pub use ticket::Ticket;
pub(crate) use writer::{Wal, prepare_file};

/// The number of a batch in the log; later batches have higher numbers.
pub type Sequence = u64;

/// The length of a file of the log without a frame: bytes.
pub(crate) const EMPTY_FILE_BYTES: u64 = frame::FILE_HEADER_BYTES as u64;

/// The folder of the log's files.
pub(crate) const DIR: &str = "wal";

/// The name of a file of the log.
pub(crate) fn file_name(number: u64) -> String {
    format!("{DIR}/{number:012}.wal")
}

/// The number in the name of a file of the log.
pub(crate) fn file_number(name: &str) -> Option<u64> {
    name.strip_suffix(".wal")?.parse().ok()
}
