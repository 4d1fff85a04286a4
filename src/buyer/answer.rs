//! Answers that were bought: opened, and compared with what their owner signed.

use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::Bytes;
use chronolith_chain::ledger::{AnswerKey, Answered, DisputeAnswer, RightStatus};
use chronolith_chain::state::Overlay;
use chronolith_keys::open_answer;
use chronolith_merkle::matches;

use super::BuyerError;
use super::dispute::in_time;
use crate::market::bought::Bought;
use crate::market::grant::context;
use crate::market::purse::Requested;
use crate::market::queue::right;
use crate::market::{MarketError, Venue, VenueError};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// An answer that was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its bytes; none where what was sealed does not open.
    pub bytes: Option<Vec<u8>>,
    /// What the ledger has of it.
    pub answered: Answered,
    /// As it stands in the block.
    sealed: Vec<u8>,
}

impl Opened {
    /// Whether it is what its owner signed.
    #[must_use]
    pub fn holds(&self) -> bool {
        let cid = self.answered.answer.into();
        self.bytes.as_ref().is_some_and(|bytes| matches(&cid, bytes))
    }

    /// The content id that its owner signed.
    #[must_use]
    pub const fn id(&self) -> ContentId {
        self.answered.answer
    }
}

/// Finds the answer to a request in its block, and opens it.
///
/// # Errors
/// Where it is not answered, or its block is not here.
pub fn open(venue: &Venue, requested: &Requested) -> Result<Opened, BuyerError> {
    let request = requested.request;
    let (found, _, height) = right(venue, request)?;
    let answered = venue.look(|state, _| {
        Overlay::new(state).get(&AnswerKey { request }).map_err(VenueError::from)
    })?;
    let wrapped = match found.status {
        RightStatus::Granted { wrapped, .. } | RightStatus::Settled { wrapped } => Some(wrapped),
        _ => None,
    };
    let bought = Bought::Request(request);
    let (Some(answered), Some(wrapped)) = (answered, wrapped) else {
        return Err(bought.wrong_status(&found, "only an answered one has an answer").into());
    };
    let sealed = venue.sealed_keys(wrapped, requested.since, found.deadline.min(height))?;
    let sealed = sealed.ok_or(BuyerError::NoKeys { bought })?;
    let opened = open_answer(&sealed, &requested.secret, &context(requested.chain, request));
    Ok(Opened { bytes: opened.ok().map(|bytes| bytes.to_vec()), answered, sealed })
}

/// Shows the ledger an answer that is not what was signed: the payment comes back. Everybody can open the answer then.
///
/// # Errors
/// Where the answer holds, the right is another's, or the time to check is over or nearly, so that the secret of its
/// key would be shown for nothing; or where the ledger refuses.
pub fn dispute(
    venue: &mut Venue,
    buyer: &AccountKey,
    requested: &Requested,
    opened: &Opened,
) -> Result<Done, MarketError> {
    if opened.holds() {
        return Err(MarketError::Holds(opened.id()));
    }
    let wrapped = Bytes::new(opened.sealed.clone());
    let wrapped =
        wrapped.map_err(|_| chronolith_keys::GrantError::TooLong { found: opened.sealed.len() })?;
    let (request, secret) = (requested.request, *requested.secret.bytes());
    let (_, until) = in_time(venue, Bought::Request(request), buyer.address)?;
    let action = DisputeAnswer { request, secret, wrapped };
    Ok(venue.commit_until("dispute an answer", &buyer.signer(), action, until)?)
}
