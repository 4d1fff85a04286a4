//! Reference prices: what an hour of data would have cost, judged by what was sold.
//!
//! It advises; the owner sets the price. Everybody who has the same history finds the same price, bit for
//! bit: all arithmetic is of integers (ADR 44). The model is a ridge regression on logarithms (Hoerl and
//! Kennard, Technometrics 12(1), 1970), fitted to the three quarters of the observations that it explains
//! best (least trimmed squares by C-steps: Rousseeuw and Van Driessen, Data Mining and Knowledge Discovery
//! 12, 2006). Its error is that of predicting each sale from the others, and stands beside the error of the
//! plain median; the better of both is the reference.
//!
//! A few wash trades do not move it: sales between the same two accounts are one observation, no account is
//! more than a quarter of all, what does not fit is trimmed, and nothing outside of what was paid is ever
//! named. Many accounts that trade with each other do move it; each of their sales costs fees.

mod features;
mod fixed;
mod history;
mod ridge;

use std::collections::BTreeMap;

use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};
use cid::Cid;
use serde::Serialize;

use crate::amount::Amount;
use features::{FEATURES, Observation, at, observations};
use fixed::{exp2, log2};
use ridge::{Fit, fit};

pub use features::FEATURE_NAMES;
pub use history::{HISTORY_BYTES_MAX, History, HistoryError, OFFERS_MAX, Offered, SALES_MAX, Sold};

/// The fewest observations, owners and buyers that a price is named from.
pub const LEAST: Enough = Enough { observations: 12, owners: 4, buyers: 4 };
/// The most rounds of trimming; it ends when the same observations stay.
const ROUNDS_MAX: usize = 16;

/// How much is known of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enough {
    /// Pairs of owners and buyers who traded.
    pub observations: usize,
    /// Owners among them.
    pub owners: usize,
    /// Buyers among them.
    pub buyers: usize,
}

/// What a price is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// When: milliseconds since the epoch. Only what happened before counts.
    pub at_ms: u64,
    /// How old the data is: hours.
    pub age_hours: u64,
    /// How much of it there is, counted as in the history: [`Sold::volume`].
    pub volume: u64,
}

/// How a reference was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// By the regression.
    Regression,
    /// By the median of what was paid, which predicted at least as well.
    Median,
}

/// A model, as it is published: predictions follow from it alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Model {
    /// The version of the method: 1.
    pub v: u64,
    /// The content id of the history that it was learnt from.
    pub history: Cid,
    /// What it knows of a sale, by name: the mean and the spread in units of 2^-16, and how much the binary
    /// logarithm of the price changes with one spread, in units of 2^-32.
    pub features: BTreeMap<String, (i64, i64, i64)>,
    /// The binary logarithm of the middle price, in units of 2^-16.
    pub middle: i64,
    /// The lowest and the highest price that was observed without the outer tenths: motes.
    pub bounds: (Amount, Amount),
}

/// A reference price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The price of an hour: the smallest unit of the coin.
    pub per_hour: Amount,
    /// How it was found.
    pub method: Method,
    /// How far off half of the sales are at least when each is predicted from the others: basis points of
    /// what was paid.
    pub error_bp: u64,
    /// The same for the plain median.
    pub median_error_bp: u64,
    /// What it was found from.
    pub enough: Enough,
    /// How many observations were trimmed, because they do not fit the others.
    pub trimmed: usize,
    /// The model.
    pub model: Model,
    /// The content id of the model's canonical bytes.
    pub model_cid: Cid,
}

/// Why no price is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not enough sales: {} pairs of owner and buyer, {} owners and {} buyers, where {} of {} and {} are needed",
    .0.observations, .0.owners, .0.buyers, LEAST.observations, LEAST.owners, LEAST.buyers
)]
pub struct NotEnough(pub Enough);

impl Model {
    /// The canonical bytes: DAG-CBOR.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, whole numbers and a link always encode.
        serde_ipld_dagcbor::to_vec(self).unwrap_or_default()
    }
}

/// The reference price of what is asked.
///
/// # Errors
/// [`NotEnough`], where too little was sold before that moment.
pub fn reference(history: &History, asked: &Asked) -> Result<Reference, NotEnough> {
    let all = observations(history, asked.at_ms);
    let count = |of: fn(&Observation) -> &str| {
        let mut accounts: Vec<_> = all.iter().map(of).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.len()
    };
    let enough = Enough {
        observations: all.len(),
        owners: count(|one| &one.owner),
        buyers: count(|one| &one.buyer),
    };
    let is_enough = enough.observations >= LEAST.observations
        && enough.owners >= LEAST.owners
        && enough.buyers >= LEAST.buyers;
    if !is_enough {
        return Err(NotEnough(enough));
    }
    let rows: Vec<Row> = all.iter().map(|one| (one.features, log2(one.per_hour.0))).collect();
    let kept = trimmed(&rows);
    let whole = fit(&kept);
    let (error_bp, median_error_bp) = errors(&rows);
    let bounds = bounds(&all);
    let middle = median(rows.iter().map(|row| row.1).collect());
    let method = if error_bp < median_error_bp { Method::Regression } else { Method::Median };
    let wanted = match method {
        Method::Regression => whole.predict(&at(history, asked)),
        Method::Median => middle,
    };
    let per_hour = Amount(exp2(wanted)).clamp(bounds.0, bounds.1);
    let features = FEATURE_NAMES.iter().zip(whole.columns());
    let model = Model {
        v: 1,
        history: history.cid(),
        features: features.map(|(name, column)| ((*name).to_owned(), column)).collect(),
        middle: if method == Method::Regression { whole.middle() } else { middle },
        bounds,
    };
    let model_cid = content_id(DAG_CBOR, HashFunction::Sha256, &model.to_bytes());
    let trimmed = rows.len() - kept.len();
    Ok(Reference { per_hour, method, error_bp, median_error_bp, enough, trimmed, model, model_cid })
}

/// What is known of a sale, and the binary logarithm of its price.
type Row = ([i64; FEATURES], i64);

/// The three quarters of the rows that a model explains best that is fitted to them.
fn trimmed(rows: &[Row]) -> Vec<Row> {
    let keep = rows.len() - rows.len() / 4;
    // The model that begins knows nothing but the median, which few cannot move.
    let middle = median(rows.iter().map(|row| row.1).collect());
    let mut kept = nearest(rows, keep, |_| middle);
    for _ in 0..ROUNDS_MAX {
        let model = fit(&of(rows, &kept));
        let next = nearest(rows, keep, |features| model.predict(features));
        if next == kept {
            break;
        }
        kept = next;
    }
    of(rows, &kept)
}

fn of(rows: &[Row], kept: &[usize]) -> Vec<Row> {
    kept.iter().filter_map(|at| rows.get(*at).copied()).collect()
}

/// The positions of so many rows that a model misses least; the first ones of equal ones.
fn nearest(rows: &[Row], keep: usize, predict: impl Fn(&[i64; FEATURES]) -> i64) -> Vec<usize> {
    let miss = |row: &Row| predict(&row.0).abs_diff(row.1);
    let mut positions: Vec<(u64, usize)> = rows.iter().map(miss).zip(0..).collect();
    positions.sort_unstable();
    let mut kept: Vec<usize> = positions.into_iter().take(keep).map(|(_, at)| at).collect();
    kept.sort_unstable();
    kept
}

/// The errors of the model and of the median, when each row is predicted from the others: of the row that
/// half of them miss by less, in basis points.
fn errors(rows: &[Row]) -> (u64, u64) {
    let mut of_model = Vec::with_capacity(rows.len());
    let mut of_median = Vec::with_capacity(rows.len());
    for (row, at) in rows.iter().zip(0..) {
        let others = rows.iter().zip(0..).filter(|(_, other)| *other != at);
        let others: Vec<Row> = others.map(|(row, _)| *row).collect();
        let paid = exp2(row.1);
        let model: Fit = fit(&trimmed(&others));
        of_model.push(miss_bp(exp2(model.predict(&row.0)), paid));
        of_median.push(miss_bp(exp2(median(others.iter().map(|row| row.1).collect())), paid));
    }
    (median(of_model), median(of_median))
}

/// How far off a prediction is: basis points of what was paid.
fn miss_bp(predicted: u128, paid: u128) -> u64 {
    let off = predicted.abs_diff(paid);
    let points =
        off.checked_mul(10_000).map_or(off / (paid / 10_000).max(1), |off| off / paid.max(1));
    u64::try_from(points).unwrap_or(u64::MAX)
}

/// The middle one; the lower of two.
fn median<T: Ord + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// The lowest and the highest price without the outer tenths.
fn bounds(all: &[Observation]) -> (Amount, Amount) {
    let mut prices: Vec<Amount> = all.iter().map(|one| one.per_hour).collect();
    prices.sort_unstable();
    let tenth = prices.len() / 10;
    let lowest = prices.get(tenth).copied().unwrap_or_default();
    let highest = prices.get(prices.len().saturating_sub(1 + tenth)).copied().unwrap_or(lowest);
    (lowest, highest.max(lowest))
}
