//! From what is trusted to the header of a snapshot.

use super::SnapshotHead;
use crate::block::Tip;
use crate::hash::Hash;
use crate::history::Node;
use crate::light::{Options, Step, StepError, Trusted};
use crate::state::{PieceCheck, SnapshotError};

/// The most sets of validators on the way.
const STEPS_MOST: usize = 1 << 16;

/// Why what a peer offers is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// A step cannot be made.
    #[error("the header of height {height} is not trusted: {reason}")]
    Step {
        /// Its height.
        height: u64,
        /// Why.
        reason: StepError,
    },
    /// There are more sets of validators on the way than are followed.
    #[error("more than {STEPS_MOST} sets of validators on the way; trust a later block")]
    TooFar,
    /// The block is not later than the trusted one.
    #[error("the snapshot is of height {found}, and height {trusted} is trusted already")]
    Old {
        /// The trusted height.
        trusted: u64,
        /// The snapshot's.
        found: u64,
    },
    /// What is told of earlier blocks is not what the header commits to.
    #[error("the history before height {height} is not that of the header")]
    History {
        /// The height.
        height: u64,
    },
    /// The state is cut as none is.
    #[error(transparent)]
    Cut(#[from] SnapshotError),
}

impl OfferError {
    /// Whether no honest peer offers this. A header that is too old or too new to be trusted, or of a later
    /// version, is an honest one's as well.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Step { reason, .. } => !matches!(
                reason,
                StepError::Expired { .. } | StepError::Time { .. } | StepError::Version { .. }
            ),
            Self::TooFar | Self::Old { .. } => false,
            Self::History { .. } | Self::Cut(_) => true,
        }
    }
}

/// The way from what is trusted to a snapshot's header, as far as it was gone. Each step is by the set
/// that the one before it names: so the sets of all heights on the way are known in the end.
#[derive(Debug, Clone)]
pub struct Approach {
    since: u64,
    trusted: Trusted,
    steps: Vec<Step>,
}

/// A snapshot whose header is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    pub(super) since: u64,
    pub(super) steps: Vec<Step>,
    pub(super) head: SnapshotHead,
}

impl Approach {
    /// Begins at what is trusted.
    #[must_use]
    pub fn new(trusted: Trusted) -> Self {
        Self { since: trusted.height(), trusted, steps: Vec::new() }
    }

    /// The last height that is trusted.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.trusted.height()
    }

    /// Goes on to a later header, at a time in nanoseconds since the epoch.
    ///
    /// # Errors
    /// Why it is not trusted; the way stays as it is.
    pub fn step(&mut self, step: Step, now_ns: u64, options: &Options) -> Result<(), OfferError> {
        let failed = |reason| OfferError::Step { height: step.header.height, reason };
        if self.steps.len() >= STEPS_MOST {
            return Err(OfferError::TooFar);
        }
        let (expected, found): (Hash, Hash) =
            (self.trusted.next_validators(), step.header.validators);
        if expected != found {
            return Err(failed(StepError::NextSet { expected, found }));
        }
        self.trusted = self.trusted.advance(&step, now_ns, options).map_err(failed)?;
        self.steps.push(step);
        Ok(())
    }

    /// Goes on to the header of a snapshot, and checks what is offered with it.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn arrive(
        mut self,
        head: SnapshotHead,
        now_ns: u64,
        options: &Options,
    ) -> Result<Approved, OfferError> {
        let (height, trusted) = (head.height(), self.height());
        if height <= trusted {
            return Err(OfferError::Old { trusted, found: height });
        }
        self.step(head.step.clone(), now_ns, options)?;
        let is_whole = head.history.count() == height;
        if !is_whole || head.history.root() != head.step.header.history_root {
            return Err(OfferError::History { height });
        }
        PieceCheck::new(head.state(), head.bits)?;
        Ok(Approved { since: self.since, steps: self.steps, head })
    }
}

impl Approved {
    /// What is offered.
    #[must_use]
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// The height that was trusted beforehand; 0 of the genesis.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// The way from there, the snapshot's block at last.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the next block builds on, and the subtrees of the history that are known.
    pub(in crate::consensus) fn tip(&self) -> (Tip, Vec<Node>) {
        let SnapshotHead { step, history, .. } = &self.head;
        let header = &step.header;
        let mut nodes = history.peaks();
        let mut tip = Tip {
            chain: header.chain,
            height: header.height,
            block: header.id(),
            time_ns: header.time_ns,
            history: history.clone(),
        };
        nodes.extend(tip.advance(header));
        (tip, nodes)
    }
}
