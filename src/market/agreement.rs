//! Deals on the ledger that go by a data contract.
//!
//! | file | |
//! |---|---|
//! | `happened.rs` | what happened to a deal, for the contract's webhooks |
//! | `table.rs` | the plan that a contract's steps make, and whether a deal has it |
//! | `answers.rs` | the contract's queries, asked of the data that was delivered |
//! | `course.rs`, `shown.rs` | where a deal is by its contract, who gets what, and how that is told |
//!
//! The ledger holds the coin and the deadlines. Where conditions or data decide, the deal goes to its arbiter, who
//! follows the contract and finds what everybody else finds who has the data.

mod answers;
mod course;
mod happened;
mod shown;
mod table;

use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::TooLong;
use chronolith_contract::steps::{FollowError, ForwardError};

pub use answers::{Answers, answers};
pub use course::{Course, follow};
pub use happened::{Happened, happened};
pub use shown::{record, summary};
pub use table::{Agreed, Member, check, plan};

use super::question::QuestionError;

/// Why a contract is no deal on the ledger, or a deal none of the contract.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgreementError {
    /// Its steps are none that the ledger has.
    #[error("the contract {name} is no deal on the ledger: {reason}")]
    Forward {
        /// Its name.
        name: String,
        /// Why.
        reason: ForwardError,
    },
    /// Nobody was named for a party.
    #[error("the contract's party {0:?} is missing: name its account")]
    NoParty(String),
    /// Somebody was named who is no party.
    #[error("the contract has no party {found:?}; it has {known}")]
    Stranger {
        /// Who was named.
        found: String,
        /// Who it has.
        known: String,
    },
    /// Conditions or data decide, and nobody was named who judges.
    #[error("conditions of the contract decide, and the ledger knows none: name an arbiter")]
    NoArbiter,
    /// Somebody else is to judge than the contract says.
    #[error("the contract leaves decisions to its party {0:?}: nobody else can be the arbiter")]
    OtherArbiter(String),
    /// The contract counts time, and the ledger blocks.
    #[error("the contract counts time, and the ledger blocks: say how long a block takes")]
    NoPace,
    /// More than the ledger takes.
    #[error("the contract has too many parties, steps or ends for the ledger: {0}")]
    TooMany(#[from] TooLong),
    /// Its coin is none.
    #[error("the coin {0:?} of the contract is none")]
    Coin(String),
    /// A step takes longer than the ledger counts.
    #[error("the step {0} takes more blocks than the ledger counts")]
    Long(String),
    /// The deal is of another contract.
    #[error("the deal is of the contract {found}, and this one is {this}")]
    Contract {
        /// What the deal names.
        found: ContentId,
        /// What was given.
        this: ContentId,
    },
    /// The deal says that it is of the contract, and its plan is another.
    #[error(
        "the deal names the contract, and its {0} are not what the contract says: do not join it"
    )]
    Plan(&'static str),
    /// What is on the ledger is not what the contract allows.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The database cannot be read.
    #[error(transparent)]
    Read(chronolith_engine::ReadError),
    /// A query cannot be answered.
    #[error("the contract's query {name}: {reason}")]
    Query {
        /// Its name.
        name: String,
        /// Why.
        reason: QuestionError,
    },
}

impl AgreementError {
    /// Whether the same may succeed another time.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Query { reason: QuestionError::Limit(_), .. } | Self::Read(_))
    }
}
