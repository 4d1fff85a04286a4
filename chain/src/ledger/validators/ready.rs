//! Being there for the next term.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{ValidatorKey, current};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Says that the sender's node is running and would serve the next term. Who was drawn and does
/// not say so is not seated.
///
/// - Only in the last `ready_blocks` blocks of the running term, once a term.
/// - The sender is a validator with at least `minimum_bond` behind him, and not barred.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Ready;

impl Rules for Ready {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = ValidatorKey { validator: call.sender };
        let mut validator = ledger.find(&key, Thing::Validator)?;
        ensure(!validator.is_barred, Refusal::Status(Thing::Validator))?;
        let least = ledger.parameters.amount(ParameterName::MinimumBond);
        ensure_within(validator.stake.0, least.0, u128::MAX)?;
        let schedule = current(ledger)?;
        let term = ledger.parameters.count(ParameterName::TermBlocks);
        let ready = ledger.parameters.count(ParameterName::ReadyBlocks);
        let from = schedule.term_start.saturating_add(term).saturating_sub(ready);
        ensure(ledger.height >= from, Refusal::Early { from })?;
        ensure(validator.ready_term != Some(schedule.term), Refusal::NoChange)?;
        validator.ready_term = Some(schedule.term);
        ledger.put(&key, &validator);
        Ok(())
    }
}
