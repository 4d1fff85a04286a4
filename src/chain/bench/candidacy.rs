//! What a node hands in to be seated: its bond with an answer to each lot's puzzle, and in each term
//! that it is ready.

use anyhow::Result;
use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, BasisPoints};
use chronolith_chain::consensus::Validator;
use chronolith_chain::hash::ChainId;
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{Bond, Duties, Ready};
use chronolith_chain::transaction::Transaction;

use super::network::{BOND, account, identity};
use crate::chain::Composer;

/// How many answers to a puzzle are tried after a block.
const ATTEMPTS: u64 = 20_000;
/// After how many blocks something is handed in again that was in none of them.
const PATIENCE_BLOCKS: u64 = 3;

/// The candidacy of a node.
pub(super) struct Candidacy {
    number: u16,
    chain: ChainId,
    key: SecretKey,
    address: Address,
    /// The first answer to the present puzzle that was not tried yet.
    next_answer: u64,
    /// The lot whose puzzle that is.
    lot: u64,
    /// When something was handed in last.
    since_height: u64,
}

impl Candidacy {
    pub(super) fn new(number: u16, chain: ChainId) -> Self {
        let key = account(number);
        let address = key.public().into();
        Self { number, chain, key, address, next_answer: 0, lot: 0, since_height: 0 }
    }

    /// What is handed in after a block that somebody proposed.
    pub(super) fn after_block(
        &mut self,
        validator: &Validator,
        proposer: Address,
    ) -> Result<Vec<Transaction>> {
        let (state, height) = (validator.state(), validator.blocks().tip().height);
        if self.since_height > 0 && height < self.since_height + PATIENCE_BLOCKS {
            return Ok(Vec::new());
        }
        let duties = Duties::of(state, height, self.address)?;
        let mut composer = Composer::new(self.chain, state, height, self.address)?;
        let mut transactions = Vec::new();
        if let Some(bond) = self.bond(&duties, validator, proposer) {
            transactions.push(composer.sign(bond, &self.key));
        }
        if duties.may_be_ready {
            transactions.push(composer.sign(Ready, &self.key));
        }
        if !transactions.is_empty() {
            self.since_height = height;
        }
        Ok(transactions)
    }

    /// A bond with an answer to the puzzle, once there is one.
    fn bond(&mut self, duties: &Duties, node: &Validator, proposer: Address) -> Option<Bond> {
        let puzzle = duties.puzzle?;
        if self.lot != duties.lot {
            (self.lot, self.next_answer) = (duties.lot, 0);
        }
        let own = identity(self.number);
        // A bond names the beacon, which moves on with each block of one's own: who is seated
        // hands it in just after one, and it is in a block before the next.
        let is_seated = node.validators().index_of_key(&own.key.public()).is_some();
        if is_seated && proposer != self.address {
            return None;
        }
        let answer = puzzle.solve(self.next_answer, ATTEMPTS);
        self.next_answer = answer.unwrap_or(self.next_answer + ATTEMPTS);
        let (amount, beacon) = match &duties.validator {
            Some(known) => (Amount::ZERO, known.kept_beacon()),
            None => (BOND, own.beacon.end()),
        };
        let consensus_key = own.key.public();
        Some(Bond { amount, consensus_key, beacon, commission: BasisPoints(0), puzzle: answer })
            .filter(|bond| bond.puzzle.is_some())
    }
}
