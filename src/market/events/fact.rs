//! What the ledger says of a sale, by the names that contracts have for it.

use chronolith_chain::coin::Amount;
use chronolith_chain::ledger::{
    Delivery, Period, PeriodStatus, Right, RightStatus, Subscription, SubscriptionStatus,
};
use chronolith_contract::{BUYER, EventKind, OWNER};
use serde::{Deserialize, Serialize};

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// Who sells.
    Owner,
    /// Who buys.
    Buyer,
}

impl Party {
    /// The name in contracts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => OWNER,
            Self::Buyer => BUYER,
        }
    }
}

/// Something that happened to a sale. It happens once, to the sale or to one of its periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What.
    pub event: EventKind,
    /// Whose doing it was.
    pub by: Party,
    /// Of which period of a subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// The price of what it is about.
    pub price: Amount,
}

/// What is known to have happened to a request although its status does not show it: a later one covers it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Covered {
    /// Its buyer cancelled it; then it was granted or declined all the same, or the payment went back.
    pub cancelled: bool,
    /// The owner was paid; then he took it back.
    pub settled: bool,
}

/// What happened to a request, in its order.
#[must_use]
pub fn of_right(right: &Right, delivery: Delivery, covered: Covered) -> Vec<Fact> {
    let fact = |event, by| Fact { event, by, period: None, price: right.price };
    let given = match delivery {
        Delivery::Keys => fact(EventKind::Granted, Party::Owner),
        Delivery::Answers { .. } => fact(EventKind::Delivered, Party::Owner),
    };
    let mut facts = vec![fact(EventKind::Paid, Party::Buyer)];
    let is_cancelled = match right.status {
        RightStatus::Open => false,
        RightStatus::Cancelling { .. } => true,
        _ => covered.cancelled,
    };
    facts.extend(is_cancelled.then(|| fact(EventKind::Cancelled, Party::Buyer)));
    let settled = fact(EventKind::Settled, Party::Owner);
    match right.status {
        RightStatus::Open | RightStatus::Cancelling { .. } | RightStatus::Refunded => {}
        RightStatus::Granted { .. } => facts.push(given),
        RightStatus::Settled { .. } => facts.extend([given, settled]),
        RightStatus::Declined => facts.push(fact(EventKind::Declined, Party::Owner)),
        RightStatus::Revoked => {
            facts.push(given);
            facts.extend(covered.settled.then_some(settled));
            facts.push(fact(EventKind::Revoked, Party::Owner));
        }
        RightStatus::Faulty => facts.extend([given, fact(EventKind::Objected, Party::Buyer)]),
    }
    facts
}

/// What happened to a subscription, in its order as far as the ledger shows it. `ended_by`: who ended it,
/// where that is known although the ledger shows no more of it than that it ended.
#[must_use]
pub fn of_subscription(
    found: &Subscription,
    periods: &[(u32, Period)],
    ended_by: Option<Party>,
) -> Vec<Fact> {
    let fact = |event, by| Fact { event, by, period: None, price: found.price };
    // The offer was the owner's yes.
    let mut facts =
        vec![fact(EventKind::Paid, Party::Buyer), fact(EventKind::Granted, Party::Owner)];
    for (number, period) in periods {
        let of = |event, by| Fact { event, by, period: Some(*number), price: period.price };
        facts.push(of(EventKind::Delivered, Party::Owner));
        match period.status {
            PeriodStatus::Drawn { .. } => {}
            PeriodStatus::Paid => facts.push(of(EventKind::Settled, Party::Owner)),
            PeriodStatus::Faulty => facts.push(of(EventKind::Objected, Party::Buyer)),
        }
    }
    let end = match (found.status, ended_by) {
        (SubscriptionStatus::Ending { .. }, _)
        | (SubscriptionStatus::Ended, Some(Party::Buyer)) => {
            Some(fact(EventKind::Cancelled, Party::Buyer))
        }
        (SubscriptionStatus::Ended, Some(Party::Owner)) => {
            Some(fact(EventKind::Revoked, Party::Owner))
        }
        (SubscriptionStatus::Active, _) | (SubscriptionStatus::Ended, None) => None,
    };
    facts.extend(end);
    facts
}
