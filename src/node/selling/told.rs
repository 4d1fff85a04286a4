//! What the role tells of, and how it is doing.

use std::collections::BTreeMap;
use std::time::Instant;

use chronolith_chain::hash::{Hash, RequestId, SubscriptionId};

use super::calls::WebhookStatus;
use crate::market::bought::Bought;
use crate::market::events::SaleId;

/// What the role tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SellingEvent {
    /// A request was granted.
    Granted {
        /// Which.
        request: RequestId,
    },
    /// A request was answered.
    Answered {
        /// Which.
        request: RequestId,
    },
    /// A request was declined.
    Declined {
        /// Which.
        request: RequestId,
    },
    /// A request waits for the owner's word; told once for each reason.
    Waits {
        /// Which.
        request: RequestId,
        /// Why.
        reason: String,
    },
    /// The keys of a period were given.
    Drawn {
        /// Of which subscription.
        subscription: SubscriptionId,
        /// The period's number.
        period: u32,
    },
    /// What was bought is in the database.
    Received {
        /// By which request.
        request: RequestId,
        /// How many chunks.
        chunks: usize,
        /// How many records.
        records: u64,
        /// How many chunks were refused.
        refused: usize,
    },
    /// The note of a grant is ready.
    Noted {
        /// Of which request.
        request: RequestId,
        /// How many chunks it names.
        chunks: usize,
    },
    /// A webhook of a contract was called, and its receiver answered.
    Told {
        /// Which: `CONTRACT/WEBHOOK`.
        webhook: String,
        /// The event, step or end.
        on: String,
        /// Of which sale.
        sale: SaleId,
    },
    /// A webhook of a contract cannot be called; where that may change, it is tried again. Told once until
    /// it was.
    Untold {
        /// Which: `CONTRACT/WEBHOOK`.
        webhook: String,
        /// Why.
        reason: String,
    },
    /// Something of a round failed; the next goes on.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Something that was bought, has keys, and is not here, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// What was bought.
    pub bought: Bought,
    /// How many chunks were refused when it was looked at last.
    pub chunks: usize,
    /// Why it is not here: where there is a chunk with a wrong key, that.
    pub reason: String,
    /// The height at which its owner is paid, and the last one for a dispute; none where he was.
    pub settles: Option<u64>,
    /// Whether a key is seen to be wrong, and the time to check is not over: shown to the ledger, it brings the payment
    /// back.
    pub is_disputable: bool,
}

/// How the role is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SellingStatus {
    /// Requests that were granted since the node was started.
    pub granted: u64,
    /// Requests that were answered since then.
    pub answered: u64,
    /// Requests that were declined since then.
    pub declined: u64,
    /// Requests that wait for the owner's word, and why.
    pub waiting: BTreeMap<RequestId, String>,
    /// Rights that were bought and received since then.
    pub received: u64,
    /// What was bought, has keys, and is not here, or not all of it.
    pub not_taken: BTreeMap<RequestId, NotTaken>,
    /// How the webhooks of the contracts are doing, by the contract's hash and the webhook's name.
    pub webhooks: BTreeMap<(Hash, String), WebhookStatus>,
    /// When the last round ended that did all it should; none before the first.
    pub whole_at: Option<Instant>,
    /// Why the last round did not do all.
    pub failure: Option<String>,
}
