//! The owner's side of the market: what he offers, who asks for it, and what he gives.
//!
//! | file | |
//! |---|---|
//! | `venue.rs` | the chain that deals are made on: one in a directory, or that of a running node |
//! | `scope.rs` | which metrics of a database a scope of the ledger is of |
//! | `offer.rs` | offers, and what those are told who may buy hidden data |
//! | `book.rs` | what the owner's node decides by: data contracts, or a policy |
//! | `policy.rs` | which requests are granted without asking, where an offer names no contract |
//! | `queue.rs` | the requests that wait for the owner, and the list of every use |
//! | `grant.rs` | keys for a request, sealed to its buyer |
//! | `bought.rs` | what keys are given for: a request, or a period of a subscription |
//! | `subscription.rs` | rights that go on, period by period |
//! | `question.rs`, `answering.rs`, `asking.rs` | answers that are sold instead of data: what is asked, what is left out, what it costs of the budget |
//! | `bounty.rs` | rewards for data that nobody offers: posted, submitted to, awarded |
//! | `deal.rs` | deals of several steps: opened, joined, brought forward, decided |
//! | `agreement.rs` | deals that go by a data contract: their plans, and what the contract says of them |
//! | `note.rs` | what the buyer is told beside them: where the chunks are, and their proofs |
//! | `notes.rs` | notes that wait for their buyers |
//! | `events.rs` | what happens to sales under contracts, and which webhooks are to hear of it |
//! | `history.rs` | what was sold on a chain, for reference prices |
//! | `purse.rs` | what must not be lost: salts of offers, secrets of requests |
//!
//! The buyer's side is `src/buyer.rs`.

/// Errors that are kept in boxes, so that results stay small.
macro_rules! boxed_errors {
    ($of:ident: $($variant:ident($error:ty)),+) => {$(
        impl From<$error> for $of {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        }
    )+};
}

pub mod agreement;
pub mod answering;
pub mod asking;
pub mod book;
pub mod bought;
pub mod bounty;
pub mod deal;
pub mod events;
pub mod grant;
pub mod history;
pub mod note;
pub mod notes;
pub mod offer;
pub mod policy;
pub mod purse;
pub mod question;
pub mod queue;
pub mod scope;
pub mod subscription;
pub mod venue;

use chronolith_chain::ledger::Refusal;

pub use venue::{Venue, VenueError};

/// Why a step of a deal fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarketError {
    /// The chain.
    #[error(transparent)]
    Venue(#[from] VenueError),
    /// The database.
    #[error(transparent)]
    Read(Box<chronolith_engine::ReadError>),
    /// The keys.
    #[error(transparent)]
    Key(Box<chronolith_engine::KeyError>),
    /// Batches of the database.
    #[error(transparent)]
    Anchor(Box<crate::chain::anchor::AnchorError>),
    /// What a scope is of.
    #[error(transparent)]
    Scope(Box<scope::ScopeError>),
    /// Secrets of offers and requests.
    #[error(transparent)]
    Purse(Box<purse::PurseError>),
    /// The time range has no windows.
    #[error(transparent)]
    Windows(#[from] chronolith_keys::WindowsError),
    /// The keys are no grant.
    #[error(transparent)]
    Grant(Box<chronolith_keys::GrantError>),
    /// Nothing can be sealed to the buyer.
    #[error(transparent)]
    Seal(#[from] chronolith_keys::SealError),
    /// A note.
    #[error(transparent)]
    Note(Box<note::NoteError>),
    /// What happens to sales under contracts.
    #[error(transparent)]
    Events(Box<events::EventsError>),
    /// Blocks of the node's chain.
    #[error("the node's blocks cannot be read: {0}")]
    Blocks(Box<chronolith_chain::consensus::StoreError>),
    /// The node stops.
    #[error("the node stops; it goes on with this when it is started again")]
    Stopped,
    /// The folder of notes.
    #[error("cannot keep the note of a grant: {0}")]
    Notes(#[source] std::io::Error),
    /// Packs.
    #[error(transparent)]
    Pack(Box<crate::packs::PackFileError>),
    /// There is no such thing on the ledger.
    #[error("the ledger has no {what} {id}")]
    Missing {
        /// What.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// It is not kept here.
    #[error("there is no {what} {id} here: ask where it was made")]
    NotHere {
        /// What.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Whoever buys what he was not told of could neither check nor open it.
    #[error(
        "the offer {0} hides what it is of: give the disclosure that its owner told to those who may buy"
    )]
    Undisclosed(chronolith_chain::hash::OfferId),
    /// What was told is not what the offer hides.
    #[error(
        "the disclosure is not what the offer {0} hides, or it hides nothing: ask its owner for the one of this offer"
    )]
    OtherDisclosure(chronolith_chain::hash::OfferId),
    /// There is nothing to dispute.
    #[error("the answer {0} is what its owner signed: there is nothing to dispute")]
    Holds(chronolith_chain::content::ContentId),
    /// It is not the state in which this can be done.
    #[error("the {of} {id} is {status}: {what}")]
    Status {
        /// A request, or a period of a subscription.
        of: &'static str,
        /// Its id.
        id: String,
        /// What became of it.
        status: &'static str,
        /// What can be done.
        what: &'static str,
    },
    /// What is given or disputed would come too late to count, and could be read all the same.
    #[error(
        "what comes for the {what} {id} counts in a block up to height {until}, and this is height {height}: it is \
         too late"
    )]
    TooLate {
        /// A request, a subscription or a period of one.
        what: &'static str,
        /// Its id.
        id: String,
        /// The last height at which it counts.
        until: u64,
        /// Where the chain is.
        height: u64,
    },
    /// Somebody else of this process does the same.
    #[error("the {what} {id} is being {doing} already: look what comes of it")]
    UnderWay {
        /// A request, or a period of a subscription.
        what: &'static str,
        /// Its id.
        id: String,
        /// What is done.
        doing: &'static str,
    },
    /// What a contract says cannot be offered.
    #[error("the contract {name}: {reason}")]
    Contract {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// It is another's.
    #[error("the {what} {id} is another account's")]
    Other {
        /// What.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The ledger would refuse.
    #[error("the ledger would refuse this: {0}")]
    Refusal(Refusal),
    /// A contract's rule cannot be evaluated.
    #[error(transparent)]
    Rule(Box<chronolith_contract::rule::EvaluationError>),
    /// A question cannot be answered.
    #[error(transparent)]
    Question(Box<question::QuestionError>),
    /// A deal does not go by its contract.
    #[error(transparent)]
    Agreement(Box<agreement::AgreementError>),
    /// Shares of a reward that cannot be awarded together.
    #[error("at most 64 shares are awarded at a time, and each submission has one: {0}")]
    Shares(chronolith_chain::encoding::TooLong),
    /// A price is beyond what there is.
    #[error(transparent)]
    Coin(#[from] chronolith_chain::coin::CoinError),
}

boxed_errors! {
    MarketError: Read(chronolith_engine::ReadError), Key(chronolith_engine::KeyError),
    Anchor(crate::chain::anchor::AnchorError), Scope(scope::ScopeError), Purse(purse::PurseError),
    Note(note::NoteError), Pack(crate::packs::PackFileError), Grant(chronolith_keys::GrantError),
    Rule(chronolith_contract::rule::EvaluationError), Events(events::EventsError),
    Question(question::QuestionError), Agreement(agreement::AgreementError)
}
