//! What an audit asks: which blocks of all that a peer is assigned, drawn by the chain.
//!
//! The seed of an epoch is not known before its end, and it is the same beacon that draws validators.
//! Anybody computes the questions.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::hash::{ChainId, Domain, Hash};
use crate::ledger::validators::Stream;

/// How many blocks an audit asks for: a lost share f is seen with a chance of 1 − (1 − f)^20.
pub const AUDIT_SAMPLES: usize = 20;

/// The seed of an epoch's audits, by the beacon as it was when the epoch ended.
#[must_use]
pub fn audit_seed(chain: ChainId, epoch: u64, beacon: Hash) -> Hash {
    Domain::Audit.hash_of(&(chain, epoch, beacon))
}

/// The numbers of the blocks that a peer is asked for, among all it was assigned: `count` different
/// ones, rising, each set with the same chance (Floyd's algorithm; Bentley, Floyd: *Programming
/// Pearls: a sample of brilliance*, CACM 30(9), 1987). All of them where there are no more.
#[must_use]
pub fn audited_blocks(seed: &Hash, peer: Address, blocks: u64, count: usize) -> Vec<u64> {
    let count = count as u64;
    if blocks <= count {
        return (0..blocks).collect();
    }
    let mut stream = Stream::new(Domain::Audit.hash_of(&(seed, peer)));
    let mut drawn = BTreeSet::new();
    for last in blocks - count..blocks {
        // `last` is below `blocks`, so that one more is never too much.
        let number = stream.below(last + 1);
        if !drawn.insert(number) {
            drawn.insert(last);
        }
    }
    drawn.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    #[test]
    fn every_block_is_drawn_as_often_as_any_other() {
        let peer = SecretKey::from_seed(&[1; 32]).public().into();
        let mut counts = [0_u32; 50];
        for epoch in 0..5_000 {
            let seed = audit_seed(ChainId([1; 32]), epoch, Hash([2; 32]));
            let drawn = audited_blocks(&seed, peer, 50, 20);
            assert!(drawn.len() == 20 && drawn.is_sorted_by(|a, b| a < b));
            drawn.iter().for_each(|number| counts[*number as usize] += 1);
        }
        // 2,000 each, with a standard deviation of 35: 5 of them.
        assert!(counts.iter().all(|count| (1_825..2_175).contains(count)), "{counts:?}");
    }

    #[test]
    fn questions_differ_by_chain_epoch_beacon_and_peer() {
        let [peer, other] =
            [1, 2].map(|number| SecretKey::from_seed(&[number; 32]).public().into());
        let draw = |chain, epoch, beacon, peer| {
            let seed = audit_seed(ChainId([chain; 32]), epoch, Hash([beacon; 32]));
            audited_blocks(&seed, peer, 1_000_000, 20)
        };
        let asked = draw(1, 1, 1, peer);
        assert_eq!(asked, draw(1, 1, 1, peer));
        for different in
            [draw(2, 1, 1, peer), draw(1, 2, 1, peer), draw(1, 1, 2, peer), draw(1, 1, 1, other)]
        {
            assert_ne!(asked, different);
        }
    }

    #[test]
    fn a_peer_with_little_is_asked_for_all_of_it() {
        let peer = SecretKey::from_seed(&[1; 32]).public().into();
        assert!(audited_blocks(&Hash([1; 32]), peer, 0, 20).is_empty());
        assert_eq!(audited_blocks(&Hash([1; 32]), peer, 20, 20), (0..20).collect::<Vec<_>>());
        assert_eq!(audited_blocks(&Hash([1; 32]), peer, 21, 20).len(), 20);
        assert_eq!(audited_blocks(&Hash([1; 32]), peer, u64::MAX, 20).len(), 20);
    }
}
