//! A validator's beacon chain: hashes whose end is on the ledger and whose elements are revealed
//! one by one, from the end to the beginning.

use crate::hash::Hash;
use crate::ledger::beacon_step;

/// The hash chain of a validator, from its secret beginning.
pub struct BeaconChain {
    /// From the beginning to the end.
    elements: Vec<Hash>,
}

impl BeaconChain {
    /// The chain of `length` steps from a secret of 32 random bytes. It lasts for as many blocks of
    /// his own, and takes 32 bytes of memory for each.
    #[must_use]
    pub fn new(secret: &[u8; 32], length: u32) -> Self {
        let first = Hash(*secret);
        let elements = std::iter::successors(Some(first), |hash| Some(beacon_step(hash)));
        Self { elements: elements.take(length as usize + 1).collect() }
    }

    /// The end, which is committed to in `Bond`.
    #[must_use]
    pub fn end(&self) -> Hash {
        self.elements.last().copied().unwrap_or_default()
    }

    /// What is to be revealed after an element that is on the ledger; none where it is not of this
    /// chain, or its beginning.
    #[must_use]
    pub fn after(&self, revealed: &Hash) -> Option<Hash> {
        let at = self.elements.iter().rposition(|element| element == revealed)?;
        self.elements.get(at.checked_sub(1)?).copied()
    }
}

impl std::fmt::Debug for BeaconChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BeaconChain(...)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_revealed_from_the_end_to_the_beginning() {
        let chain = BeaconChain::new(&[7; 32], 3);
        let mut revealed = chain.end();
        for _ in 0..3 {
            let next = chain.after(&revealed);
            assert_eq!(next.as_ref().map(beacon_step), Some(revealed));
            revealed = next.unwrap_or_default();
        }
        assert_eq!(revealed, Hash([7; 32]));
        assert_eq!(chain.after(&revealed), None);
        assert_eq!(chain.after(&Hash([8; 32])), None);
    }
}
