//! What is handed in at nodes: payments, and what keeps validators in their seats.

use super::setup::{Setup, account_key, consensus_key};
use crate::address::Address;
use crate::coin::Amount;
use crate::ledger::{
    AccountKey, Bond, ParameterName, Parameters, ParametersKey, Ready, Schedule, ScheduleKey,
    Validator, ValidatorKey,
};
use crate::state::{Overlay, State};
use crate::transaction::Transaction;

/// A state as it is read here: a simulated one never fails.
struct Reader<'a>(Overlay<'a>);

impl Reader<'_> {
    fn nonce(&self, address: Address) -> u64 {
        let account = self.0.get(&AccountKey { address }).ok().flatten();
        account.map_or(0, |account| account.nonce)
    }

    fn schedule(&self) -> Schedule {
        self.0.get(&ScheduleKey {}).ok().flatten().unwrap_or_default()
    }
}

/// How many terms began.
pub(super) fn terms(state: &State) -> u64 {
    Reader(Overlay::new(state)).schedule().term
}

/// A payment, as the next transaction of the payer.
pub(super) fn payment(setup: &Setup, state: &State, payer: usize) -> Transaction {
    let nonce = Reader(Overlay::new(state)).nonce(setup.payer(payer));
    setup.payment(payer, nonce, state.head().version)
}

/// What validators have to hand in to be seated again, the Byzantine ones as well: each lot an
/// answer to its puzzle, each term near its end that they are ready.
pub(super) fn duties(setup: &Setup, state: &State) -> Vec<Transaction> {
    let reader = Reader(Overlay::new(state));
    let height = state.head().version;
    let schedule = reader.schedule();
    let parameters: Parameters = reader.0.get(&ParametersKey {}).ok().flatten().unwrap_or_default();
    let term = parameters.count(ParameterName::TermBlocks);
    let last = parameters.count(ParameterName::ReadyBlocks);
    let may_be_ready = height >= schedule.term_start.saturating_add(term).saturating_sub(last);
    let mut transactions = Vec::new();
    for node in 0..setup.config.validators {
        let validator: Address = account_key(node).public().into();
        let known: Option<Validator> = reader.0.get(&ValidatorKey { validator }).ok().flatten();
        let Some(known) = known.filter(|known| !known.is_barred) else { continue };
        let mut nonce = reader.nonce(validator);
        if known.solved_lot != Some(schedule.lot) {
            let bond = Bond {
                amount: Amount::ZERO,
                consensus_key: consensus_key(node).public(),
                beacon: known.beacon,
                commission: known.commission,
                // Every answer solves the puzzle of the simulated chain.
                puzzle: Some(0),
            };
            transactions.push(setup.transaction(node, nonce, height, bond));
            nonce += 1;
        }
        if may_be_ready && known.ready_term != Some(schedule.term) {
            transactions.push(setup.transaction(node, nonce, height, Ready));
        }
    }
    transactions
}
