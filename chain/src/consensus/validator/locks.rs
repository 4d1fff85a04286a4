//! Passing on what locked this validator, so that no lock stays hidden.
//!
//! Whoever precommits a block is locked on it: he prevotes for no other until two thirds do. Votes
//! travel from their voter only, so a Byzantine one can let a single honest validator see the two
//! thirds. The others go on proposing blocks that this one cannot vote for, until its own turn to
//! propose comes, and each such round may hide one more lock. The algorithm is proved where all
//! receive what one honest validator received ("Gossip communication", section 2.1 of arXiv
//! 1807.04938). That is made up for here: the certificate of the prevotes is passed on
//!
//! - with the precommit, in every round but the first, which is decided nearly always;
//! - in the first once two thirds precommitted and nothing is decided;
//! - whenever the precommit is repeated.
//!
//! The core does the same from its tenth round on. A certificate has one signature of each voter,
//! is sent once for a round and once for each repetition, and causes nothing but questions: who
//! lacks the block asks for it, a third of the validators and one more at most, of whom one is
//! honest.

use super::{ConsensusError, Validator};
use crate::consensus::message::{FromValidator, Message, PeerId};
use crate::hash::BlockId;
use crate::vote::{Step, Vote};

/// The first round in which a lock is told of with its precommit.
const TOLD_FROM_ROUND: u32 = 1;

/// The block that this validator precommitted in the present round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lock {
    round: u32,
    block: BlockId,
    is_told: bool,
}

impl Validator {
    /// Takes notice of a vote that is about to be sent.
    pub(super) fn note_lock(&mut self, vote: &FromValidator<Vote>) {
        let Vote { round, step: Step::Precommit, block: Some(block), .. } = vote.signed.message
        else {
            return;
        };
        let is_repeated = self.lock.is_some_and(|lock| lock.round == round);
        if vote.key != self.key || is_repeated {
            return;
        }
        self.lock = Some(Lock { round, block, is_told: false });
        if round >= TOLD_FROM_ROUND {
            self.tell_lock();
        }
    }

    /// Tells everybody of the lock of the present round, if there is one and it was not told of.
    pub(super) fn tell_lock(&mut self) {
        if self.lock.is_some_and(|lock| !lock.is_told) {
            self.repeat_lock();
        }
    }

    /// Tells everybody of the lock of the present round, if there is one.
    pub(super) fn repeat_lock(&mut self) {
        let Some(lock) = &mut self.lock else { return };
        lock.is_told = true;
        if let Some(polka) = self.core.polka(lock.round, lock.block) {
            self.broadcast(Message::Polka(polka));
        }
    }

    /// Two thirds prevoted for a block in a round, and the core knows it: a neighbour passed it on.
    ///
    /// The block counts from now on even where its time was not near to that of this node.
    pub(super) fn take_lock(
        &mut self,
        from: PeerId,
        round: u32,
        block: BlockId,
    ) -> Result<(), ConsensusError> {
        // Only in the round itself does the core take a block for one to propose again.
        if self.core.round() != Some(round) {
            return Ok(());
        }
        if self.candidates.is_complete(round, &block) {
            return self.judge_again(round, block);
        }
        if self.candidates.may_ask(block, from, self.set.len() / 3 + 1) {
            let height = self.height();
            self.send(from, Message::GetProposal { height, block });
        }
        Ok(())
    }
}
