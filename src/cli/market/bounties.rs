//! `chronolith market bounty`: data that nobody offers is asked for, with a reward set aside.

use anyhow::{Context as _, Result};
use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::encoding::Rising;
use chronolith_chain::hash::{BountyId, RequestId};
use chronolith_chain::ledger::{
    Award, AwardBounty, BountyKey, Leftover, Ownership, PostBounty, Submission, SubmissionKey,
    SubmitToBounty, SubmittedRight,
};
use chronolith_engine::KeyRandom;
use chronolith_keys::OneTimeSecret;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{PartyArgs, VenueArgs, content, id, offer_id, print_done, time_ms};
use crate::chain::shown::milliseconds;
use crate::cli::Outcome;
use crate::cli::chain::{amount, coins};
use crate::cli::listing::ListingArgs;
use crate::cli::usage::Usage;
use crate::market::purse::Requested;
use crate::market::{Venue, VenueError};

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

fn height(venue: &Venue) -> Result<u64> {
    Ok(venue.look(|_, height| Ok::<_, VenueError>(height))?)
}

/// Post a bounty, with its reward set aside.
#[derive(Debug, Args)]
pub(in crate::cli) struct PostCommand {
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    /// The content id of what is wanted, and of all that is agreed
    #[arg(long, value_name = "CID")]
    text: String,

    /// The reward
    #[arg(long, value_name = "COIN", value_parser = amount)]
    reward: Amount,

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

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl PostCommand {
    fn run(&self) -> Result<Outcome> {
        let mut venue = self.venue.open()?;
        let submit_until = height(&venue)?.saturating_add(self.submit);
        let post = PostBounty {
            text: content(&self.text)?,
            coin: Coin::Native,
            reward: self.reward,
            submit_until,
            award_until: submit_until.saturating_add(self.award),
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
        let award_until = post.award_until;
        let key = self.party.key()?.signer();
        let (bounty, done) = venue.commit_kept("post a bounty", &key, post, |id| {
            Ok::<_, VenueError>(BountyId::made_by(id))
        })?;
        let shown =
            json!({"bounty": bounty, "submit_until": submit_until, "award_until": award_until});
        print_done(self.json, shown, &done)
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
        let all = self.venue.open()?.all::<BountyKey>(&[])?.into_iter();
        for (key, found) in all.filter(|(_, one)| one.is_open || self.closed) {
            rows.push(&[
                key.bounty.to_string().into(),
                found.poster.to_string().into(),
                found.text.to_string().into(),
                coins(found.reward).into(),
                coins(found.escrow).into(),
                u64::from(found.submissions).into(),
                found.submit_until.into(),
                found.award_until.into(),
                if found.is_open { "yes" } else { "no" }.into(),
            ])?;
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
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

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

    /// Print one JSON object
    #[arg(long)]
    json: bool,
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
        let submit = SubmitToBounty { bounty, content: content(&self.content)?, right };
        let mut venue = self.venue.open()?;
        let done = venue.commit("submit to a bounty", &self.party.key()?.signer(), submit)?;
        print_done(self.json, json!({"bounty": bounty}), &done)
    }
}

fn submissions(venue: &Venue, bounty: BountyId) -> Result<Vec<(u32, Submission)>> {
    let all = venue.all::<SubmissionKey>(&bounty.0)?.into_iter();
    Ok(all.map(|(key, found)| (key.number, found)).collect())
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
        for (number, found) in submissions(&self.venue.open()?, bounty_id(&self.bounty)?)? {
            let right = found.right;
            let time = |at: Option<u64>| at.map(milliseconds).unwrap_or_default();
            rows.push(&[
                u64::from(number).into(),
                found.submitter.to_string().into(),
                found.content.to_string().into(),
                right.map(|right| right.offer.to_string()).unwrap_or_default().into(),
                time(right.map(|right| right.from_ms)).into(),
                time(right.map(|right| right.until_ms)).into(),
                found.awarded.map_or(0, |share| u64::from(share.0)).into(),
                found.request.map(|request| request.to_string()).unwrap_or_default().into(),
            ])?;
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
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    /// The number of a submission and its share in hundredths of a percent: 0=5000; may be given several times
    #[arg(long = "share", value_name = "NUMBER=BASIS POINTS", required = true)]
    shares: Vec<String>,

    /// How many blocks the keys of encrypted submissions may take
    #[arg(long, value_name = "BLOCKS", default_value_t = 1_000)]
    grant: u32,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<(u32, BasisPoints)> {
    let problem = || Usage(format!("{text:?} is no share; write NUMBER=BASIS POINTS, as 0=5000"));
    let (number, share) = text.split_once('=').ok_or_else(problem)?;
    let share = share.parse().map_err(|_| problem())?;
    Ok((number.parse().map_err(|_| problem())?, BasisPoints(share)))
}

impl AwardCommand {
    fn run(&self) -> Result<Outcome> {
        let (bounty, purse) = (bounty_id(&self.bounty)?, self.party.purse()?);
        let mut venue = self.venue.open()?;
        let known = submissions(&venue, bounty)?;
        let (chain, since) = (venue.id()?, height(&venue)?);
        let (mut awards, mut kept) = (Vec::new(), Vec::new());
        for text in &self.shares {
            let (number, share) = share(text)?;
            let found = known.iter().find(|(known, _)| *known == number);
            let (_, found) = found.with_context(|| format!("nothing was submitted as {number}"))?;
            let key = match found.right {
                Some(right) => {
                    let request = RequestId::awarded(bounty, number);
                    // An award that was not heard of may be on the ledger: its secret is used again.
                    let requested = match purse.known(request)? {
                        Some(known) => known,
                        None => {
                            let secret = OneTimeSecret::generate(&mut KeyRandom::new()?);
                            let (offer, scope) = (right.offer, None);
                            Requested { request, chain, offer, since, secret, scope }
                        }
                    };
                    let key = requested.secret.public();
                    kept.push(requested);
                    Some(key)
                }
                None => None,
            };
            awards.push(Award { number, share, key });
        }
        awards.sort_by_key(|award| award.number);
        let awards = Rising::new(awards).map_err(|error| Usage(format!("--share: {error}")))?;
        let action = AwardBounty { bounty, awards, grant_blocks: self.grant };
        let key = self.party.key()?.signer();
        let ((), done) = venue.commit_kept("award a bounty", &key, action, |_| {
            kept.iter().try_for_each(|requested| purse.keep_request(requested).map(|_| ()))?;
            Ok::<_, anyhow::Error>(())
        })?;
        let requests: Vec<String> = kept.iter().map(|one| one.request.to_string()).collect();
        print_done(self.json, json!({"bounty": bounty, "requests": requests}), &done)
    }
}
