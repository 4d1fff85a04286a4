//! What is known of a sale: demand, supply, scarcity, freshness, volume, coin in circulation, each as the
//! binary logarithm of one more than a count, and only from what happened before.

use std::collections::{BTreeMap, BTreeSet};

use super::Asked;
use super::fixed::log2;
use super::history::{History, Sold};
use crate::amount::Amount;

/// How many features there are.
pub(super) const FEATURES: usize = 6;
/// Their names, in the order of the model's arithmetic.
pub const FEATURE_NAMES: [&str; FEATURES] =
    ["demand", "supply", "scarcity", "freshness", "volume", "circulation"];
/// How long ago a purchase still is demand: 30 days in milliseconds.
const DEMAND_MS: u64 = 30 * 86_400_000;
/// No account is in more of the observations than one of so many.
const PART_OF_ALL: usize = 4;

/// What two accounts paid each other for an hour of data, whatever number of times they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) owner: String,
    pub(super) buyer: String,
    pub(super) per_hour: Amount,
    pub(super) features: [i64; FEATURES],
    at_ms: u64,
}

/// The observations before a moment.
pub(super) fn observations(history: &History, at_ms: u64) -> Vec<Observation> {
    let mut pairs: BTreeMap<(&str, &str), Vec<(Amount, &Sold)>> = BTreeMap::new();
    let before = |sold: &&Sold| sold.at_ms < at_ms && sold.owner != sold.buyer;
    for sold in history.sales().iter().filter(before) {
        let per_hour = Amount(sold.paid.0.checked_div(sold.hours.into()).unwrap_or_default());
        pairs.entry((&sold.owner, &sold.buyer)).or_default().push((per_hour, sold));
    }
    let mut all: Vec<Observation> = pairs
        .into_values()
        .filter_map(|mut sales| {
            sales.sort_unstable();
            let middle = sales.len().saturating_sub(1) / 2;
            let (per_hour, sold) = sales.into_iter().nth(middle)?;
            let asked = Asked { at_ms: sold.at_ms, age_hours: sold.age_hours, volume: sold.volume };
            Some(Observation {
                owner: sold.owner.clone(),
                buyer: sold.buyer.clone(),
                per_hour,
                features: at(history, &asked),
                at_ms: sold.at_ms,
            })
        })
        .collect();
    all.sort_by(|one, other| {
        let key = |one: &Observation| (one.at_ms, one.owner.clone(), one.buyer.clone());
        key(other).cmp(&key(one))
    });
    while cap(&mut all) {}
    all
}

/// Keeps of each account the latest observations, as many as a part of all there are; whether some went.
/// When none go any more, all observations of one account are no more than are trimmed.
fn cap(all: &mut Vec<Observation>) -> bool {
    let before = all.len();
    let of: [fn(&Observation) -> &str; 2] = [|one| &one.owner, |one| &one.buyer];
    for account in of {
        let most = (all.len() / PART_OF_ALL).max(1);
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        all.retain(|one| {
            let count = counts.entry(account(one).to_owned()).or_default();
            *count += 1;
            *count <= most
        });
    }
    all.len() < before
}

/// What is known at a moment of what is asked.
pub(super) fn at(history: &History, asked: &Asked) -> [i64; FEATURES] {
    let at_ms = asked.at_ms;
    let recent = |sold: &&Sold| {
        sold.at_ms < at_ms && at_ms - sold.at_ms <= DEMAND_MS && sold.owner != sold.buyer
    };
    let buyers: BTreeSet<&str> =
        history.sales().iter().filter(recent).map(|sold| sold.buyer.as_str()).collect();
    let is_open = |offer: &&super::Offered| {
        offer.from_ms < at_ms && offer.until_ms.is_none_or(|until_ms| until_ms >= at_ms)
    };
    let open = history.offers().iter().filter(is_open);
    let owners: BTreeSet<&str> = open.clone().map(|offer| offer.owner.as_str()).collect();
    let count = |count: usize| log2(1 + count as u128);
    [
        count(buyers.len()),
        count(open.count()),
        // The fewer there are who have it, the scarcer it is.
        -count(owners.len()),
        // The older, the less fresh.
        -log2(1 + u128::from(asked.age_hours)),
        log2(1 + u128::from(asked.volume)),
        log2(history.circulation(at_ms).0.saturating_add(1)),
    ]
}
