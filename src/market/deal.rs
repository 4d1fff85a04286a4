//! Deals of several steps: what several parties do one after the other, with coin set aside for it.
//!
//! Whatever is set aside comes out again by itself, whoever is away (`docs/deals.md`).

use chronolith_chain::address::Address;
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::{
    Advance, Advanced, Arbitrate, Deal, DealKey, DealStatus, DealStepKey, DealVerdictKey, Decided,
    JoinDeal, OpenDeal, Plan,
};
use chronolith_chain::state::{Overlay, StateError};

use super::offer::missing;
use super::{MarketError, Venue, VenueError};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// All that the ledger has of a deal.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its plan, what is set aside, and where it is.
    pub deal: Deal,
    /// What ended its steps, by their numbers.
    pub said: Vec<(u8, Advanced)>,
    /// What its arbiter decided.
    pub verdict: Option<Decided>,
}

/// Opens a deal by its plan, and sets the opener's part aside. Nobody can change the plan any more.
///
/// # Errors
/// Where the ledger refuses.
pub fn open(
    venue: &mut Venue,
    party: &AccountKey,
    plan: Plan,
) -> Result<(DealId, Done), MarketError> {
    let id = |made_by| Ok::<_, MarketError>(DealId::made_by(made_by));
    venue.commit_kept("open a deal", &party.signer(), OpenDeal { plan }, id)
}

/// Joins a deal as it is, and sets one's part aside. With the last party the first step begins.
///
/// # Errors
/// Where the ledger refuses.
pub fn join(venue: &mut Venue, party: &AccountKey, deal: DealId) -> Result<Done, MarketError> {
    Ok(venue.commit("join a deal", &party.signer(), JoinDeal { deal })?)
}

/// Says that the step that a deal is at is done, or objects to it. The step is named, so that nothing is said of a
/// later one by mistake.
///
/// # Errors
/// Where the ledger refuses.
pub fn advance(venue: &mut Venue, party: &AccountKey, said: Advance) -> Result<Done, MarketError> {
    let what = if said.objects { "object to a step" } else { "say that a step is done" };
    Ok(venue.commit(what, &party.signer(), said)?)
}

/// Decides a disputed deal, as its arbiter: everything is paid out as the shares say.
///
/// # Errors
/// Where the ledger refuses.
pub fn arbitrate(
    venue: &mut Venue,
    arbiter: &AccountKey,
    decision: Arbitrate,
) -> Result<Done, MarketError> {
    Ok(venue.commit("decide a deal", &arbiter.signer(), decision)?)
}

/// A deal of the ledger.
///
/// # Errors
/// Where there is none of that id.
pub fn of(venue: &Venue, deal: DealId) -> Result<Found, MarketError> {
    let found =
        venue.look(|state, _| find(&Overlay::new(state), deal).map_err(VenueError::from))?;
    found.ok_or_else(|| missing("deal", &deal))
}

/// A deal of a state; none where there is none of that id.
///
/// # Errors
/// Where the state cannot be read.
pub fn find(state: &Overlay<'_>, deal: DealId) -> Result<Option<Found>, StateError> {
    let Some(found) = state.get(&DealKey { deal })? else { return Ok(None) };
    let mut said = Vec::new();
    state.each(&deal.0, |DealStepKey { step, .. }, advanced| {
        said.push((step, advanced));
        Ok::<_, StateError>(())
    })?;
    let verdict = state.get(&DealVerdictKey { deal })?;
    Ok(Some(Found { deal: found, said, verdict }))
}

/// The deals of a state that an account has a part in, in the order of their ids.
///
/// # Errors
/// Where the state cannot be read.
pub fn all_of(state: &Overlay<'_>, account: Address) -> Result<Vec<(DealId, Deal)>, StateError> {
    let mut found = Vec::new();
    state.each(&[], |DealKey { deal }, one: Deal| {
        if part(&one, account).is_some() {
            found.push((deal, one));
        }
        Ok::<_, StateError>(())
    })?;
    Ok(found)
}

/// An account's part in a deal, in words: `party 0`, or `arbiter`; none where it has none.
#[must_use]
pub fn part(deal: &Deal, account: Address) -> Option<String> {
    let number = deal.plan.parties.iter().position(|party| party.account == account);
    match number {
        Some(number) => Some(format!("party {number}")),
        None if deal.plan.arbiter == Some(account) => Some("arbiter".to_owned()),
        None => None,
    }
}

/// Where a deal is, in words.
#[must_use]
pub fn status(status: &DealStatus) -> String {
    match status {
        DealStatus::Joining => "joining".to_owned(),
        DealStatus::AtStep { step, until } => format!("at step {step} until {until}"),
        DealStatus::Disputed { step, until, .. } => {
            format!("disputed at step {step} until {until}")
        }
        DealStatus::Closed { outcome } => format!("closed with outcome {outcome}"),
        DealStatus::Arbitrated => "decided by the arbiter".to_owned(),
        DealStatus::Void => "void".to_owned(),
    }
}
