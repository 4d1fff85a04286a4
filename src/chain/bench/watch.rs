//! What validators signed, as all who sent or got it say: never two things for one step.

use std::collections::HashMap;

use chronolith_chain::consensus::message::{FromValidator, Message};
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::keys::PublicKey;
use chronolith_chain::vote::{Message as _, Proposal, Step, Vote};

/// A step that a validator signs for once: 0 for a proposal, 1 for a prevote, 2 for a precommit.
type Signed = (PublicKey, u64, u32, u8);

/// Whether a message holds signatures that are watched.
pub(super) fn is_watched(message: &Message) -> bool {
    matches!(
        message,
        Message::Proposal(_) | Message::Vote(_) | Message::Polka(_) | Message::Round(_)
    )
}

/// What was signed for each step.
#[derive(Debug)]
pub(super) struct Watch {
    chain: ChainId,
    signed: HashMap<Signed, Hash>,
    /// How many steps were signed twice, for different things.
    pub(super) conflicts: u64,
}

impl Watch {
    pub(super) fn new(chain: ChainId) -> Self {
        Self { chain, signed: HashMap::new(), conflicts: 0 }
    }

    /// How many steps were signed.
    pub(super) fn steps(&self) -> u64 {
        self.signed.len() as u64
    }

    /// Looks at every signature in a message.
    pub(super) fn note(&mut self, message: &Message) {
        match message {
            Message::Proposal(FromValidator { key, signed }) => {
                let Proposal { height, round, .. } = signed.message;
                self.note_one((*key, height, round, 0), signed.message.signing_hash());
            }
            Message::Vote(FromValidator { key, signed }) => self.note_vote(*key, signed.message),
            Message::Polka(polka) => {
                let (chain, block) = (self.chain, Some(polka.block));
                let (height, round) = (polka.height, polka.round);
                let vote = Vote { chain, height, round, step: Step::Prevote, block };
                for prevote in polka.prevotes.iter() {
                    self.note_vote(prevote.key, vote);
                }
            }
            Message::Round(certificate) => {
                let (height, round) = (certificate.height, certificate.round);
                for of in certificate.votes.iter() {
                    let (chain, step, block) = (self.chain, of.step, of.block);
                    self.note_vote(of.vote.key, Vote { chain, height, round, step, block });
                }
            }
            _ => {}
        }
    }

    fn note_vote(&mut self, key: PublicKey, vote: Vote) {
        let step = match vote.step {
            Step::Prevote => 1,
            Step::Precommit => 2,
        };
        self.note_one((key, vote.height, vote.round, step), vote.signing_hash());
    }

    fn note_one(&mut self, step: Signed, hash: Hash) {
        let before = *self.signed.entry(step).or_insert(hash);
        self.conflicts += u64::from(before != hash);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::consensus::message::{Endorsement, Polka};
    use chronolith_chain::encoding::List;
    use chronolith_chain::hash::BlockId;
    use chronolith_chain::keys::SecretKey;

    use super::*;

    #[test]
    fn two_things_for_one_step_are_seen_in_whatever_message_they_are() {
        let (chain, key) = (ChainId([1; 32]), SecretKey::from_seed(&[2; 32]));
        let vote = |step, block: u8| {
            let block = Some(BlockId([block; 32]));
            Message::Vote(FromValidator::new(
                Vote { chain, height: 3, round: 0, step, block },
                &key,
            ))
        };
        let mut watch = Watch::new(chain);
        for message in [vote(Step::Prevote, 1), vote(Step::Precommit, 2), vote(Step::Prevote, 1)] {
            assert!(is_watched(&message));
            watch.note(&message);
        }
        assert_eq!((watch.steps(), watch.conflicts), (2, 0));
        watch.note(&vote(Step::Precommit, 3));
        assert_eq!(watch.conflicts, 1);
        let prevote = Endorsement { key: key.public(), signature: key.sign(&Hash([0; 32])) };
        let prevotes = List::new(vec![prevote]).unwrap();
        let polka = Polka { height: 3, round: 0, block: BlockId([9; 32]), prevotes };
        watch.note(&Message::Polka(polka));
        assert_eq!(watch.conflicts, 2);
    }
}
