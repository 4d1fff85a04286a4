//! The buyer's way through the house: from an offer to records in a database of his own.
//!
//! | step | where | what happens |
//! |---|---|---|
//! | search | `src/search.rs`, `src/chain/offers.rs` | offers and headers that others told |
//! | request | here | the price is set aside, and the secret of a one-time key kept |
//! | keys | here | the owner's grant is found in its block and opened |
//! | note | `src/market/note.rs` | which chunks there are, and where |
//! | fetch | `buyer/source.rs`, `peers.rs` | their blocks: from peers, or from a file |
//! | check | `buyer/check.rs` | anchored, owned, of the scope, under keys that were granted |
//! | open | `engine/src/chunk/foreign.rs` | decrypted, decoded |
//! | write | `buyer/write.rs` | into his own database: from here on it is local SQL |
//! | answer | `buyer/answer.rs` | where an answer was bought instead of data |
//! | dispute | `buyer/dispute.rs` | where a key is wrong: the payment comes back |

pub mod answer;
pub mod check;
pub mod dispute;
pub mod peers;
pub mod source;
mod write;

use std::ops::ControlFlow;
use std::time::Duration;

use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::hash::{OfferId, RequestId};
use chronolith_chain::ledger::{Cancel, HiddenScope, OpenOffer, Request, Right, RightStatus};
use chronolith_engine::{Db, KeyRandom, WriteError};
use chronolith_keys::{Grant, OneTimeSecret, OpenError};

use crate::market::bought::Bought;
use crate::market::grant::context;
use crate::market::note::Note;
use crate::market::offer::{self, ensure_disclosed};
use crate::market::purse::{Purse, Requested};
use crate::market::{MarketError, Venue, VenueError};
use crate::node::submit::Done;
use crate::wallet::AccountKey;
use check::{Checker, Fault};
use dispute::Evidence;
use source::{Source, SourceError};
use write::Writer;

/// How long notes are looked for, and chunks for a dispute.
pub const LOOK_TIME_MOST: Duration = Duration::from_secs(300);

/// Why what was bought is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuyerError {
    /// The market.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// The grant's keys are not in any block that is here.
    #[error(
        "the block with the keys of {bought} is not here any more: ask another node, or the owner to grant a new \
         request"
    )]
    NoKeys {
        /// What was bought.
        bought: Bought,
    },
    /// Blocks cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The database takes no records.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Its note cannot be had.
    #[error("nobody who can be reached has the note of {bought}: ask its owner for it")]
    NoNote {
        /// What was bought.
        bought: Bought,
    },
    /// There is nothing to dispute.
    #[error("the keys of {bought} open all {chunks} chunks of it: there is nothing to dispute")]
    Holds {
        /// What was bought.
        bought: Bought,
        /// How many chunks.
        chunks: usize,
    },
    /// What does not hold is no key, so that the ledger cannot judge it.
    #[error(
        "no key of {bought} is seen to be wrong, and the ledger judges nothing else: chunk {at} of the note: {fault}"
    )]
    NotJudged {
        /// What was bought.
        bought: Bought,
        /// Which chunk: its place in the note.
        at: usize,
        /// What is wrong with it.
        fault: Box<Fault>,
    },
    /// The note names nothing.
    #[error(
        "the note of {bought} names no chunk: there is none in its range yet, or the owner has not anchored it"
    )]
    Nothing {
        /// What was bought.
        bought: Bought,
    },
}

impl From<VenueError> for BuyerError {
    fn from(error: VenueError) -> Self {
        Self::Market(error.into())
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The offer.
    pub offer: OfferId,
    /// The beginning, in milliseconds since the epoch.
    pub from_ms: u64,
    /// The end, which is not in it.
    pub until_ms: u64,
    /// For how many blocks the owner may think.
    pub deadline_blocks: u64,
    /// What a hidden offer is of, as its owner told it.
    pub scope: Option<HiddenScope>,
}

/// A request that is on the ledger.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request.
    pub request: RequestId,
    /// What is set aside.
    pub price: Amount,
    /// In which coin.
    pub coin: Coin,
    /// Its block.
    pub done: Done,
}

/// Asks for a right. The secret of the one-time key is in the purse before the price is set aside.
///
/// # Errors
/// Where there is no such offer, it hides what was not told or is something else, or the ledger refuses.
pub fn request(
    venue: &mut Venue,
    buyer: &AccountKey,
    purse: &Purse,
    wish: Wish,
) -> Result<Asked, MarketError> {
    let (open, delivery) = (offer::find(venue, wish.offer)?, offer::delivery(venue, wish.offer)?);
    ensure_disclosed(wish.offer, &open.offer.scope.subject, delivery, wish.scope.as_ref())?;
    let Wish { offer, from_ms, until_ms, deadline_blocks, scope } = wish;
    let (price, coin) = (open.offer.price(from_ms, until_ms)?, open.offer.coin);
    let since = venue.look(|_, height| Ok::<_, VenueError>(height))?;
    let secret = OneTimeSecret::generate(&mut KeyRandom::new()?);
    let action = Request {
        offer,
        from_ms,
        until_ms,
        key: secret.public(),
        payment: price,
        deadline: since.saturating_add(deadline_blocks),
    };
    let chain = venue.id()?;
    let keep = |made_by| {
        let request = RequestId::made_by(made_by);
        let (secret, scope) = (secret.clone(), scope.clone());
        purse.keep_request(&Requested { request, chain, offer, since, secret, scope })?;
        Ok::<_, MarketError>(request)
    };
    let (request, done) = venue.commit_kept("ask for a right", &buyer.signer(), action, keep)?;
    Ok(Asked { request, price, coin, done })
}

/// Takes a request back. The payment comes back after some blocks, unless a grant was on its way.
///
/// # Errors
/// Where the ledger refuses.
pub fn cancel(
    venue: &mut Venue,
    buyer: &AccountKey,
    request: RequestId,
) -> Result<Done, MarketError> {
    Ok(venue.commit("cancel a request", &buyer.signer(), Cancel { request })?)
}

/// The keys of a right.
#[derive(Debug)]
pub struct Keys {
    /// What was bought.
    pub bought: Bought,
    /// The right.
    pub right: Right,
    /// The offer it is of.
    pub open: OpenOffer,
    /// The keys as they stand in the block.
    pub sealed: Vec<u8>,
    /// What the seal says: the keys, or that there are none.
    pub grant: Result<Grant, OpenError>,
}

/// Finds the keys of a right in its block, and opens them.
///
/// # Errors
/// Where it is not granted, or its block is not here.
pub fn keys(venue: &Venue, bought: Bought, requested: &Requested) -> Result<Keys, BuyerError> {
    let request = requested.request;
    let (right, open, height) = bought.right(venue)?;
    let (RightStatus::Granted { wrapped, .. } | RightStatus::Settled { wrapped }) = right.status
    else {
        return Err(bought.wrong_status(&right, "only a granted one has keys").into());
    };
    let until = right.deadline.min(height);
    let sealed = venue.sealed_keys(wrapped, requested.since, until)?;
    let sealed = sealed.ok_or(BuyerError::NoKeys { bought })?;
    let grant = Grant::open(&sealed, &requested.secret, &context(requested.chain, request));
    Ok(Keys { bought, right, open, sealed, grant })
}

/// What was received.
#[derive(Debug, Default)]
pub struct Received {
    /// How many chunks were opened.
    pub chunks: usize,
    /// How many records they hold.
    pub records: u64,
    /// How many bytes of blocks were read.
    pub bytes: u64,
    /// Names of the metrics that there are records of.
    pub metrics: Vec<String>,
    /// What was not taken, and why.
    pub refused: Vec<Refused>,
}

/// A chunk that was not taken.
#[derive(Debug)]
pub struct Refused {
    /// Which: its place in the note.
    pub at: usize,
    /// Why.
    pub fault: Fault,
}

/// Whether a database works, and does not take what it was given.
const fn is_refusal(error: &WriteError) -> bool {
    matches!(
        error,
        WriteError::Redefined { .. }
            | WriteError::Refused(_)
            | WriteError::UnknownBlob { .. }
            | WriteError::Definition(_)
            | WriteError::TooManyMetrics(_)
    )
}

/// Fetches, checks, opens and writes what a right is of. What does not hold is named; the rest is taken.
/// Done again, it takes the same records once more, which changes nothing.
///
/// What shows the ledger that a key is wrong is in the purse as soon as it is seen.
///
/// # Errors
/// Where blocks cannot be had at all, the database takes no records, or the purse cannot be written.
pub fn receive(
    venue: &Venue,
    purse: &Purse,
    requested: &Requested,
    keys: &Keys,
    note: &Note,
    source: &mut dyn Source,
    db: &Db,
) -> Result<Received, BuyerError> {
    if note.chunks.is_empty() {
        return Err(BuyerError::Nothing { bought: keys.bought });
    }
    let checker = Checker::new(venue, keys, requested.scope.as_ref())?;
    let (mut received, mut writer) = (Received::default(), Writer::new(db));
    let mut failure: Option<BuyerError> = None;
    let mut has_evidence = purse.has_dispute(requested.request);
    source.blocks(note, &mut |at, blocks| {
        let Some(told) = note.chunks.get(at) else { return ControlFlow::Continue(()) };
        let (header, body) = match blocks {
            Ok(blocks) => blocks,
            Err(error) => {
                received.refused.push(Refused { at, fault: Fault::Absent(error) });
                return ControlFlow::Continue(());
            }
        };
        received.bytes += (header.len() + body.len()) as u64;
        let opened = checker.open(told, &header, body);
        let placed = opened.and_then(|opened| match writer.place(&opened) {
            Err(error) if is_refusal(&error) => Err(Fault::NotTaken(error)),
            id => Ok((id, opened)),
        });
        match placed {
            Ok((id, opened)) => {
                received.chunks += 1;
                received.records += opened.records().len() as u64;
                if let Err(error) = id.and_then(|id| writer.add(id, opened)) {
                    failure.get_or_insert(error.into());
                }
            }
            Err(fault) => {
                if fault.is_of_key()
                    && !has_evidence
                    && let Some(evidence) = Evidence::of(requested, keys, told, &header)
                {
                    match evidence.keep(purse) {
                        Ok(()) => has_evidence = true,
                        Err(error) => {
                            failure.get_or_insert(error.into());
                        }
                    }
                }
                received.refused.push(Refused { at, fault });
            }
        }
        ControlFlow::Continue(())
    })?;
    match failure {
        Some(error) => return Err(error),
        None => received.metrics = writer.finish()?,
    }
    Ok(received)
}
