//! Bounties: a reward that is set aside for whoever has the data.
//!
//! | a bounty is | until | then |
//! |---|---|---|
//! | open | `submit_until` is over | it takes no more submissions |
//! | being judged | `award_until` is over, or all of the reward is awarded | closed |
//!
//! What is not awarded when it closes goes where the bounty says, without anybody asking.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::address::Address;
use crate::coin::{Amount, BasisPoints, Coin};
use crate::content::ContentId;
use crate::hash::{BountyId, OfferId, RequestId};
use crate::ledger::call::{Halt, Ledger};
use crate::ledger::tables::tables;

/// The most submissions that a bounty takes.
pub const SUBMISSIONS_MOST: u32 = 64;

tables! {
    /// A bounty.
    0x50 BountyKey { bounty: BountyId } => Bounty;
    /// What an account submitted to a bounty.
    0x51 SubmissionKey { bounty: BountyId, number: u32 } => Submission;
    /// The number of an account's submission to a bounty.
    0x52 SubmitterKey { bounty: BountyId, submitter: Address } => u32;
}

/// A bounty.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Bounty {
    /// Who posted it and pays.
    pub poster: Address,
    /// The content id of what is wanted, and of all that is agreed.
    pub text: ContentId,
    /// The coin of the reward.
    pub coin: Coin,
    /// The reward.
    pub reward: Amount,
    /// What of it is still set aside.
    pub escrow: Amount,
    /// The share of the reward that was awarded.
    pub awarded: BasisPoints,
    /// The last height at which something can be submitted.
    pub submit_until: u64,
    /// The last height at which something can be awarded.
    pub award_until: u64,
    /// Where goes what nobody was awarded.
    pub leftover: Leftover,
    /// Whose the submitted data is once it is awarded.
    pub ownership: Ownership,
    /// How many submissions there are.
    pub submissions: u32,
    /// Whether it still takes awards.
    pub is_open: bool,
}

/// Where goes what nobody was awarded.
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
pub enum Leftover {
    /// Back to who posted the bounty.
    Poster,
    /// To all who submitted, in equal parts. Where nobody did, back to who posted it.
    Submitters,
}

/// Whose data is once it is awarded: what both agree to by posting and by submitting. The ledger keeps it;
/// courts judge by it.
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
pub enum Ownership {
    /// It stays the submitter's; who posted the bounty may use it.
    Submitter,
    /// It becomes the poster's.
    Poster,
    /// It is both's.
    Both,
}

/// What an account submitted to a bounty.
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
pub struct Submission {
    /// Who submitted it.
    pub submitter: Address,
    /// The content id of what was submitted.
    pub content: ContentId,
    /// Of which offer the right will be, where the data is encrypted.
    pub right: Option<SubmittedRight>,
    /// The share of the reward that it was awarded; none while it was not.
    pub awarded: Option<BasisPoints>,
    /// The request that the award became, where its data is encrypted.
    pub request: Option<RequestId>,
}

/// The right to encrypted data that a submission promises.
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
pub struct SubmittedRight {
    /// The submitter's offer, with the scope and the time to check.
    pub offer: OfferId,
    /// The beginning of what is submitted, in milliseconds since the epoch.
    pub from_ms: u64,
    /// Its end.
    pub until_ms: u64,
}

/// Ends a bounty: what was not awarded goes where the bounty says.
pub(in crate::ledger) fn end_bounty(ledger: &mut Ledger<'_>, bounty: BountyId) -> Result<(), Halt> {
    let key = BountyKey { bounty };
    let Some(mut found) = ledger.get(&key)? else { return Ok(()) };
    if !found.is_open || ledger.height <= found.award_until {
        return Ok(());
    }
    let left = found.escrow;
    found.escrow = Amount::ZERO;
    found.is_open = false;
    ledger.put(&key, &found);
    let heads = match found.leftover {
        Leftover::Submitters => found.submissions,
        Leftover::Poster => 0,
    };
    if heads == 0 {
        return ledger.pay(found.poster, found.coin, left);
    }
    let part = left.share(1, heads.into())?;
    let rest = left.minus(part.times(heads.into())?)?;
    for number in 0..heads {
        let Some(submission) = ledger.get(&SubmissionKey { bounty, number })? else { continue };
        // What cannot be divided goes to who was first.
        let extra = if number == 0 { rest } else { Amount::ZERO };
        ledger.pay(submission.submitter, found.coin, part.plus(extra)?)?;
    }
    Ok(())
}
