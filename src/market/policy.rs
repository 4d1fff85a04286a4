//! Which requests an owner's node grants without asking him.

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::encode;
use chronolith_chain::hash::{Domain, Hash};
use chronolith_chain::ledger::{OpenOffer, Right};
use chronolith_engine::Level;
use serde::{Deserialize, Serialize};

/// What is granted by itself, as the configuration says it. Level 1 never is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The levels of which requests are granted by themselves: of 2, 3 and 4.
    #[serde(default)]
    pub levels: Vec<u8>,
    /// The buyers who are; all, where none is named.
    #[serde(default)]
    pub buyers: Vec<Address>,
    /// The buyers who are declined, whatever they ask for.
    #[serde(default)]
    pub refused: Vec<Address>,
    /// The longest range of time: hours.
    #[serde(default)]
    pub hours_most: Option<u64>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is granted: keys are given.
    Grant,
    /// It is granted, and its offer sells answers to a question that is answered without asking.
    Answer,
    /// It is declined.
    Decline,
    /// The owner is asked, for this reason.
    Ask(&'static str),
}

impl Policy {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        match self.levels.iter().find(|level| !(2..=4).contains(*level)) {
            Some(1) => Err("level 1 is never granted without asking".to_owned()),
            Some(level) => Err(format!("level {level}; there are 2, 3 and 4")),
            None => Ok(()),
        }
    }

    /// Its hash, which offers name.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let Self { levels, buyers, refused, hours_most } = self;
        Domain::Policy.hash(&encode(&(levels, buyers, refused, hours_most)))
    }

    /// Decides a request.
    #[must_use]
    pub fn decide(&self, right: &Right, open: &OpenOffer) -> Verdict {
        let hours = right.until_ms.saturating_sub(right.from_ms).div_ceil(3_600_000);
        let level = open.offer.terms.level;
        match () {
            () if self.refused.contains(&right.buyer) => Verdict::Decline,
            () if level == Level::Secret.number() => Verdict::Ask("level 1 needs the owner's word"),
            () if !self.levels.contains(&level) => Verdict::Ask("the policy is not for this level"),
            () if !self.buyers.is_empty() && !self.buyers.contains(&right.buyer) => {
                Verdict::Ask("the policy does not name the buyer")
            }
            () if self.hours_most.is_some_and(|most| hours > most) => {
                Verdict::Ask("the range is longer than the policy allows")
            }
            () if right.escrow == Amount::ZERO && right.price != Amount::ZERO => {
                Verdict::Ask("nothing is set aside for it")
            }
            () => Verdict::Grant,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_1_is_in_no_policy() {
        assert!(Policy { levels: vec![1], ..Policy::default() }.check().is_err());
        assert!(Policy { levels: vec![5], ..Policy::default() }.check().is_err());
        assert!(Policy { levels: vec![2, 3, 4], ..Policy::default() }.check().is_ok());
    }
}
