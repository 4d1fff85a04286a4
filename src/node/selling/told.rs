//! What the role tells of, and how it is doing.

use std::collections::BTreeMap;
use std::time::Instant;

use chronolith_chain::hash::{Hash, RequestId, SubscriptionId};

use super::calls::WebhookStatus;
use crate::buyer::{Received, Refused};
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

/// What of something that was bought was not taken when it was looked at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// What was bought.
    pub bought: Bought,
    /// How many chunks were refused.
    pub chunks: usize,
    /// Why one of them was: where there is one with a wrong key, that one.
    pub reason: String,
    /// Whether a key is wrong: shown to the ledger, it brings the payment back.
    pub is_disputable: bool,
}

impl NotTaken {
    /// Of what was received; none where all of it was taken.
    pub(super) fn of(bought: Bought, received: &Received) -> Option<Self> {
        let refused = &received.refused;
        let disputable = refused.iter().find(|one| one.is_disputable());
        let shown: &Refused = disputable.or_else(|| refused.first())?;
        Some(Self {
            bought,
            chunks: refused.len(),
            reason: shown.fault.to_string(),
            is_disputable: disputable.is_some(),
        })
    }
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
    /// Rights that were bought, have keys, and of which something was not taken.
    pub not_taken: BTreeMap<RequestId, NotTaken>,
    /// How the webhooks of the contracts are doing, by the contract's hash and the webhook's name.
    pub webhooks: BTreeMap<(Hash, String), WebhookStatus>,
    /// When the last round ended that did all it should; none before the first.
    pub whole_at: Option<Instant>,
    /// Why the last round did not do all.
    pub failure: Option<String>,
}
