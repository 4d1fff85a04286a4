//! `chronolith market bounty`: data that nobody offers is asked for, with a reward set aside.

use std::path::PathBuf;

use anyhow::Result;
use chronolith_chain::coin::{Amount, BasisPoints};
use chronolith_chain::hash::BountyId;
use chronolith_chain::ledger::{Leftover, Ownership, SubmittedRight};
use chronolith_chain::state::Overlay;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{ActingArgs, VenueArgs, coin, content, id, offer_id, print_done, time_ms};
use crate::chain::shown;
use crate::cli::Outcome;
use crate::cli::chain::amount;
use crate::cli::listing::ListingArgs;
use crate::cli::usage::Usage;
use crate::market::VenueError;
use crate::market::bounty::{self, Awarded, Awards, GRANT_BLOCKS, Posted, Wish};
use crate::market::purse::Disclosure;

/// Bounties: post what is wanted, submit it, award shares of the reward. What is encrypted becomes a request when
/// it is awarded: the submitter grants it as any other, and its share is paid for the keys.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BountyCommand {
    /// Post a bounty, with its reward set aside
    Post(PostCommand),
    /// List bounties
    List(ListCommand),
    /// Submit to a bounty
    Submit(SubmitCommand),
    /// List what was submitted to a bounty
    Submissions(SubmissionsCommand),
    /// Award shares of the reward
    Award(AwardCommand),
}

impl BountyCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Post(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Submit(command) => command.run(),
            Self::Submissions(command) => command.run(),
            Self::Award(command) => command.run(),
        }
    }
}

/// Where goes what nobody was awarded.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rest {
    /// Back to who posted it
    Poster,
    /// In equal parts to all who submitted
    Submitters,
}

/// Whose the data is once it is awarded.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Owner {
    /// The submitter's; who posted it may use it
    Submitter,
    /// Who posted it
    Poster,
    /// Both
    Both,
}

fn bounty_id(text: &str) -> Result<BountyId> {
    Ok(BountyId(id(text, "bounty")?))
}

/// Post a bounty, with its reward set aside.
#[derive(Debug, Args)]
pub(in crate::cli) struct PostCommand {
    #[command(flatten)]
    acting: ActingArgs,

    /// The content id of what is wanted, and of all that is agreed
    #[arg(long, value_name = "CID")]
    text: String,

    /// The reward
    #[arg(long, value_name = "COIN", value_parser = amount)]
    reward: Amount,

    /// The issued coin of the reward [default: the chain's own]
    #[arg(long, value_name = "ID")]
    coin: Option<String>,

    /// For how many blocks submissions are taken
    #[arg(long, value_name = "BLOCKS")]
    submit: u64,

    /// For how many blocks after that awards may be made
    #[arg(long, value_name = "BLOCKS")]
    award: u64,

    /// Where goes what nobody was awarded
    #[arg(long, value_name = "WHO", default_value = "poster")]
    rest: Rest,

    /// Whose the data is once it is awarded
    #[arg(long, value_name = "WHO", default_value = "submitter")]
    owner: Owner,
}

impl PostCommand {
    fn run(&self) -> Result<Outcome> {
        let ActingArgs { venue, party, json } = &self.acting;
        let wish = Wish {
            text: content(&self.text)?,
            coin: coin(self.coin.as_deref())?,
            reward: self.reward,
            submit_blocks: self.submit,
            award_blocks: self.award,
            leftover: match self.rest {
                Rest::Poster => Leftover::Poster,
                Rest::Submitters => Leftover::Submitters,
            },
            ownership: match self.owner {
                Owner::Submitter => Ownership::Submitter,
                Owner::Poster => Ownership::Poster,
                Owner::Both => Ownership::Both,
            },
        };
        let Posted { bounty, submit_until, award_until, done } =
            bounty::post(&mut venue.open()?, &party.key()?, wish)?;
        let shown =
            json!({"bounty": bounty, "submit_until": submit_until, "award_until": award_until});
        print_done(*json, shown, &done)
    }
}

/// List bounties.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListCommand {
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    listing: ListingArgs,

    /// Also those that take no awards any more
    #[arg(long)]
    closed: bool,
}

impl ListCommand {
    fn run(&self) -> Result<Outcome> {
        let columns = [
            "bounty",
            "poster",
            "text",
            "reward",
            "escrow",
            "submissions",
            "submit_until",
            "award_until",
            "open",
        ];
        let mut rows = self.listing.rows(&columns)?;
        let all = self.venue.open()?.look(|state, _| {
            bounty::all(&Overlay::new(state), self.closed).map_err(VenueError::from)
        })?;
        for (id, found) in all {
            rows.show(&shown::bounty(id, &found))?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Submit to a bounty, and agree to its terms. Encrypted data is submitted by an offer of one's own, with a time
/// range: nobody gets its keys before it is awarded.
#[derive(Debug, Args)]
pub(in crate::cli) struct SubmitCommand {
    /// The bounty
    #[arg(value_name = "BOUNTY")]
    bounty: String,

    #[command(flatten)]
    acting: ActingArgs,

    /// The content id of what is submitted
    #[arg(long, value_name = "CID")]
    content: String,

    /// The offer that the right will be of, where the data is encrypted
    #[arg(long, value_name = "OFFER", requires_all = ["from", "until"])]
    offer: Option<String>,

    /// From this time on
    #[arg(long, value_name = "TIME", requires = "offer")]
    from: Option<String>,

    /// Until this time
    #[arg(long, value_name = "TIME", requires = "offer")]
    until: Option<String>,
}

impl SubmitCommand {
    fn run(&self) -> Result<Outcome> {
        let bounty = bounty_id(&self.bounty)?;
        let right = match (&self.offer, &self.from, &self.until) {
            (Some(offer), Some(from), Some(until)) => Some(SubmittedRight {
                offer: offer_id(offer)?,
                from_ms: time_ms(from)?,
                until_ms: time_ms(until)?,
            }),
            _ => None,
        };
        let ActingArgs { venue, party, json } = &self.acting;
        let (mut venue, content) = (venue.open()?, content(&self.content)?);
        let done = bounty::submit(&mut venue, &party.key()?, bounty, content, right)?;
        print_done(*json, json!({"bounty": bounty}), &done)
    }
}

/// List what was submitted to a bounty.
#[derive(Debug, Args)]
pub(in crate::cli) struct SubmissionsCommand {
    /// The bounty
    #[arg(value_name = "BOUNTY")]
    bounty: String,

    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    listing: ListingArgs,
}

impl SubmissionsCommand {
    fn run(&self) -> Result<Outcome> {
        let columns =
            ["number", "submitter", "content", "offer", "from", "until", "awarded_bp", "request"];
        let mut rows = self.listing.rows(&columns)?;
        let bounty = bounty_id(&self.bounty)?;
        let all = self.venue.open()?.look(|state, _| {
            bounty::submissions(&Overlay::new(state), bounty).map_err(VenueError::from)
        })?;
        for (number, found) in all {
            rows.show(&shown::submission(number, &found))?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Award shares of the reward. An award of encrypted data becomes a request, whose secret is kept in the wallet:
/// `market receive` takes what is granted.
#[derive(Debug, Args)]
pub(in crate::cli) struct AwardCommand {
    /// The bounty
    #[arg(value_name = "BOUNTY")]
    bounty: String,

    #[command(flatten)]
    acting: ActingArgs,

    /// The number of a submission and its share in hundredths of a percent: 0=5000; may be given several times
    #[arg(long = "share", value_name = "NUMBER=BASIS POINTS", required = true)]
    shares: Vec<String>,

    /// How many blocks the keys of encrypted submissions may take
    #[arg(long, value_name = "BLOCKS", default_value_t = GRANT_BLOCKS)]
    grant: u32,

    /// What the offer of a hidden submission is of: the file that its owner told; may be given several times
    #[arg(long = "disclosure", value_name = "FILE")]
    disclosures: Vec<PathBuf>,
}

fn share(text: &str) -> Result<(u32, BasisPoints)> {
    let problem = || Usage(format!("{text:?} is no share; write NUMBER=BASIS POINTS, as 0=5000"));
    let (number, share) = text.split_once('=').ok_or_else(problem)?;
    let share = share.parse().map_err(|_| problem())?;
    Ok((number.parse().map_err(|_| problem())?, BasisPoints(share)))
}

impl AwardCommand {
    fn run(&self) -> Result<Outcome> {
        let ActingArgs { venue, party, json } = &self.acting;
        let bounty = bounty_id(&self.bounty)?;
        let shares = self.shares.iter().map(|text| share(text)).collect::<Result<Vec<_>>>()?;
        let told = self.disclosures.iter().map(|file| Disclosure::read_any(file));
        let disclosures = told.collect::<Result<_, _>>()?;
        let awards = Awards { shares, grant_blocks: self.grant, disclosures };
        let (mut venue, poster, purse) = (venue.open()?, party.key()?, party.purse()?);
        let Awarded { requests, done } =
            bounty::award(&mut venue, &poster, &purse, bounty, &awards)?;
        print_done(*json, json!({"bounty": bounty, "requests": requests}), &done)
    }
}
