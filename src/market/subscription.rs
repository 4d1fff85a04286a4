//! Subscriptions: a right that goes on, period by period, each paid when its keys are there.
//!
//! For everything behind the ledger a period is a right of its own: [`Period::right`] is what a sale of its range
//! would be, under an id that stands for subscription and period, so that notes, receipt and checks of sales are those of
//! subscriptions, too.

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, CoinError};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, TooLong};
use chronolith_chain::hash::{OfferId, RequestId, SubscriptionId};
use chronolith_chain::ledger::{
    DrawSubscription, EndSubscription, EraKey, OfferKey, OpenOffer, Period as PeriodState,
    PeriodKey, PeriodStatus, Right, RightStatus, Subject, Subscribe, Subscription, SubscriptionKey,
    SubscriptionStatus, TopUpSubscription,
};
use chronolith_chain::list::ListProof;
use chronolith_chain::state::Overlay;
use chronolith_engine::KeyRandom;
use chronolith_engine::chunk::ChunkHeader;
use chronolith_keys::{GrantError, OneTimeSecret};

use super::grant::{Stock, context, keys_for};
use super::offer::missing;
use super::purse::{Purse, Requested};
use super::{MarketError, Venue, VenueError, note, offer};
use crate::buyer::check::rotation;
use crate::chain::prove::ChunkPath;
use crate::node::submit::Done;
use crate::wallet::AccountKey;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
/// would refuse is looked at first. Those that were drawn are told also where a later one fails.
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
        let done = venue.commit("draw a period", &owner.signer(), action)?;
        tell(Drawn { number: period.number, price, done });
    }
    Ok(())
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
