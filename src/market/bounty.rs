//! Bounties: data that nobody offers is asked for, with a reward set aside.
//!
//! What is encrypted becomes a request when it is awarded: the submitter grants it as any other, and its share is paid
//! for the keys. The secrets that open them are in the purse before anything is awarded.

use std::collections::BTreeMap;

use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::Rising;
use chronolith_chain::hash::{BountyId, OfferId, RequestId};
use chronolith_chain::ledger::{
    Award, AwardBounty, Bounty, BountyKey, HiddenScope, Leftover, Ownership, PostBounty,
    Submission, SubmissionKey, SubmitToBounty, SubmittedRight,
};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_engine::KeyRandom;
use chronolith_keys::OneTimeSecret;

use super::offer::{self, ensure_disclosed, missing};
use super::purse::{Purse, Requested};
use super::{MarketError, Venue, VenueError};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// For how many blocks the submitters of encrypted data may take to give its keys, where it is not said.
pub const GRANT_BLOCKS: u32 = 1_000;

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The content id of what is wanted, and of all that is agreed.
    pub text: ContentId,
    /// In which coin it is paid for.
    pub coin: Coin,
    /// What is paid for it.
    pub reward: Amount,
    /// For how many blocks submissions are taken.
    pub submit_blocks: u64,
    /// For how many blocks after that awards may be made.
    pub award_blocks: u64,
    /// Where goes what nobody was awarded.
    pub leftover: Leftover,
    /// Whose the data is once it is awarded.
    pub ownership: Ownership,
}

/// A bounty that is on the ledger.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its id.
    pub bounty: BountyId,
    /// The last height at which something can be submitted.
    pub submit_until: u64,
    /// The last height at which something can be awarded.
    pub award_until: u64,
    /// Its block.
    pub done: Done,
}

/// What is awarded of a bounty.
#[derive(Debug, Clone)]
pub struct Awards {
    /// Shares of the reward, by the numbers of submissions.
    pub shares: Vec<(u32, BasisPoints)>,
    /// For how many blocks the submitters of encrypted data may take to give its keys.
    pub grant_blocks: u32,
    /// What the offers of hidden submissions are of, as their owners told it.
    pub disclosures: BTreeMap<OfferId, HiddenScope>,
}

/// Awards that are on the ledger.
#[derive(Debug, Clone)]
pub struct Awarded {
    /// The requests that awards of encrypted data became.
    pub requests: Vec<RequestId>,
    /// Their block.
    pub done: Done,
}

/// Posts a bounty, with its reward set aside.
///
/// # Errors
/// Where the ledger refuses.
pub fn post(venue: &mut Venue, poster: &AccountKey, wish: Wish) -> Result<Posted, MarketError> {
    let Wish { text, coin, reward, submit_blocks, award_blocks, leftover, ownership } = wish;
    let submit_until = height(venue)?.saturating_add(submit_blocks);
    let award_until = submit_until.saturating_add(award_blocks);
    let post = PostBounty { text, coin, reward, submit_until, award_until, leftover, ownership };
    let id = |made_by| Ok::<_, MarketError>(BountyId::made_by(made_by));
    let (bounty, done) = venue.commit_kept("post a bounty", &poster.signer(), post, id)?;
    Ok(Posted { bounty, submit_until, award_until, done })
}

/// Submits to a bounty, and agrees to its terms. Encrypted data is submitted by an offer of one's own, with a time
/// range: nobody gets its keys before it is awarded.
///
/// # Errors
/// Where the ledger refuses.
pub fn submit(
    venue: &mut Venue,
    submitter: &AccountKey,
    bounty: BountyId,
    content: ContentId,
    right: Option<SubmittedRight>,
) -> Result<Done, MarketError> {
    let submit = SubmitToBounty { bounty, content, right };
    Ok(venue.commit("submit to a bounty", &submitter.signer(), submit)?)
}

/// Awards shares of the reward to submissions, by their numbers. The secrets of what is encrypted are in the purse
/// before the ledger has the awards, and with them what is hidden: without it nothing could be received of what is paid
/// for.
///
/// # Errors
/// Where there is no such submission, one is named twice, its offer hides what was not told or is something else, or the
/// ledger refuses.
pub fn award(
    venue: &mut Venue,
    poster: &AccountKey,
    purse: &Purse,
    bounty: BountyId,
    wanted: &Awards,
) -> Result<Awarded, MarketError> {
    let known = venue.look(|state, _| {
        let state = Overlay::new(state);
        if state.get(&BountyKey { bounty }).map_err(VenueError::from)?.is_none() {
            return Err(missing("bounty", &bounty));
        }
        Ok::<_, MarketError>(submissions(&state, bounty).map_err(VenueError::from)?)
    })?;
    let (chain, since) = (venue.id()?, height(venue)?);
    let (mut awards, mut kept) = (Vec::new(), Vec::new());
    for (number, share) in wanted.shares.iter().copied() {
        let found = known.iter().find(|(known, _)| *known == number);
        let (_, found) = found.ok_or_else(|| missing("submission to the bounty", &number))?;
        let Some(right) = found.right else {
            awards.push(Award { number, share, key: None });
            continue;
        };
        let request = RequestId::awarded(bounty, number);
        let offer = right.offer;
        let told = wanted.disclosures.get(&offer).cloned();
        // An award that was not heard of may be on the ledger: its secret is used again.
        let requested = match purse.known(request)? {
            Some(known) => Requested { scope: told.or(known.scope), ..known },
            None => {
                let secret = OneTimeSecret::generate(&mut KeyRandom::new()?);
                Requested { request, chain, offer, since, secret, scope: told }
            }
        };
        let subject = offer::find(venue, offer)?.offer.scope.subject;
        let delivery = offer::delivery(venue, offer)?;
        ensure_disclosed(offer, &subject, delivery, requested.scope.as_ref())?;
        awards.push(Award { number, share, key: Some(requested.secret.public()) });
        kept.push(requested);
    }
    let awards = Rising::new(awards);
    let awards = awards.map_err(MarketError::Shares)?;
    let action = AwardBounty { bounty, awards, grant_blocks: wanted.grant_blocks };
    let keep = |_| {
        kept.iter().try_for_each(|requested| purse.keep_request(requested).map(drop))?;
        Ok::<_, MarketError>(())
    };
    let ((), done) = venue.commit_kept("award a bounty", &poster.signer(), action, keep)?;
    Ok(Awarded { requests: kept.iter().map(|one| one.request).collect(), done })
}

/// All bounties of a state, in the order of their ids; where not `closed`, only those that take awards.
///
/// # Errors
/// Where the state cannot be read.
pub fn all(state: &Overlay<'_>, closed: bool) -> Result<Vec<(BountyId, Bounty)>, StateError> {
    let mut found = Vec::new();
    state.each(&[], |BountyKey { bounty }, one: Bounty| {
        if one.is_open || closed {
            found.push((bounty, one));
        }
        Ok::<_, StateError>(())
    })?;
    Ok(found)
}

/// What was submitted to a bounty, by its numbers; nothing where there is no such bounty.
///
/// # Errors
/// Where the state cannot be read.
pub fn submissions(
    state: &Overlay<'_>,
    bounty: BountyId,
) -> Result<Vec<(u32, Submission)>, StateError> {
    let mut found = Vec::new();
    state.each(&bounty.0, |SubmissionKey { number, .. }, one| {
        found.push((number, one));
        Ok::<_, StateError>(())
    })?;
    Ok(found)
}

fn height(venue: &Venue) -> Result<u64, VenueError> {
    venue.look(|_, height| Ok(height))
}
