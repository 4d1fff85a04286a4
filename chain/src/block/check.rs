//! Making blocks and checking them: one computation, compared field by field.

use std::fmt;

use super::{Block, Tip};
use crate::address::Address;
use crate::certificate::{Certificate, CertificateError};
use crate::encoding::{List, TooLong};
use crate::hash::{BlockId, Hash};
use crate::header::{HEADER_VERSION, Header};
use crate::ledger::{BlockError, Evidence, Executed, Input, Validators, check_limits, execute};
use crate::list::ListRoot;
use crate::state::{State, StateError};
use crate::transaction::{SignatureError, Transaction, Verified};
use crate::validator_set::{ValidatorSet, ValidatorSetError};

/// What a proposer chooses of a block; everything else follows from the chain.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The time in nanoseconds since the epoch, later than that of the block before.
    pub time_ns: u64,
    /// The proposer.
    pub proposer: Address,
    /// The next element of his beacon chain.
    pub beacon: Option<Hash>,
    /// What commits the block before; none for the first.
    pub certificate: Option<Certificate>,
    /// Misdeeds to report.
    pub evidence: List<Evidence, { super::MAX_EVIDENCE }>,
    /// The transactions.
    pub transactions: Vec<Verified>,
}

/// Why a block is none that could follow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBlock {
    /// A field of the header is not what follows from the chain and the block.
    #[error("the header is wrong: {0}")]
    Header(#[from] Mismatch),
    /// The body is not the one that the header is of. Another copy of the block may be good.
    #[error("the body is not that of the header: {0}")]
    Body(Mismatch),
    /// The time is not later than that of the block before.
    #[error("the block's time {found} ns is not after {previous} ns, that of the block before")]
    Time {
        /// The time of the block before.
        previous: u64,
        /// The block's.
        found: u64,
    },
    /// The proposer is no validator of the height.
    #[error("the proposer {proposer} is no validator of the height")]
    Proposer {
        /// The proposer.
        proposer: Address,
    },
    /// A block but the first needs the certificate of the one before; the first has none.
    #[error("a block needs the certificate of the one before, and the first has none")]
    NoCertificate,
    /// The certificate is of another block than the one before.
    #[error("the certificate commits {found} at height {height}, not the block before")]
    OtherBlock {
        /// Its height.
        height: u64,
        /// Its block.
        found: BlockId,
    },
    /// The certificate does not hold.
    #[error("the certificate does not hold: {0}")]
    Certificate(#[from] CertificateError),
    /// A transaction is not signed by its sender. Another copy of the block may be good.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The verified transactions are not those of the block.
    #[error("transaction {index} is not the one that was verified")]
    OtherTransaction {
        /// Its place.
        index: usize,
    },
    /// There are too many transactions.
    #[error("too many transactions: {0}")]
    TooLong(#[from] TooLong),
    /// The block cannot be executed.
    #[error(transparent)]
    Execution(#[from] BlockError),
    /// The state's validators are no set.
    #[error("the state's validators are no set: {0}")]
    Validators(#[from] ValidatorSetError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl InvalidBlock {
    /// Whether the fault is this node's own, and says nothing about the block.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::State(_)
                | Self::Execution(BlockError::State(_))
                | Self::Validators(_)
                | Self::OtherTransaction { .. }
        )
    }

    /// Whether the fault is in this copy of the block, and says nothing about the block of its id:
    /// who passed it on may have put it there.
    #[must_use]
    pub fn is_of_copy(&self) -> bool {
        matches!(self, Self::Body(_) | Self::Signature(_))
    }
}

/// A field of a header that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}, and must be {expected}")]
pub struct Mismatch {
    /// The field.
    pub field: &'static str,
    /// What follows from the chain and the block.
    pub expected: String,
    /// What the header says.
    pub found: String,
}

fn same<T: PartialEq + fmt::Debug>(
    field: &'static str,
    expected: &T,
    found: &T,
) -> Result<(), Mismatch> {
    if expected == found {
        return Ok(());
    }
    Err(Mismatch { field, expected: format!("{expected:?}"), found: format!("{found:?}") })
}

/// What surrounds a block before it is executed.
struct Frame {
    validators: Hash,
    voters: Vec<Address>,
}

/// Checks what can be checked without executing: time, proposer and certificate. That of
/// `committed` was verified when the block before was committed by it.
fn frame(
    tip: &Tip,
    state: &State,
    (time_ns, proposer): (u64, Address),
    certificate: Option<&Certificate>,
    committed: Option<&Certificate>,
) -> Result<Frame, InvalidBlock> {
    if time_ns <= tip.time_ns {
        return Err(InvalidBlock::Time { previous: tip.time_ns, found: time_ns });
    }
    let Validators { last, next } = Validators::of(state)?;
    let set = ValidatorSet::from_seats(&next)?;
    if set.index_of(proposer).is_none() {
        return Err(InvalidBlock::Proposer { proposer });
    }
    let voters = match (certificate, tip.height) {
        (None, 0) => Vec::new(),
        (Some(certificate), 1..) => {
            let (height, found) = (certificate.height(), certificate.block());
            if (height, found) != (tip.height, tip.block) {
                return Err(InvalidBlock::OtherBlock { height, found });
            }
            let last = ValidatorSet::from_seats(&last)?;
            if committed != Some(certificate) {
                certificate.verify(&last, tip.chain)?;
            }
            certificate.voters(&last)
        }
        _ => return Err(InvalidBlock::NoCertificate),
    };
    Ok(Frame { validators: set.hash(), voters })
}

impl Draft {
    /// Makes the block, and what it makes of the state.
    ///
    /// # Errors
    /// Whatever would make it invalid, so that nothing invalid is ever proposed. For a transaction
    /// that cannot be in it, take that one out and try again.
    pub fn build(self, tip: &Tip, state: &State) -> Result<(Block, Executed), InvalidBlock> {
        self.build_after(tip, state, None)
    }

    /// The same for one who committed the block before by a certificate that he verified: if it is
    /// this one, it is not verified again.
    pub(crate) fn build_after(
        self,
        tip: &Tip,
        state: &State,
        committed: Option<&Certificate>,
    ) -> Result<(Block, Executed), InvalidBlock> {
        let Self { time_ns, proposer, beacon, certificate, evidence, transactions } = self;
        let Frame { validators, voters } =
            frame(tip, state, (time_ns, proposer), certificate.as_ref(), committed)?;
        let height = tip.height.saturating_add(1);
        let executed = execute(
            state,
            &Input {
                chain: tip.chain,
                height,
                time_ms: time_ns / 1_000_000,
                proposer: Some(proposer),
                beacon,
                voters: &voters,
                evidence: &evidence,
                transactions: &transactions,
            },
        )?;
        let header = Header {
            version: HEADER_VERSION,
            chain: tip.chain,
            height,
            time_ns,
            previous: tip.block,
            certificate: Certificate::hash_of(certificate.as_ref()),
            transactions: executed.transactions,
            evidence: ListRoot::of(evidence.iter()),
            state_root: executed.prepared.head().root,
            receipts: executed.receipts_root,
            validators,
            next_validators: ValidatorSet::from_seats(&executed.next_seats)?.hash(),
            history_root: tip.history.root(),
            beacon,
            proposer,
        };
        let transactions = transactions.into_iter().map(Verified::into_transaction);
        let transactions = List::new(transactions.collect::<Vec<_>>())?;
        Ok((Block { header, certificate, evidence, transactions }, executed))
    }
}

/// A block of which everything is checked but its transactions.
pub struct Framed<'a> {
    block: &'a Block,
    tip: &'a Tip,
    state: &'a State,
    voters: Vec<Address>,
}

impl Block {
    /// Checks the block against the end of one's own chain and the state there, all signatures
    /// included, and gives what it makes of the state.
    ///
    /// # Errors
    /// Why it is none that could follow; see [`InvalidBlock::is_local`].
    pub fn check(&self, tip: &Tip, state: &State) -> Result<Executed, InvalidBlock> {
        let framed = self.check_frame(tip, state, None)?;
        let transactions = Transaction::verify_all(self.transactions.to_vec())?;
        framed.execute(&transactions)
    }

    /// Checks everything but the transactions, what costs least first, for those who have some of
    /// the transactions verified already. Who committed the block before by a certificate that he
    /// verified gives it as `committed`: if it is the block's, it is not verified again.
    ///
    /// # Errors
    /// As [`Block::check`].
    pub fn check_frame<'a>(
        &'a self,
        tip: &'a Tip,
        state: &'a State,
        committed: Option<&Certificate>,
    ) -> Result<Framed<'a>, InvalidBlock> {
        self.check_place(tip)?;
        self.check_body().map_err(InvalidBlock::Body)?;
        check_limits(state, &self.transactions)?;
        let Header { time_ns, proposer, .. } = self.header;
        let certificate = self.certificate.as_ref();
        let Frame { validators, voters } =
            frame(tip, state, (time_ns, proposer), certificate, committed)?;
        same("the hash of the validators", &validators, &self.header.validators)?;
        Ok(Framed { block: self, tip, state, voters })
    }

    /// Checks where the header belongs.
    fn check_place(&self, tip: &Tip) -> Result<(), Mismatch> {
        let header = &self.header;
        same("the version", &HEADER_VERSION, &header.version)?;
        same("the chain", &tip.chain, &header.chain)?;
        same("the height", &tip.height.saturating_add(1), &header.height)?;
        same("the block before", &tip.block, &header.previous)?;
        same("the root of the history", &tip.history.root(), &header.history_root)
    }

    /// Checks that the body is the one that the header is of, but for its signatures.
    fn check_body(&self) -> Result<(), Mismatch> {
        let header = &self.header;
        let certificate = Certificate::hash_of(self.certificate.as_ref());
        same("the hash of the certificate", &certificate, &header.certificate)?;
        same("the root of the evidence", &ListRoot::of(self.evidence.iter()), &header.evidence)?;
        let ids = ListRoot::of(self.transactions.iter().map(|transaction| transaction.body.id()));
        same("the root of the transactions", &ids, &header.transactions)
    }
}

impl Framed<'_> {
    /// Executes the block, and compares what comes of it with the header. The transactions are
    /// those of the block, verified.
    ///
    /// # Errors
    /// As [`Block::check`].
    pub fn execute(self, verified: &[Verified]) -> Result<Executed, InvalidBlock> {
        let Self { block, tip, state, voters } = self;
        let header = &block.header;
        let both = block.transactions.iter().zip(verified);
        let is_same = |(ours, theirs): (&Transaction, &Verified)| ours == theirs.transaction();
        let known = both.take_while(|pair| is_same(*pair)).count();
        if known != block.transactions.len() || known != verified.len() {
            return Err(InvalidBlock::OtherTransaction { index: known });
        }
        let executed = execute(
            state,
            &Input {
                chain: tip.chain,
                height: header.height,
                time_ms: header.time_ms(),
                proposer: Some(header.proposer),
                beacon: header.beacon,
                voters: &voters,
                evidence: &block.evidence,
                transactions: verified,
            },
        )?;
        same("the root of the state", &executed.prepared.head().root, &header.state_root)?;
        same("the root of the receipts", &executed.receipts_root, &header.receipts)?;
        let next = ValidatorSet::from_seats(&executed.next_seats)?.hash();
        same("the hash of the next validators", &next, &header.next_validators)?;
        Ok(executed)
    }
}
