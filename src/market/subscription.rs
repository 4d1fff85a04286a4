//! Subscriptions: a right that goes on, period by period, each paid when its keys are there.
//!
//! For everything behind the ledger a period is a right of its own: [`Period::right`] is what a sale of its range
//! would be, under an id that stands for subscription and period, so that notes, receipt and checks of sales are those of
//! subscriptions, too.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, CoinError};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, TooLong};
use chronolith_chain::hash::{OfferId, RequestId, SubscriptionId};
use chronolith_chain::ledger::{
    AgendaKey, DrawSubscription, EndSubscription, EraKey, OfferKey, OpenOffer,
    Period as PeriodState, PeriodKey, PeriodStatus, Right, RightStatus, Subject, Subscribe,
    Subscription, SubscriptionKey, SubscriptionStatus, Task, TopUpSubscription,
};
use chronolith_chain::list::ListProof;
use chronolith_chain::state::{Overlay, StateError};
use chronolith_engine::KeyRandom;
use chronolith_engine::chunk::ChunkHeader;
use chronolith_keys::{GrantError, OneTimeSecret};

use super::grant::{Stock, context, ensure_in_time, keys_for};
use super::offer::missing;
use super::purse::{Purse, Requested};
use super::{MarketError, Venue, VenueError, note, offer};
use crate::buyer::check::rotation;
use crate::chain::prove::ChunkPath;
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// For how many blocks a draw may wait: so far it is looked whether the subscription ends before.
const DRAW_BLOCKS: u64 = 50;
/// How many entries of the ledger's agenda are read at a time.
const TASKS_AT_ONCE: usize = 256;
/// How many periods are looked at in one go.
const PERIODS_AT_ONCE: u32 = 64;
/// So much behind its end a period is drawn at the earliest.
const CLOCKS_MS: u64 = 60_000;
/// So long after its end a period without an anchored chunk is waited for.
const WAIT_MS: u64 = 86_400_000;

/// What a subscriber wants.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The offer.
    pub offer: OfferId,
    /// The beginning of the first period, in milliseconds since the epoch.
    pub from_ms: u64,
    /// How many hours a period has.
    pub hours: u32,
    /// How many periods are paid for.
    pub periods: u32,
    /// After how many blocks without a draw it ends by itself.
    pub patience: u32,
}

/// A subscription that is on the ledger.
#[derive(Debug, Clone)]
pub struct Subscribed {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// What is set aside.
    pub payment: Amount,
    /// Its block.
    pub done: Done,
}

/// A subscription and one of its periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Period {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The period's number.
    pub number: u32,
}

impl Period {
    /// What stands for the period where the ledger has the id of a request.
    #[must_use]
    pub fn request(self) -> RequestId {
        RequestId(Subscription::context(self.subscription, self.number).0)
    }

    /// The period as a right that was granted, or not yet.
    #[must_use]
    pub fn right(self, found: &Subscription, state: Option<&PeriodState>) -> Right {
        let (from_ms, until_ms) = found.range(self.number);
        let status = state.map_or(RightStatus::Open, |period| match period.status {
            PeriodStatus::Drawn { settles } => {
                RightStatus::Granted { wrapped: period.wrapped, settles }
            }
            PeriodStatus::Paid => RightStatus::Settled { wrapped: period.wrapped },
            PeriodStatus::Faulty => RightStatus::Faulty,
        });
        Right {
            offer: found.offer,
            owner: found.owner,
            buyer: found.subscriber,
            from_ms,
            until_ms,
            key: found.key,
            coin: found.coin,
            price: state.map_or(found.price, |period| period.price),
            escrow: state.map_or(Amount::ZERO, |period| period.escrow),
            // Keys may come at any time.
            deadline: u64::MAX,
            status,
        }
    }
}

fn payment(fixed: Amount, per_period: Amount, periods: u32) -> Result<Amount, CoinError> {
    fixed.plus(per_period.times(periods.into())?)
}

/// Subscribes. The secret of the key that all periods are sealed to is in the purse before anything is paid.
///
/// # Errors
/// Where there is no such offer, or the ledger refuses.
pub fn subscribe(
    venue: &mut Venue,
    subscriber: &AccountKey,
    purse: &Purse,
    wish: Wish,
) -> Result<Subscribed, MarketError> {
    let Wish { offer, from_ms, hours, periods, patience } = wish;
    let open = offer::find(venue, offer)?;
    let per_period = open.offer.per_hour.times(hours.into())?;
    let payment = payment(open.offer.fixed, per_period, periods)?;
    let since = venue.look(|_, height| Ok::<_, VenueError>(height))?;
    let secret = OneTimeSecret::generate(&mut KeyRandom::new()?);
    let key = secret.public();
    let action = Subscribe { offer, from_ms, hours, key, periods, payment, patience };
    let chain = venue.id()?;
    let keep = |made_by| {
        let subscription = SubscriptionId::made_by(made_by);
        let request = RequestId(subscription.0);
        let secret = secret.clone();
        let kept = Requested { request, chain, offer, since, secret, scope: None };
        purse.keep_subscription(&kept)?;
        Ok::<_, MarketError>(subscription)
    };
    let (subscription, done) =
        venue.commit_kept("subscribe", &subscriber.signer(), action, keep)?;
    Ok(Subscribed { subscription, payment, done })
}

/// Pays for more periods. What is set aside.
///
/// # Errors
/// Where there is no such subscription, or the ledger refuses.
pub fn top_up(
    venue: &mut Venue,
    subscriber: &AccountKey,
    subscription: SubscriptionId,
    periods: u32,
) -> Result<(Amount, Done), MarketError> {
    let (found, _) = find(venue, subscription)?;
    let payment = payment(Amount::ZERO, found.price, periods)?;
    let action = TopUpSubscription { subscription, periods, payment };
    Ok((payment, venue.commit("pay for more periods", &subscriber.signer(), action)?))
}

/// Ends a subscription: its owner at once, its subscriber after some blocks.
///
/// # Errors
/// Where the ledger refuses.
pub fn end(
    venue: &mut Venue,
    party: &AccountKey,
    subscription: SubscriptionId,
) -> Result<Done, MarketError> {
    let action = EndSubscription { subscription };
    Ok(venue.commit("end a subscription", &party.signer(), action)?)
}

/// A subscription and the offer that it is of.
///
/// # Errors
/// Where there is none of that id.
pub fn find(
    venue: &Venue,
    subscription: SubscriptionId,
) -> Result<(Subscription, OpenOffer), MarketError> {
    venue.look(|state, _| {
        let state = Overlay::new(state);
        let found = state.get(&SubscriptionKey { subscription }).map_err(VenueError::from)?;
        let found = found.ok_or_else(|| missing("subscription", &subscription))?;
        let open = state.get(&OfferKey { offer: found.offer }).map_err(VenueError::from)?;
        let open = open.ok_or_else(|| missing("offer", &found.offer))?;
        Ok((found, open))
    })
}

/// A period of a subscription as a right, with the offer that it is of and the height of the state.
///
/// # Errors
/// Where there is no such subscription.
pub fn period_right(venue: &Venue, period: Period) -> Result<(Right, OpenOffer, u64), MarketError> {
    let (found, open) = find(venue, period.subscription)?;
    let key = PeriodKey { subscription: period.subscription, period: period.number };
    venue.look(|state, height| {
        let drawn = Overlay::new(state).get(&key).map_err(VenueError::from)?;
        Ok((period.right(&found, drawn.as_ref()), open, height))
    })
}

/// All subscriptions that an account has a part in, in the order of their ids.
///
/// # Errors
/// Where the state cannot be read.
pub fn all_of(
    venue: &Venue,
    account: Address,
) -> Result<Vec<(SubscriptionId, Subscription)>, VenueError> {
    let all = venue.all::<SubscriptionKey>(&[])?.into_iter();
    let all = all.filter(|(_, one)| [one.owner, one.subscriber].contains(&account));
    Ok(all.map(|(key, one)| (key.subscription, one)).collect())
}

/// The periods of a subscription whose keys were given, in order.
///
/// # Errors
/// Where the state cannot be read.
pub fn drawn(
    venue: &Venue,
    subscription: SubscriptionId,
) -> Result<Vec<(u32, PeriodState)>, VenueError> {
    let all = venue.all::<PeriodKey>(&subscription.0)?.into_iter();
    Ok(all.map(|(key, period)| (key.period, period)).collect())
}

/// Where a subscription is, in a word.
#[must_use]
pub const fn status(found: &Subscription) -> &'static str {
    match found.status {
        SubscriptionStatus::Active => "active",
        SubscriptionStatus::Ending { .. } => "ending",
        SubscriptionStatus::Ended => "ended",
    }
}

/// A period that was drawn.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// Its number.
    pub number: u32,
    /// What is paid for it when nobody disputes it.
    pub price: Amount,
    /// Its block.
    pub done: Done,
}

/// Gives the keys of the periods of a subscription that are over and have an anchored chunk; each is paid for that.
/// A period in which nothing is anchored is waited for, and those behind it with it, as they could not be drawn
/// before it; after a day it is left out, and never paid.
///
/// Keys that the ledger refuses to take stand in their block all the same, for the subscriber to read: what it
/// would refuse is looked at first, also whether the subscription ends before they can be there; nothing is given
/// then. Those that were drawn are told also where a later one fails.
///
/// # Errors
/// Where it is another's, its keys are not here, or the ledger refuses.
pub fn draw(
    venue: &mut Venue,
    stock: Stock<'_>,
    owner: &AccountKey,
    subscription: SubscriptionId,
    now_ms: u64,
    mut tell: impl FnMut(Drawn),
) -> Result<(), MarketError> {
    for _ in 0..PERIODS_AT_ONCE {
        let (found, open) = find(venue, subscription)?;
        if found.owner != owner.address {
            return Err(MarketError::Other { what: "subscription", id: subscription.to_string() });
        }
        if found.status == SubscriptionStatus::Ended {
            break;
        }
        let Some((period, shown)) = next(venue, stock, subscription, &found, &open, now_ms)? else {
            break;
        };
        let right = period.right(&found, None);
        let action = drawing(venue, stock, period, (&right, &open), shown)?;
        let price = found.next_price()?;
        let until = match in_time(venue, subscription) {
            Err(MarketError::TooLate { .. }) => break,
            until => until?,
        };
        let done = venue.commit_until("draw a period", &owner.signer(), action, until)?;
        tell(Drawn { number: period.number, price, done });
    }
    Ok(())
}

/// Looks at a subscription anew: the last height at which a draw may be in a block, where it still counts.
///
/// # Errors
/// Where it may end before.
fn in_time(venue: &Venue, subscription: SubscriptionId) -> Result<u64, MarketError> {
    venue.look(|state, height| {
        let state = Overlay::new(state);
        let found = state.get(&SubscriptionKey { subscription }).map_err(VenueError::from)?;
        let found = found.ok_or_else(|| missing("subscription", &subscription))?;
        let of = (subscription, found.drawn);
        let planned = planned_end(&state, of, height).map_err(VenueError::from)?;
        let until = last_height(found.status, planned, height);
        ensure_in_time(("subscription", &subscription), until, height)
    })
}

/// The last height at which a draw still counts, of the next ones.
fn last_height(status: SubscriptionStatus, planned: Option<u64>, height: u64) -> u64 {
    let end = match status {
        SubscriptionStatus::Active => None,
        SubscriptionStatus::Ending { from } => Some(from),
        SubscriptionStatus::Ended => Some(0),
    };
    let until = height.saturating_add(DRAW_BLOCKS);
    [end, planned].into_iter().flatten().fold(until, |until, end| until.min(end.saturating_sub(1)))
}

/// The height at which a subscription ends where no more is drawn of it, if it is one of the next.
fn planned_end(
    state: &Overlay<'_>,
    (wanted, so_far): (SubscriptionId, u32),
    height: u64,
) -> Result<Option<u64>, StateError> {
    let last = height.saturating_add(DRAW_BLOCKS);
    let mut from = AgendaKey { height: height.saturating_add(1), number: 0 };
    loop {
        let tasks = state.scan_from(&from, TASKS_AT_ONCE)?;
        for (key, task) in &tasks {
            if key.height > last {
                return Ok(None);
            }
            // What was planned before the last draw does nothing.
            if let Task::EndSubscription { subscription, drawn } = task
                && (*subscription, *drawn) == (wanted, so_far)
            {
                return Ok(Some(key.height));
            }
        }
        match tasks.last() {
            Some((key, _)) if tasks.len() == TASKS_AT_ONCE => {
                from = AgendaKey { height: key.height, number: key.number.saturating_add(1) };
            }
            _ => return Ok(None),
        }
    }
}

/// The period that is to be drawn next, with a chunk of it that is anchored; none while there is none.
fn next(
    venue: &Venue,
    stock: Stock<'_>,
    subscription: SubscriptionId,
    found: &Subscription,
    open: &OpenOffer,
    now_ms: u64,
) -> Result<Option<(Period, Shown)>, MarketError> {
    let Subject::Metrics { device, tree, .. } = &open.offer.scope.subject else { return Ok(None) };
    let era = EraKey { device: *device, tree: *tree };
    let era = venue.look(|state, _| Overlay::new(state).get(&era).map_err(VenueError::from))?;
    for number in found.next..found.next.saturating_add(PERIODS_AT_ONCE) {
        let (from_ms, until_ms) = found.range(number);
        let is_owned = era.is_some_and(|era| {
            era.owner == found.owner
                && era.from_ms <= from_ms
                && era.until_ms.is_none_or(|end| until_ms <= end)
        });
        // The ledger goes by the clocks of its validators.
        if until_ms.saturating_add(CLOCKS_MS) > now_ms || !is_owned {
            return Ok(None);
        }
        let period = Period { subscription, number };
        let right = period.right(found, None);
        if let Some(shown) = shown(venue, stock, found.owner, (&right, open))? {
            return Ok(Some((period, shown)));
        }
        if until_ms.saturating_add(WAIT_MS) > now_ms {
            return Ok(None);
        }
    }
    Ok(None)
}

/// A chunk of a period that is anchored: the way to its anchor, and its header.
type Shown = (ChunkPath, Vec<u8>);

fn shown(
    venue: &Venue,
    stock: Stock<'_>,
    owner: Address,
    of: (&Right, &OpenOffer),
) -> Result<Option<Shown>, MarketError> {
    let chunks = note::chunks_of(stock, of, None)?;
    if chunks.is_empty() {
        return Ok(None);
    }
    let wanted: BTreeSet<ContentId> = chunks.keys().copied().collect();
    let paths = note::anchored_paths(venue, stock.db, owner, &wanted)?;
    for path in paths {
        let Some(key) = chunks.get(&path.chunk) else { continue };
        if let Some(header) = stock.db.chunk_header(*key)? {
            return Ok(Some((path, header)));
        }
    }
    Ok(None)
}

fn drawing(
    venue: &Venue,
    stock: Stock<'_>,
    period: Period,
    (right, open): (&Right, &OpenOffer),
    (shown, header): Shown,
) -> Result<DrawSubscription, MarketError> {
    let keys = keys_for(stock, right, open, None)?;
    let context = context(venue.id()?, period.request());
    let sealed = keys.seal(&right.key, &context, &mut KeyRandom::new()?)?;
    let found = sealed.len();
    let too_long = |_: TooLong| GrantError::TooLong { found };
    let rotation = match (&open.offer.scope.subject, ChunkHeader::from_bytes(&header)) {
        (Subject::Metrics { device, tree, .. }, Ok(parsed)) => parsed
            .encryption
            .and_then(|encryption| rotation(*device, *tree, &parsed, &encryption.tree)),
        _ => None,
    };
    Ok(DrawSubscription {
        subscription: period.subscription,
        period: period.number,
        wrapped: Bytes::new(sealed).map_err(too_long)?,
        header: Bytes::new(header).map_err(too_long)?,
        anchor: (shown.producer, shown.root),
        index: shown.index,
        path: ListProof { path: shown.path },
        // The ledger refuses what is of no tree of the scope's.
        rotation: rotation.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::state::{Changes, Options, State};

    use super::*;

    /// A draw that came when the subscription had ended was refused, and its keys stood in the block for nothing.
    #[test]
    fn nothing_is_drawn_that_a_subscription_may_end_before() {
        let in_time = |status, planned, height| {
            let until = last_height(status, planned, height);
            ensure_in_time(("subscription", &"s"), until, height).ok()
        };
        let active = SubscriptionStatus::Active;
        assert_eq!(in_time(active, None, 1_000), Some(1_000 + DRAW_BLOCKS));
        assert_eq!(
            (in_time(active, Some(1_010), 1_000), in_time(active, Some(1_003), 1_000)),
            (Some(1_009), None)
        );
        let ending =
            |from, height| in_time(SubscriptionStatus::Ending { from }, Some(2_000), height);
        assert_eq!((ending(1_020, 1_000), ending(1_020, 1_016)), (Some(1_019), Some(1_019)));
        assert_eq!(
            (ending(1_020, 1_017), in_time(SubscriptionStatus::Ended, None, 1_000)),
            (None, None)
        );
    }

    #[test]
    fn the_agenda_says_when_a_subscription_ends_of_which_no_more_is_drawn() {
        let (wanted, other) = (SubscriptionId([1; 32]), SubscriptionId([2; 32]));
        let below = State::in_memory(0, Changes::default(), Options::default()).unwrap();
        let mut state = Overlay::new(&below);
        let mut plan = |height, number, subscription, drawn| {
            let task = Task::EndSubscription { subscription, drawn };
            state.put(&AgendaKey { height, number }, &task);
        };
        // More than are read at a time, of another; one that was planned before the last draw; and the one.
        for number in 0..TASKS_AT_ONCE as u64 + 1 {
            plan(110, number, other, 3);
        }
        plan(112, 0, wanted, 2);
        plan(115, 7, wanted, 3);
        let end = |drawn, height| planned_end(&state, (wanted, drawn), height).unwrap();
        assert_eq!((end(3, 100), end(2, 100), end(4, 100)), (Some(115), Some(112), None));
        // What is at this height was done, and what is far away is none of the next.
        assert_eq!(
            (end(3, 115), end(3, 115 - DRAW_BLOCKS), end(3, 114 - DRAW_BLOCKS)),
            (None, Some(115), None)
        );
    }
}
