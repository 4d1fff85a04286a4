//! `chronolith market subscribe`, `subscriptions`, `periods`, `draw`, `top-up` and `end`.

use anyhow::Result;
use chronolith_chain::hash::SubscriptionId;
use chronolith_chain::ledger::PeriodStatus;
use clap::Args;
use serde_json::json;

use super::deciding::keys_of;
use super::{ActingArgs, PartyArgs, RequestArgs, VenueArgs, id, offer_id, print_done, time_ms};
use crate::chain::shown::{self, milliseconds};
use crate::cli::Outcome;
use crate::cli::chain::coins;
use crate::cli::database::DatabaseArgs;
use crate::cli::listing::ListingArgs;
use crate::market::bought::Bought;
use crate::market::grant::Stock;
use crate::market::subscription::{self, Period, Wish};

fn subscription_id(text: &str) -> Result<SubscriptionId> {
    Ok(SubscriptionId(id(text, "subscription")?))
}

/// A request, or a period of a subscription that is given in its place.
pub(super) fn bought(request: &RequestArgs, period: Option<u32>) -> Result<Bought> {
    Ok(match period {
        None => Bought::Request(request.id()?),
        Some(number) => {
            Bought::Period(Period { subscription: subscription_id(&request.request)?, number })
        }
    })
}

/// Subscribe to data that is still to come: pay for some periods, and get the keys of each when it is over and
/// something of it is anchored. What is not drawn comes back.
#[derive(Debug, Args)]
pub(in crate::cli) struct SubscribeCommand {
    /// The offer: of keys, of named metrics, and without an end
    #[arg(value_name = "OFFER")]
    offer: String,

    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    /// The beginning of the first period
    #[arg(long, value_name = "TIME")]
    from: String,

    /// How many hours a period has
    #[arg(long, value_name = "COUNT", default_value_t = 24)]
    hours: u32,

    /// How many periods are paid for
    #[arg(long, value_name = "COUNT")]
    periods: u32,

    /// After how many blocks without a period's keys it ends, and the rest comes back
    #[arg(long, value_name = "BLOCKS", default_value_t = 10_000)]
    patience: u32,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl SubscribeCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let wish = Wish {
            offer: offer_id(&self.offer)?,
            from_ms: time_ms(&self.from)?,
            hours: self.hours,
            periods: self.periods,
            patience: self.patience,
        };
        let (mut venue, purse) = (self.venue.open()?, self.party.purse()?);
        let made = subscription::subscribe(&mut venue, &self.party.key()?, &purse, wish)?;
        let shown = json!({"subscription": made.subscription, "payment": coins(made.payment)});
        print_done(self.json, shown, &made.done)
    }
}

/// List the subscriptions of an account, those that it sells and those that it pays for.
#[derive(Debug, Args)]
pub(in crate::cli) struct SubscriptionsCommand {
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl SubscriptionsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let (venue, account) = (self.venue.open()?, self.party.key()?.address);
        let columns = [
            "subscription",
            "side",
            "with",
            "offer",
            "from",
            "hours",
            "price",
            "escrow",
            "drawn",
            "next",
            "status",
        ];
        let mut rows = self.listing.rows(&columns)?;
        for (id, found) in subscription::all_of(&venue, account)? {
            rows.show(&shown::subscription(id, &found, account))?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// List the periods of a subscription whose keys were given.
#[derive(Debug, Args)]
pub(in crate::cli) struct PeriodsCommand {
    /// The subscription
    #[arg(value_name = "SUBSCRIPTION")]
    subscription: String,

    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl PeriodsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let (id, venue) = (subscription_id(&self.subscription)?, self.venue.open()?);
        let (found, _) = subscription::find(&venue, id)?;
        let mut rows = self.listing.rows(&["period", "from", "until", "price", "status"])?;
        for (number, period) in subscription::drawn(&venue, id)? {
            let (from_ms, until_ms) = found.range(number);
            let status = match period.status {
                PeriodStatus::Drawn { .. } => "drawn",
                PeriodStatus::Paid => "paid",
                PeriodStatus::Faulty => "faulty",
            };
            rows.push(&[
                u64::from(number).into(),
                milliseconds(from_ms).into(),
                milliseconds(until_ms).into(),
                coins(period.price).into(),
                status.into(),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Give the keys of every period that is over and has an anchored chunk: each is paid for that.
#[derive(Debug, Args)]
pub(in crate::cli) struct DrawCommand {
    /// The subscription [default: all that the account sells]
    #[arg(value_name = "SUBSCRIPTION")]
    subscription: Option<String>,

    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl DrawCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let owner = self.party.key()?;
        let mut venue = self.venue.open()?;
        let ids = match &self.subscription {
            Some(text) => vec![subscription_id(text)?],
            None => {
                let all = subscription::all_of(&venue, owner.address)?.into_iter();
                all.filter(|(_, one)| one.owner == owner.address).map(|(id, _)| id).collect()
            }
        };
        let db = self.database.change_or_read()?;
        let stock = Stock { db: &db, keys: keys_of(&db)? };
        let mut rows = self.listing.rows(&["subscription", "period", "price", "height"])?;
        let now_ms = crate::moment::now_ms();
        for id in ids {
            let mut made = Vec::new();
            let tell = |drawn| made.push(drawn);
            let ended = subscription::draw(&mut venue, stock, &owner, id, now_ms, tell);
            for drawn in made {
                rows.push(&[
                    id.to_string().into(),
                    u64::from(drawn.number).into(),
                    coins(drawn.price).into(),
                    drawn.done.height.into(),
                ])?;
            }
            ended?;
        }
        rows.finish()?;
        db.close()?;
        Ok(Outcome::Done)
    }
}

/// Which subscription is dealt with, by whom.
#[derive(Debug, Args)]
struct SubscriptionArgs {
    /// The subscription
    #[arg(value_name = "SUBSCRIPTION")]
    subscription: String,

    #[command(flatten)]
    acting: ActingArgs,
}

/// Pay for more periods of a subscription, which ends when it is used up.
#[derive(Debug, Args)]
pub(in crate::cli) struct TopUpCommand {
    #[command(flatten)]
    of: SubscriptionArgs,

    /// How many periods
    #[arg(long, value_name = "COUNT")]
    periods: u32,
}

impl TopUpCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let SubscriptionArgs { subscription, acting: ActingArgs { venue, party, json } } = &self.of;
        let id = subscription_id(subscription)?;
        let mut venue = venue.open()?;
        let (payment, done) = subscription::top_up(&mut venue, &party.key()?, id, self.periods)?;
        print_done(*json, json!({"subscription": id, "payment": coins(payment)}), &done)
    }
}

/// End a subscription: its owner at once, its subscriber after some blocks in which keys that are on their way
/// still count. The rest comes back.
#[derive(Debug, Args)]
pub(in crate::cli) struct EndCommand {
    #[command(flatten)]
    of: SubscriptionArgs,
}

impl EndCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let SubscriptionArgs { subscription, acting: ActingArgs { venue, party, json } } = &self.of;
        let id = subscription_id(subscription)?;
        let done = subscription::end(&mut venue.open()?, &party.key()?, id)?;
        print_done(*json, json!({"subscription": id}), &done)
    }
}
