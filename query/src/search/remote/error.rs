//! Why what others told cannot be kept or read.

use std::io;

/// Why what others told cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The disk fails.
    #[error("{place}: {source}")]
    Disk {
        /// The file.
        place: String,
        /// What the disk says.
        source: io::Error,
    },
    /// Another process changes it.
    #[error("{place} is being changed by another process; try again when it is done")]
    Locked {
        /// The file.
        place: String,
    },
    /// A newer program wrote it.
    #[error("{place} is of version {found}, which this program does not read")]
    Version {
        /// The file.
        place: String,
        /// The version.
        found: u32,
    },
    /// Bytes are not as they were written.
    #[error("{place} is damaged at byte {at}: {problem}; chronolith remote repair keeps the rest")]
    Damaged {
        /// The file.
        place: String,
        /// Where: bytes from its beginning.
        at: u64,
        /// What is wrong.
        problem: String,
    },
    /// An earlier write failed, after which nothing is certain.
    #[error("an earlier write to {place} failed; open it again")]
    Failed {
        /// The file.
        place: String,
    },
}

impl RemoteError {
    pub(super) fn disk(place: &str, source: io::Error) -> Self {
        Self::Disk { place: place.to_owned(), source }
    }

    pub(super) fn damaged(place: &str, at: u64, problem: impl Into<String>) -> Self {
        Self::Damaged { place: place.to_owned(), at, problem: problem.into() }
    }
}
