//! The group of deals: its actions as transactions, and its values of the state.

use chronolith_chain::encoding::decode;
use chronolith_chain::ledger::{
    Action, Advanced, Answered, Bounty, Deal, Decided, Extension, Period, Submission, Subscription,
    Task,
};
use chronolith_chain::transaction::Transaction;

use crate::canonical;
use crate::seed::{key, seed};

/// One of each, by name.
const GOLDEN: &str = include_str!("../../testdata/deals.txt");
const LIMIT: usize = 65_536;

fn lines() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    GOLDEN.lines().filter_map(|line| {
        let (name, digits) = line.split_once(' ')?;
        let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        Some((name, bytes?))
    })
}

/// Signed transactions with one of each action.
pub fn transactions() -> Vec<Transaction> {
    let action = |(name, bytes): (&str, Vec<u8>)| {
        let is_action = Action::KINDS.iter().any(|kind| kind.name == name);
        is_action.then(|| decode::<Action>("an action", &bytes, LIMIT).expect("a golden action"))
    };
    let sign = |action| {
        let mut body = seed().transaction.body.clone();
        body.action = action;
        body.sign(&key(1))
    };
    lines().filter_map(action).map(sign).collect()
}

/// The number of each kind of value, which stands before it in an input.
const VALUES: [&str; 9] = [
    "bounty",
    "submission",
    "deal",
    "advanced",
    "decided",
    "subscription",
    "period",
    "extension",
    "answered",
];

/// Seeds of values of the state.
pub fn values() -> Vec<Vec<u8>> {
    let seed = |(name, bytes): (&str, Vec<u8>)| {
        let number = VALUES.iter().position(|known| *known == name)?;
        Some([&[number as u8][..], &bytes].concat())
    };
    lines().filter_map(seed).collect()
}

/// A value of the state, by its number.
pub fn value(data: &[u8]) {
    let Some((number, data)) = data.split_first() else { return };
    match *number {
        0 => drop(canonical(data, |data| decode::<Bounty>("a bounty", data, LIMIT))),
        1 => drop(canonical(data, |data| decode::<Submission>("a submission", data, LIMIT))),
        2 => drop(canonical(data, |data| decode::<Deal>("a deal", data, LIMIT))),
        3 => drop(canonical(data, |data| decode::<Advanced>("a step", data, LIMIT))),
        4 => drop(canonical(data, |data| decode::<Decided>("a decision", data, LIMIT))),
        5 => drop(canonical(data, |data| decode::<Subscription>("a subscription", data, LIMIT))),
        6 => drop(canonical(data, |data| decode::<Period>("a period", data, LIMIT))),
        7 => drop(canonical(data, |data| decode::<Extension>("an extension", data, LIMIT))),
        8 => drop(canonical(data, |data| decode::<Answered>("an answer", data, LIMIT))),
        _ => drop(canonical(data, |data| decode::<Task>("a task", data, LIMIT))),
    }
}
