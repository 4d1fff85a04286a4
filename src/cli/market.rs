//! `chronolith market`: offering data, asking for it, giving it, receiving it.

mod answering;
mod bounties;
mod buying;
mod deals;
mod deciding;
mod offering;
mod receiving;
mod subscribing;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use chronolith_chain::address::Address;
use chronolith_chain::coin::Coin;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{CoinId, OfferId, RequestId};
use chronolith_chain::ledger::Action;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Outcome;
use super::chain::{WalletArgs, coins, print_fields};
use super::usage::{Usage, duration};
use crate::market::Venue;
use crate::market::purse::Purse;
use crate::moment;
use crate::node::submit::Done;
use crate::node::{Client, NodeSettings};
use crate::wallet::{AccountKey, secret_of};

/// Rights to data: offered, asked for with the payment set aside, granted with the keys, received and checked.
/// Whoever trusts no node loses nothing: no key without the payment, no payment without a key.
#[derive(Debug, Subcommand)]
pub(super) enum MarketCommand {
    /// Offer metrics of a device
    Offer(offering::OfferCommand),
    /// List the offers of the chain
    Offers(offering::OffersCommand),
    /// Take an offer back; what was bought of it stays
    Close(offering::CloseCommand),
    /// Ask for a right, with its price set aside
    Buy(buying::BuyCommand),
    /// Take a request back
    Cancel(buying::CancelCommand),
    /// List the requests that wait for an owner
    Queue(deciding::QueueCommand),
    /// Grant a request
    Grant(deciding::GrantCommand),
    /// Decline a request; the payment goes back
    Decline(deciding::DeclineCommand),
    /// Grant, answer and decline what a policy decides, and list what waits for the owner's word
    Decide(deciding::DecideCommand),
    /// Write the note of a grant for its buyer, and the chunks themselves
    Deliver(deciding::DeliverCommand),
    /// Fetch what was bought, check it, open it and write it into a database
    Receive(receiving::ReceiveCommand),
    /// Subscribe to data that is still to come, period by period
    Subscribe(subscribing::SubscribeCommand),
    /// List the subscriptions of an account
    Subscriptions(subscribing::SubscriptionsCommand),
    /// List the periods of a subscription whose keys were given
    Periods(subscribing::PeriodsCommand),
    /// Give the keys of the periods that are over, as their owner
    Draw(subscribing::DrawCommand),
    /// Pay for more periods of a subscription
    TopUp(subscribing::TopUpCommand),
    /// End a subscription
    End(subscribing::EndCommand),
    /// Answer a request of an offer of answers
    Answer(answering::AnswerCommand),
    /// Open an answer that was bought, and print it
    Read(answering::ReadCommand),
    /// Rewards for data that nobody offers
    #[command(subcommand)]
    Bounty(bounties::BountyCommand),
    /// Deals of several steps
    #[command(subcommand)]
    Deal(deals::DealCommand),
}

impl MarketCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Offer(command) => command.run(),
            Self::Offers(command) => command.run(),
            Self::Close(command) => command.run(),
            Self::Buy(command) => command.run(),
            Self::Cancel(command) => command.run(),
            Self::Queue(command) => command.run(),
            Self::Grant(command) => command.run(),
            Self::Decline(command) => command.run(),
            Self::Decide(command) => command.run(),
            Self::Deliver(command) => command.run(),
            Self::Receive(command) => command.run(),
            Self::Subscribe(command) => command.run(),
            Self::Subscriptions(command) => command.run(),
            Self::Periods(command) => command.run(),
            Self::Draw(command) => command.run(),
            Self::TopUp(command) => command.run(),
            Self::End(command) => command.run(),
            Self::Answer(command) => command.run(),
            Self::Read(command) => command.run(),
            Self::Bounty(command) => command.run(),
            Self::Deal(command) => command.run(),
        }
    }
}

/// Which chain deals are made on.
#[derive(Debug, Args)]
pub(super) struct VenueArgs {
    /// The directory of a chain whose validators run in this process
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    chain: Option<PathBuf>,

    /// The configuration of a node of the network, which is asked
    #[arg(long, value_name = "FILE", conflicts_with = "chain")]
    config: Option<PathBuf>,

    /// Ask this node: /ip4/192.0.2.1/tcp/4100/p2p/12D3…
    #[arg(long, value_name = "ADDRESS", requires = "config")]
    peer: Option<String>,

    /// How long a block is waited for
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "120s")]
    wait: Duration,
}

impl VenueArgs {
    pub(super) fn open(&self) -> Result<Venue> {
        match (&self.chain, &self.config) {
            (Some(chain), _) => Ok(Venue::open(chain)?),
            (None, Some(config)) => {
                let client = Client::new(&NodeSettings::read(config)?, self.peer.as_deref())?;
                Ok(Venue::Node { client: Box::new(client), deadline: self.wait })
            }
            (None, None) => Err(Usage("give --chain DIR or --config FILE".to_owned()).into()),
        }
    }
}

/// Who acts.
#[derive(Debug, Args)]
pub(super) struct PartyArgs {
    #[command(flatten)]
    pub(super) wallet: WalletArgs,

    /// The name of the account's key
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(super) account: String,
}

impl PartyArgs {
    pub(super) fn key(&self) -> Result<AccountKey> {
        self.wallet.load(&self.account)
    }

    fn purse(&self) -> Result<Purse> {
        Ok(Purse::of(&self.wallet.wallet()?))
    }
}

/// Who does something on which chain.
#[derive(Debug, Args)]
pub(super) struct ActingArgs {
    #[command(flatten)]
    pub(super) venue: VenueArgs,
    #[command(flatten)]
    pub(super) party: PartyArgs,

    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl ActingArgs {
    /// Commits an action of the account and prints what was done.
    pub(super) fn commit(
        &self,
        what: &'static str,
        action: impl Into<Action>,
        shown: Value,
    ) -> Result<Outcome> {
        let done = self.venue.open()?.commit(what, &self.party.key()?.signer(), action)?;
        print_done(self.json, shown, &done)
    }

    /// An account by its address, or by the name of its key in the wallet.
    pub(super) fn address(&self, text: &str) -> Result<Address> {
        self.party.wallet.address(text)
    }
}

/// Which request is dealt with, on which chain and by whom.
#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    /// The request
    #[arg(value_name = "REQUEST")]
    pub(super) request: String,

    #[command(flatten)]
    pub(super) acting: ActingArgs,
}

impl RequestArgs {
    pub(super) fn id(&self) -> Result<RequestId> {
        Ok(RequestId(id(&self.request, "request")?))
    }

    /// Prints what was done, with its block and fee.
    pub(super) fn print_done(&self, done: &Done) -> Result<Outcome> {
        print_done(self.acting.json, json!({"request": self.request}), done)
    }
}

pub(super) fn id(text: &str, what: &str) -> Result<[u8; 32]> {
    let bytes = secret_of(text);
    Ok(bytes.map_err(|_| Usage(format!("{text:?} is no {what}: 64 hexadecimal digits are one")))?)
}

fn content(text: &str) -> Result<ContentId> {
    Ok(text.parse().map_err(|error| Usage(format!("{text:?}: {error}")))?)
}

fn offer_id(text: &str) -> Result<OfferId> {
    Ok(OfferId(id(text, "offer")?))
}

/// The coin of a price: an issued one by its id, or the chain's own.
fn coin(issued: Option<&str>) -> Result<Coin> {
    Ok(match issued {
        Some(text) => Coin::Issued(CoinId(id(text, "coin")?)),
        None => Coin::Native,
    })
}

fn time_ms(text: &str) -> Result<u64> {
    Ok(moment::parse_ms(text).map_err(Usage)?)
}

/// Prints what was done, with its block and fee.
pub(super) fn print_done(json: bool, mut shown: Value, done: &Done) -> Result<Outcome> {
    shown["height"] = json!(done.height);
    shown["fee"] = json!(coins(done.receipt.fee));
    print_fields(json, &shown)?;
    Ok(Outcome::Done)
}
