//! What can go wrong with a fetch, and what peers do wrong.

use chronolith_chain::content::ContentId;
use chronolith_fragment::FragmentFault;

use super::folder::FolderError;
use super::report::Report;
use crate::join::Lie;
use crate::network::RequestError;
use crate::pack::PackError;
use crate::partial::ReadError;

/// What a peer sent that no honest one does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchLie {
    /// No answer, or one to another question.
    #[error("an answer that is none")]
    Nonsense,
    /// As the pack's header, something else.
    #[error("{bytes} bytes that are not the header of the pack")]
    Header {
        /// How many.
        bytes: usize,
    },
    /// A list of fragments that does not rise.
    #[error("a list of fragments that is out of order")]
    Held,
    /// A fragment that it was not asked for.
    #[error("fragment {found} where {asked} was asked for")]
    OtherFragment {
        /// Which was asked for.
        asked: u8,
        /// Which it sent.
        found: u8,
    },
    /// Something that is not the fragment.
    #[error("fragment {asked}: {lie}")]
    Fragment {
        /// Which was asked for.
        asked: u8,
        /// What is wrong with what it sent.
        lie: Lie,
    },
    /// Something that is not the blocks.
    #[error("blocks of fragment {fragment}: {fault}")]
    Blocks {
        /// Of which fragment.
        fragment: u8,
        /// What is wrong with what it sent.
        fault: FragmentFault,
    },
}

/// Why a peer that does not lie is not asked any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It refuses to say what it keeps.
    #[error("it refuses: {0}")]
    Refused(String),
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Nobody gave the pack's header.
    #[error("nobody gave the header of the pack {pack}: {report}")]
    NoHeader {
        /// Of which pack.
        pack: ContentId,
        /// Who was asked.
        report: Box<Report>,
    },
    /// What the pack's content id names is no header: a fault of whoever made it.
    #[error("{pack} names no pack: {source}")]
    NoPack {
        /// What was to be fetched.
        pack: ContentId,
        /// What is wrong with it.
        source: PackError,
    },
    /// All who may have fragments were asked, and that is not enough.
    #[error("{found} of the {needed} fragments that restore the pack {pack} can be had: {report}")]
    TooFew {
        /// Of which pack.
        pack: ContentId,
        /// How many are there.
        found: usize,
        /// How many are needed.
        needed: u8,
        /// Who was asked.
        report: Box<Report>,
    },
    /// The time is over.
    #[error(
        "the time is over with {found} of the {needed} fragments that restore the pack {pack}: \
         {report}"
    )]
    Late {
        /// Of which pack.
        pack: ContentId,
        /// How many are there.
        found: usize,
        /// How many are needed; 0 where not even the header is there.
        needed: u8,
        /// Who was asked.
        report: Box<Report>,
    },
    /// The secret is not that of the pack.
    #[error("the secret is not the one that the pack {pack} is masked by")]
    OtherSecret {
        /// Which pack.
        pack: ContentId,
    },
    /// The item cannot be read.
    #[error("{source}: {report}")]
    Read {
        /// Why not.
        source: ReadError,
        /// Who was asked.
        report: Box<Report>,
    },
    /// What arrived cannot be kept.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl FetchError {
    /// Who was asked, and what they gave.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::NoHeader { report, .. }
            | Self::TooFew { report, .. }
            | Self::Late { report, .. }
            | Self::Read { report, .. } => Some(report),
            _ => None,
        }
    }
}
