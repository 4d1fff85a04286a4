//! What a validator makes of the answers to one epoch's audits.

use std::collections::BTreeMap;

use chronolith_chain::address::Address;
use chronolith_chain::encoding::Bytes;
use chronolith_chain::hash::{Domain, Hash};

use super::{Answer, AnswerFault, Question};

/// The most bytes of the bitmap of all peers there may ever be.
const BITMAP_BYTES: usize = 8_192;

/// What is thought of an answer that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The peer passes.
    Passed,
    /// The peer signed something false: this answer shows it.
    Lied(AnswerFault),
    /// Something of the peer was heard already.
    Known,
    /// It is not the peer's answer to this audit. It says nothing of the peer, and no honest node
    /// passes it on.
    Foreign(AnswerFault),
}

/// The answers to one epoch's audits that were heard so far.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    /// The number of a peer that passed, and the hash of its answer.
    passed: BTreeMap<Address, (u32, Hash)>,
    lied: BTreeMap<Address, Answer>,
}

impl Verdicts {
    /// Whether something of a peer was heard.
    #[must_use]
    pub fn has_heard(&self, peer: &Address) -> bool {
        self.passed.contains_key(peer) || self.lied.contains_key(peer)
    }

    /// Hears the answer of the peer with a number to its question. The first that is signed counts.
    pub fn hear(&mut self, number: u32, question: &Question, answer: &Answer) -> Heard {
        if self.has_heard(&answer.peer) {
            return Heard::Known;
        }
        match answer.check(question) {
            Ok(()) => {
                let hash = Domain::AuditAnswer.hash_of(&answer.to_bytes());
                self.passed.insert(answer.peer, (number, hash));
                Heard::Passed
            }
            Err(fault) if fault.is_lie() => {
                self.lied.insert(answer.peer, answer.clone());
                Heard::Lied(fault)
            }
            Err(fault) => Heard::Foreign(fault),
        }
    }

    /// How many peers passed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.passed.len()
    }

    /// The lies that were heard.
    pub fn lies(&self) -> impl Iterator<Item = &Answer> {
        self.lied.values()
    }

    /// The peers that passed, a bit for each number, the lowest bit first, without zero bytes at the
    /// end. Numbers beyond those that a bitmap has room for are left out; the ledger gives none.
    #[must_use]
    pub fn bitmap(&self) -> Bytes<BITMAP_BYTES> {
        let mut bits = bitvec::vec::BitVec::<u8, bitvec::order::Lsb0>::new();
        for number in self.passed.values().map(|(number, _)| *number as usize) {
            if number < BITMAP_BYTES * 8 {
                bits.resize(bits.len().max(number + 1), false);
                bits.set(number, true);
            }
        }
        bits.set_uninitialized(false);
        Bytes::new(bits.into_vec()).unwrap_or_default()
    }

    /// What the bitmap was made of: the hash over peers and answers, in the order of the addresses.
    #[must_use]
    pub fn root(&self) -> Hash {
        let passed = self.passed.iter().map(|(peer, (_, answer))| (*peer, *answer));
        Domain::AuditAnswer.hash_of(&passed.collect::<Vec<(Address, Hash)>>())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::hash::ChainId;
    use chronolith_chain::keys::SecretKey;
    use chronolith_chain::ledger::Peak;

    use super::*;

    /// A question that asks for no block is answered by nothing; one for a block, by nothing honest.
    fn question(seed: u8, blocks: u64) -> (SecretKey, Question) {
        let key = SecretKey::from_seed(&[seed; 32]);
        let assigned = Peak { hash: Hash([7; 32]), blocks };
        let (chain, beacon, peer) = (ChainId([1; 32]), Hash([2; 32]), key.public().into());
        (key, Question::new(chain, 3, beacon, peer, assigned, 20))
    }

    #[test]
    fn the_first_signed_answer_of_each_peer_counts() {
        let mut verdicts = Verdicts::default();
        let (key, asked) = question(1, 0);
        let answer = Answer::sign(&asked, Vec::new(), &key).unwrap();
        let mut unsigned = answer.clone();
        unsigned.signature.0[0] ^= 1;
        assert!(matches!(verdicts.hear(17, &asked, &unsigned), Heard::Foreign(_)));
        assert_eq!(verdicts.hear(17, &asked, &answer), Heard::Passed);
        assert_eq!(verdicts.hear(17, &asked, &answer), Heard::Known);
        let (key, asked) = question(2, 5);
        let lie = Answer::sign(&asked, Vec::new(), &key).unwrap();
        assert!(matches!(verdicts.hear(2, &asked, &lie), Heard::Lied(_)));
        let (key, asked) = question(3, 0);
        verdicts.hear(3, &asked, &Answer::sign(&asked, Vec::new(), &key).unwrap());
        assert_eq!(verdicts.bitmap()[..], [0b1000, 0, 0b10]);
        assert_eq!((verdicts.count(), verdicts.lies().count()), (2, 1));
        assert_ne!(verdicts.root(), Verdicts::default().root());
    }
}
