//! The offers of a ledger, as search keeps them.

use chronolith_chain::coin::Coin;
use chronolith_chain::hash::OfferId as LedgerId;
use chronolith_chain::ledger::{OfferKey, OpenOffer, Scope, Subject};
use chronolith_chain::state::{Overlay, State, StateError};
use chronolith_engine::Level;
use chronolith_query::search::remote::{
    Anchor, Change, Listing, Offer, OfferId, Price, Provenance, Trust,
};

/// What the chain's own coin is called.
const NATIVE: &str = "coin";

/// Hands over what each offer of a state changes in what search keeps: those that are open are told,
/// those that are closed are closed.
pub fn for_each<E: From<StateError>>(
    state: &State,
    provenance: &dyn Fn(String) -> Provenance,
    take: &mut dyn FnMut(Change) -> Result<(), E>,
) -> Result<(), E> {
    Overlay::new(state).each(&[], |OfferKey { offer }, open| take(change(offer, &open, provenance)))
}

fn nanoseconds(time_ms: u64) -> i64 {
    i64::try_from(time_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

fn change(
    LedgerId(id): LedgerId,
    OpenOffer { owner, offer, is_open }: &OpenOffer,
    provenance: &dyn Fn(String) -> Provenance,
) -> Change {
    let id = OfferId(id);
    let provenance = provenance(owner.to_string());
    if !is_open {
        return Change::Close { offer: id, provenance };
    }
    let Scope { subject, from_ms, until_ms } = &offer.scope;
    let (device, metrics) = match subject {
        Subject::Hidden(_) => (String::new(), Vec::new()),
        Subject::Metrics { device, metrics, .. } => {
            (device.to_string(), metrics.iter().map(|metric| metric.0.to_string()).collect())
        }
    };
    let coin = match offer.coin {
        Coin::Native => NATIVE.to_owned(),
        Coin::Issued(coin) => coin.to_string(),
    };
    let told = Offer {
        id,
        owner: owner.to_string(),
        device,
        metrics,
        from_ns: nanoseconds(*from_ms),
        until_ns: until_ms.map(nanoseconds),
        price: Price { coin, fixed: offer.fixed.0, per_hour: offer.per_hour.0 },
        // The ledger takes no other levels.
        level: Level::from_number(offer.terms.level).unwrap_or(Level::Secret),
        listing: Listing::default(),
    };
    Change::Offer { offer: told, provenance }
}

/// Where what a state says comes from.
#[must_use]
pub fn provenance(
    state: &State,
    time_ms: u64,
    chain: &str,
    trust: Trust,
    account: String,
) -> Provenance {
    let anchor = Some(Anchor { account, height: state.head().version, time_ms });
    Provenance { from: format!("chain {chain}"), trust, anchor }
}
