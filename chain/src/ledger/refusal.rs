//! Why an action is refused.

use borsh::{BorshDeserialize, BorshSerialize};

use super::parameters::ParameterName;
use crate::coin::{Amount, CoinError};
use crate::hash::Hash;

/// What an action is about.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is what it is called")]
#[non_exhaustive]
pub enum Thing {
    Account,
    Coin,
    Validator,
    ConsensusKey,
    Delegation,
    Proposal,
    Device,
    Anchor,
    Pack,
    Offer,
    Request,
    Peer,
    Lease,
    Service,
    Certificate,
    Fragment,
    Attestation,
    Evidence,
    Audit,
    Answer,
    Bounty,
    Submission,
    Deal,
    Step,
    Arbiter,
    Subscription,
    Period,
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::ConsensusKey => "consensus key".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        f.write_str(&name)
    }
}

/// Why an action is refused. Its transaction stays in the block, and its fee is paid.
///
/// Receipts hold these, so their numbers are for ever: a new one comes last.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    thiserror::Error,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Refusal {
    /// A sum overflows, or there is not enough.
    #[error(transparent)]
    Coin(#[from] CoinError),
    /// An amount, a count or a length is zero.
    #[error("nothing is asked for: an amount or a count is zero")]
    Zero,
    /// There is no such thing.
    #[error("there is no such {0}")]
    Missing(Thing),
    /// There is one already.
    #[error("there is such a {0} already")]
    Exists(Thing),
    /// The sender may not do that with the thing.
    #[error("the sender may not do this with the {0}")]
    NotAllowed(Thing),
    /// The thing is in a state in which this cannot be done.
    #[error("the {0} is in a state in which this cannot be done")]
    Status(Thing),
    /// It is too early.
    #[error("this can be done from height {from} on")]
    Early {
        /// The first height.
        from: u64,
    },
    /// It is too late.
    #[error("this could be done before height {until}")]
    Late {
        /// The height that it had to be done before.
        until: u64,
    },
    /// A signature of the other party does not hold.
    #[error("the other party's consent does not hold: sign the {0} of this very action")]
    Consent(Thing),
    /// The catalogue does not begin where the last one ended.
    #[error(
        "the device's catalogue has the root {expected}, not {found}: anchor what comes before"
    )]
    Catalogue {
        /// The root on the ledger.
        expected: Hash,
        /// The root before the batch that was given.
        found: Hash,
    },
    /// A number is outside its bounds.
    #[error("{found} is not between {minimum} and {maximum}")]
    Bounds {
        /// The least allowed.
        #[serde(with = "crate::json::decimal")]
        minimum: u128,
        /// The most allowed.
        #[serde(with = "crate::json::decimal")]
        maximum: u128,
        /// What was given.
        #[serde(with = "crate::json::decimal")]
        found: u128,
    },
    /// It would change nothing.
    #[error("this changes nothing")]
    NoChange,
    /// The payment is not the price.
    #[error("the price is {expected}")]
    Price {
        /// The price.
        expected: Amount,
    },
    /// A time range is empty, or reaches beyond what it may.
    #[error("the time range is empty, or outside of what is offered or owned")]
    Range,
    /// The puzzle's answer is wrong, or of an older lot.
    #[error("the puzzle's answer does not fit the last lot's seed")]
    Puzzle,
    /// The two messages do not prove misbehaviour.
    #[error("the evidence proves nothing: both messages must be signed by one key, and differ")]
    Harmless,
    /// More of something than is allowed.
    #[error("no more than {limit} are allowed")]
    Limit {
        /// How many.
        limit: u64,
    },
    /// The fragments are not those of the lease.
    #[error("the fragments are not those of the lease")]
    Entries,
    /// This version of the protocol has no such action yet.
    #[error("the protocol has this action from version {since} on")]
    Protocol {
        /// The first version that has it.
        since: u16,
    },
    /// The check that this action asks for is not built yet; nothing was changed.
    #[error("this version cannot check what the action claims")]
    Unavailable,
    /// A secret that was revealed is not that of the request.
    #[error("the secret is not that of the request's one-time key")]
    Secret,
    /// Sealed keys that were shown are not those of the grant.
    #[error("the sealed roots are not those that were granted")]
    Sealed,
    /// A header is not that of an encrypted chunk.
    #[error("byte {offset} of the header could not stand in that of an encrypted chunk")]
    Header {
        /// Where it is not.
        offset: u32,
    },
    /// A header is not at its place in an anchored batch.
    #[error("the header is not at this place of the anchored batch")]
    Path,
    /// A batch was anchored by somebody who did not speak for the device then.
    #[error("the batch was not anchored for the device in the time of its key tree")]
    Anchorer,
    /// A chunk is not one that the right covers.
    #[error("the right does not cover this chunk")]
    Scope,
    /// The keys that were given are right.
    #[error("the granted roots give the key that the chunk's header commits to")]
    KeysHold,
    /// What is revealed is not what was committed to.
    #[error("the secret is not the one that the pack was placed with")]
    MaskSecret,
    /// A block is not the one that a root commits to.
    #[error("the block of fragment {fragment} is not the one that the pack's root commits to")]
    Block {
        /// Which fragment it should be of.
        fragment: u8,
    },
    /// Blocks that should contradict each other belong together.
    #[error("the blocks belong together: they show no wrong encoding")]
    Sound,
    /// An answer that should be a lie is right.
    #[error("the answer is right: it shows no lie")]
    Honest,
    /// An answer that somebody else made, or to another question.
    #[error("the peer did not sign this answer to what the ledger asks it")]
    Unsigned,
    /// A parameter that only a genesis sets.
    #[error("the parameter {name:?} is set at genesis for ever")]
    Fixed {
        /// Which one.
        name: ParameterName,
    },
    /// An offer sells something else: answers where keys are given, or keys where an answer is.
    #[error("the offer sells answers and gives no keys, or keys and no answers")]
    Delivery,
    /// A sealed answer is the one that was signed.
    #[error("the sealed answer is the one that its content id says")]
    AnswerHolds,
    /// An award that has a key and needs none, or needs one and has none.
    #[error(
        "the award of submission {number} has a key if and only if the submission is encrypted"
    )]
    AwardKey {
        /// The number of the submission.
        number: u32,
    },
    /// A deal is at another step.
    #[error("the deal is at step {expected}, not {found}")]
    Order {
        /// The step it is at.
        expected: u8,
        /// The one that was given.
        found: u8,
    },
    /// A period of a subscription that is not over.
    #[error("the period ends at {until_ms} ms: its price is drawn afterwards")]
    Unfinished {
        /// Its end, in milliseconds since the epoch.
        until_ms: u64,
    },
}
