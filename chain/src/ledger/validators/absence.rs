//! Absence: seated validators whose votes are missing from commit certificates.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Schedule, Seats, SeatsKey, ValidatorKey, change_bonded, current};
use crate::address::Address;
use crate::ledger::call::{Halt, Ledger};
use crate::ledger::parameters::ParameterName;
use crate::ledger::tables::tables;

tables! {
    /// How many votes of a validator were missing in the last term in which any were.
    0x1b AbsenceKey { validator: Address } => Absence;
}

/// How many votes of a validator were missing in a term.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// The term.
    pub term: u64,
    /// How many certificates of it were made without him.
    pub missed: u64,
    /// Whether it cost him a share of his bond.
    pub is_fined: bool,
}

/// Counts who is missing from the certificate that a block holds. The first block of a term holds
/// one by the set before, which is not counted.
pub(crate) fn record_absent(ledger: &mut Ledger<'_>, voters: &[Address]) -> Result<(), Halt> {
    let schedule = current(ledger)?;
    if voters.is_empty() || ledger.height <= schedule.term_start {
        return Ok(());
    }
    let voters: BTreeSet<&Address> = voters.iter().collect();
    let seats: Seats = ledger.get_or_default(&SeatsKey {})?;
    for seat in seats.iter().filter(|seat| !voters.contains(&seat.validator)) {
        let key = AbsenceKey { validator: seat.validator };
        let before = ledger.get_or_default(&key)?;
        let missed = if before.term == schedule.term { before.missed } else { 0 };
        let absence = Absence { term: schedule.term, missed: missed + 1, is_fined: false };
        ledger.put(&key, &absence);
    }
    Ok(())
}

/// At the end of a term: a share of the bond of who missed more than a share of it. It is burnt.
pub(super) fn fine_absent(
    ledger: &mut Ledger<'_>,
    schedule: &Schedule,
    seats: &Seats,
) -> Result<(), Halt> {
    let blocks = ledger.height.saturating_sub(schedule.term_start).max(1);
    let bar = u128::from(ledger.parameters.share(ParameterName::AbsenceShare).0);
    let share = ledger.parameters.share(ParameterName::AbsenceSlash);
    for seat in seats.iter() {
        let key = AbsenceKey { validator: seat.validator };
        let Some(absence) = ledger.get(&key)?.filter(|absence| absence.term == schedule.term)
        else {
            continue;
        };
        if u128::from(absence.missed) * 10_000 <= u128::from(blocks) * bar {
            continue;
        }
        ledger.put(&key, &Absence { is_fined: true, ..absence });
        let of = ValidatorKey { validator: seat.validator };
        let Some(mut behind) = ledger.get(&of)? else { continue };
        behind.accrue(ledger.height);
        let fine = behind.stake.basis_points(share)?;
        behind.stake = behind.stake.minus(fine)?;
        ledger.put(&of, &behind);
        change_bonded(ledger, |bonded| bonded.minus(fine))?;
        ledger.burn(fine)?;
    }
    Ok(())
}
