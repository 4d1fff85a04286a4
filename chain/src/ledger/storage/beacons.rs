//! The beacon of each epoch, as it was at its end: what audits and placements are drawn by.
//!
//! They stay in the state for [`BEACONS_KEPT`] epochs, so that anybody can draw again from the head
//! alone.

use crate::hash::Hash;
use crate::ledger::call::{Halt, Ledger};
use crate::ledger::tables::tables;
use crate::ledger::validators::current;

/// For how many epochs their beacons are kept: four weeks of epochs of ten minutes.
pub const BEACONS_KEPT: u64 = 4_096;

tables! {
    /// The beacon as it was after the last block of an epoch.
    0x45 BeaconKey { epoch: u64 } => Hash;
}

/// At the end of an epoch's last block: keeps its beacon, and forgets the one that is too old.
pub(crate) fn keep_beacon(ledger: &mut Ledger<'_>) -> Result<(), Halt> {
    let epoch = ledger.epoch();
    if ledger.height.saturating_add(1) < ledger.epoch_end(epoch.saturating_add(1)) {
        return Ok(());
    }
    let beacon = current(ledger)?.seed;
    ledger.put(&BeaconKey { epoch }, &beacon);
    if let Some(epoch) = epoch.checked_sub(BEACONS_KEPT) {
        ledger.remove(&BeaconKey { epoch });
    }
    Ok(())
}
