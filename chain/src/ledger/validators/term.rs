//! Terms: who is seated when one ends.
//!
//! A term's last block decides who serves the next, so that its header, signed by the old set, names
//! the new one. Who was drawn and did not say lately that he is ready is passed over; where too few
//! are ready, the old set goes on. So a drawn set may be offline in any part without stopping the chain.
//! Within a term nothing helps: with more than a third of the seated power gone, no block is
//! committed until enough of it is back. A rule that replaced them without their votes would let two
//! halves of a divided network each replace the other.

use std::collections::BTreeMap;

use super::absence::fine_absent;
use super::lot::{DrawKey, begin_lot};
use super::{
    PastSeatsKey, Schedule, ScheduleKey, Seat, Seats, SeatsKey, Validator, ValidatorKey, current,
};
use crate::address::Address;
use crate::coin::{Amount, MOTES_PER_COIN};
use crate::ledger::call::{Halt, Ledger};
use crate::ledger::parameters::ParameterName;

/// The most power of a seat: 128 of them stay below what consensus can multiply.
const MAX_POWER: u64 = 1 << 53;

/// At the end of a block: ends the term, and the lot, where it is the last block of one.
pub(crate) fn end_block(ledger: &mut Ledger<'_>) -> Result<(), Halt> {
    let mut schedule = current(ledger)?;
    let next = ledger.height.saturating_add(1);
    let blocks = ledger.parameters.count(ParameterName::TermBlocks);
    if next < schedule.term_start.saturating_add(blocks) {
        return Ok(());
    }
    let old: Seats = ledger.get_or_default(&SeatsKey {})?;
    fine_absent(ledger, &schedule, &old)?;
    schedule.term_of_lot = schedule.term_of_lot.saturating_add(1);
    if schedule.term_of_lot >= schedule.terms.max(1) {
        begin_lot(ledger, &mut schedule)?;
    }
    let new = match seat_drawn(ledger, &schedule)? {
        Some(seats) => seats,
        None => keep(ledger, &old)?,
    };
    schedule.term = schedule.term.saturating_add(1);
    schedule.term_start = next;
    ledger.put(&ScheduleKey {}, &schedule);
    if new != old {
        ledger.put(&PastSeatsKey {}, &old);
        ledger.put(&SeatsKey {}, &new);
    }
    Ok(())
}

/// Whoever was drawn, has not served and is ready; none where they are too few.
fn seat_drawn(ledger: &mut Ledger<'_>, schedule: &Schedule) -> Result<Option<Seats>, Halt> {
    let mut lot = ledger.get_or_default(&DrawKey {})?;
    let least = ledger.parameters.amount(ParameterName::MinimumBond);
    let (mut seated, seats) = (BTreeMap::new(), lot.seats as usize);
    for drawn in lot.open(schedule.terms) {
        if seated.len() >= seats {
            break;
        }
        let found = ledger.get(&ValidatorKey { validator: drawn })?;
        let is_ready = |validator: &Validator| {
            validator.ready_term == Some(schedule.term)
                && validator.stake >= least
                && !validator.is_barred
        };
        if let Some(validator) = found.filter(is_ready) {
            seated.insert(drawn, validator);
        }
    }
    if seated.len() < (2 * seats).div_ceil(3).max(4) {
        return Ok(None);
    }
    lot.serve(&seated);
    ledger.put(&DrawKey {}, &lot);
    Ok(seats_of(&seated))
}

/// The old set again, with present keys and bonds, without those who signed twice.
fn keep(ledger: &mut Ledger<'_>, old: &Seats) -> Result<Seats, Halt> {
    let mut staying = BTreeMap::new();
    for seat in old.iter() {
        let found = ledger.get(&ValidatorKey { validator: seat.validator })?;
        if let Some(validator) = found.filter(|validator| !validator.is_barred) {
            staying.insert(seat.validator, validator);
        }
    }
    Ok(seats_of(&staying).unwrap_or_else(|| old.clone()))
}

/// Seats with powers by bond in whole coins, none above the median (the lower one of an even
/// number): of four or more no single seat has a third, whatever its bond. None where there are
/// none.
fn seats_of(validators: &BTreeMap<Address, Validator>) -> Option<Seats> {
    let power = |stake: Amount| {
        u64::try_from(stake.0 / MOTES_PER_COIN).unwrap_or(MAX_POWER).clamp(1, MAX_POWER)
    };
    let mut powers: Vec<u64> = validators.values().map(|one| power(one.stake)).collect();
    powers.sort_unstable();
    let median = *powers.get(powers.len().checked_sub(1)? / 2)?;
    let seat = |(validator, one): (&Address, &Validator)| Seat {
        validator: *validator,
        consensus_key: one.consensus_key,
        power: power(one.stake).min(median),
    };
    Seats::new(validators.iter().map(seat).collect::<Vec<_>>()).ok()
}
