//! Who is paid for a sale.

use super::{Delivery, ExtensionKey};
use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::hash::OfferId;
use crate::ledger::call::{Halt, Ledger, ensure};
use crate::ledger::refusal::Refusal;

/// Pays for a sale of an offer out of what was set aside: the royalties, each rounded down, and the rest to
/// the owner. The work is bounded by the number of royalties, however much data is made of what.
pub(in crate::ledger) fn pay_seller(
    ledger: &mut Ledger<'_>,
    offer: OfferId,
    owner: Address,
    coin: Coin,
    amount: Amount,
) -> Result<(), Halt> {
    let mut left = amount;
    if let Some(extension) = ledger.get(&ExtensionKey { offer })? {
        for royalty in extension.royalties.iter() {
            let part = amount.basis_points(royalty.share)?;
            left = left.minus(part)?;
            ledger.pay(royalty.owner, coin, part)?;
        }
    }
    ledger.pay(owner, coin, left)
}

/// Refuses an offer that sells answers.
pub(in crate::ledger) fn ensure_sells_keys(
    ledger: &Ledger<'_>,
    offer: OfferId,
) -> Result<(), Halt> {
    let extension = ledger.get(&ExtensionKey { offer })?;
    let sells = extension.is_none_or(|extension| extension.delivery == Delivery::Keys);
    ensure(sells, Refusal::Delivery)
}

/// Refuses an offer that sells keys.
pub(super) fn ensure_sells_answers(ledger: &Ledger<'_>, offer: OfferId) -> Result<(), Halt> {
    let extension = ledger.get(&ExtensionKey { offer })?;
    let sells = extension.is_some_and(|extension| extension.delivery != Delivery::Keys);
    ensure(sells, Refusal::Delivery)
}
