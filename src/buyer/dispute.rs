//! Showing the ledger that a key is wrong.
//!
//! What shows it is [`Evidence`]: all of a dispute but the secret. It is kept in the purse when a wrong key is seen, so
//! that an owner who takes his note back then, or gives another one, changes nothing. Whoever reads the block with a
//! dispute can open the grant, whatever comes of it: so nothing is handed in that the ledger would refuse.

use std::ops::ControlFlow;

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::encoding::{Bytes, decode, encode};
use chronolith_chain::hash::{Domain, Hash, RequestId};
use chronolith_chain::ledger::{
    Action, ChunkTree, Delivery, Dispute, DisputePeriod, HiddenScope, Right, RightStatus, Subject,
};
use chronolith_chain::list::ListProof;
use chronolith_engine::chunk::ChunkHeader;
use chronolith_keys::HeaderView;
use chronolith_merkle::DAG_CBOR;

use super::check::{Checker, Fault, rotation};
use super::source::Source;
use super::{BuyerError, Keys};
use crate::market::bought::Bought;
use crate::market::grant::ensure_in_time;
use crate::market::note::{Note, ToldChunk};
use crate::market::offer;
use crate::market::purse::{Purse, Requested};
use crate::market::subscription::Period;
use crate::market::{MarketError, Venue, VenueError};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// The version of what is kept: the number before it.
const VERSION: u8 = 1;

/// What shows the ledger that a key is wrong: a dispute without its secret.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Evidence {
    /// What was bought.
    pub bought: Bought,
    /// The sealed keys, as they were granted.
    pub wrapped: Bytes<16_384>,
    /// The header of a chunk whose key they do not give.
    pub header: Bytes<16_384>,
    /// Who anchored the chunk's batch, and its root.
    pub anchor: (Address, Hash),
    /// The chunk's place in the batch.
    pub index: u32,
    /// The way to the batch's root.
    pub path: ListProof,
    /// Why the chunk's key tree is one of what was bought.
    pub tree: ChunkTree,
}

impl Evidence {
    /// The evidence by a chunk whose key was seen to be wrong; none where the ledger would refuse it.
    #[must_use]
    pub fn of(requested: &Requested, keys: &Keys, told: &ToldChunk, header: &[u8]) -> Option<Self> {
        let view = HeaderView::from_bytes(header).ok()?;
        let grant = keys.grant.as_ref().ok();
        let key = grant.and_then(|grant| grant.body_key(&view.encryption.tree, view.slot));
        let holds = key.is_some_and(|key| view.is_key(&key));
        if holds || told.path.chunk.codec() != DAG_CBOR {
            return None;
        }
        let parsed = ChunkHeader::from_bytes(header).ok()?;
        Some(Self {
            bought: keys.bought,
            wrapped: Bytes::new(keys.sealed.clone()).ok()?,
            header: Bytes::new(header).ok()?,
            anchor: (told.path.producer, told.path.root),
            index: told.path.index,
            path: ListProof { path: told.path.path.clone() },
            tree: chunk_tree(&keys.open.offer.scope.subject, requested.scope.as_ref(), &parsed)?,
        })
    }

    /// Keeps it, whatever the owner does from now on.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep(&self, purse: &Purse) -> Result<(), MarketError> {
        purse.keep_dispute(self.bought.request(), &encode(&(VERSION, self)))?;
        Ok(())
    }

    /// What was kept of something that was bought; none where no key of it was seen to be wrong.
    ///
    /// # Errors
    /// Where it cannot be read, or is something else: without the file a wrong key is looked for anew.
    pub fn kept(purse: &Purse, request: RequestId) -> Result<Option<Self>, MarketError> {
        let Some(bytes) = purse.dispute(request)? else { return Ok(None) };
        let read = decode::<(u8, Self)>("a kept dispute", &bytes, usize::MAX);
        let (version, kept) = read.map_err(|error| purse.no_dispute(request, &error))?;
        if version != VERSION {
            let reason = format!("it has version {version}, and this program reads {VERSION}");
            return Err(purse.no_dispute(request, &reason).into());
        }
        match kept.bought.request() == request {
            true => Ok(Some(kept)),
            false => Err(purse.no_dispute(request, &format!("it is of {}", kept.bought)).into()),
        }
    }

    /// Whether it is of the keys that the ledger has of a right, and the secret that they were sealed to.
    fn is_of(&self, right: &Right, requested: &Requested) -> bool {
        let RightStatus::Granted { wrapped, .. } = right.status else { return false };
        Domain::Grant.hash(&self.wrapped) == wrapped && requested.secret.public() == right.key
    }

    /// The dispute. With a period its subscription ends.
    fn action(self, secret: [u8; 32]) -> Action {
        let Self { bought, wrapped, header, anchor, index, path, tree } = self;
        match bought {
            Bought::Request(request) => {
                Dispute { request, secret, wrapped, header, anchor, index, path, tree }.into()
            }
            Bought::Period(Period { subscription, number: period }) => {
                let rotation = match tree {
                    ChunkTree::Named { rotation } => rotation,
                    // No subscription is of hidden data.
                    ChunkTree::Hidden(_) => 0,
                };
                DisputePeriod {
                    subscription,
                    period,
                    secret,
                    wrapped,
                    header,
                    anchor,
                    index,
                    path,
                    rotation,
                }
                .into()
            }
        }
    }
}

fn chunk_tree(
    subject: &Subject,
    hidden: Option<&HiddenScope>,
    header: &ChunkHeader,
) -> Option<ChunkTree> {
    match (subject, hidden) {
        (Subject::Metrics { device, tree, .. }, _) => {
            let found = header.encryption?.tree;
            Some(ChunkTree::Named { rotation: rotation(*device, *tree, header, &found)? })
        }
        (Subject::Hidden(_), Some(scope)) if scope.subject() == *subject => {
            Some(ChunkTree::Hidden(scope.clone()))
        }
        (Subject::Hidden(_), _) => None,
    }
}

/// Looks for a chunk whose key is wrong, and for no other once there is one. Nothing is written anywhere.
///
/// # Errors
/// Where the keys hold, what does not hold is no key, or blocks cannot be had.
pub fn look(
    venue: &Venue,
    requested: &Requested,
    keys: &Keys,
    note: &Note,
    source: &mut dyn Source,
) -> Result<Evidence, BuyerError> {
    let bought = keys.bought;
    if note.chunks.is_empty() {
        return Err(BuyerError::Nothing { bought });
    }
    let checker = Checker::new(venue, keys, requested.scope.as_ref())?;
    let (mut chunks, mut found) = (0, None);
    let mut shown: Option<(usize, Fault)> = None;
    source.blocks(note, &mut |at, blocks| {
        let Some(told) = note.chunks.get(at) else { return ControlFlow::Continue(()) };
        let fault = match blocks {
            Err(error) => Fault::Absent(error),
            Ok((header, body)) => match checker.open(told, &header, body) {
                Ok(_) => {
                    chunks += 1;
                    return ControlFlow::Continue(());
                }
                Err(fault) => {
                    let is_of_key = fault.is_of_key();
                    found =
                        is_of_key.then(|| Evidence::of(requested, keys, told, &header)).flatten();
                    if found.is_some() {
                        return ControlFlow::Break(());
                    }
                    fault
                }
            },
        };
        // What was not seen may have a wrong key: that is told before what is seen to be no wrong key.
        let is_told = shown.as_ref().is_none_or(|(_, known)| fault.may_pass() && !known.may_pass());
        if is_told {
            shown = Some((at, fault));
        }
        ControlFlow::Continue(())
    })?;
    match (found, shown) {
        (Some(evidence), _) => Ok(evidence),
        (None, None) => Err(BuyerError::Holds { bought, chunks }),
        (None, Some((at, fault))) => {
            Err(BuyerError::NotJudged { bought, at, fault: Box::new(fault) })
        }
    }
}

/// Looks anew whether keys that were bought can be disputed by somebody: the right, and the last height at which a
/// dispute counts.
///
/// # Errors
/// Where they are another's, or no keys, the time to check is over, or so nearly that a dispute may come late.
pub fn ensure_disputable(
    venue: &Venue,
    bought: Bought,
    buyer: Address,
) -> Result<(Right, u64), MarketError> {
    let (right, until) = in_time(venue, bought, buyer)?;
    if offer::delivery(venue, right.offer)? != Delivery::Keys {
        let what = "its offer sells answers, and an answer is what is disputed";
        return Err(bought.wrong_status(&right, what));
    }
    Ok((right, until))
}

/// The same of what was given, whatever it is.
pub(super) fn in_time(
    venue: &Venue,
    bought: Bought,
    buyer: Address,
) -> Result<(Right, u64), MarketError> {
    let (right, _, height) = bought.right(venue)?;
    let until = last_height(bought, &right, buyer, height)?;
    Ok((right, until))
}

/// The last height at which a dispute counts: that at which the owner is paid.
fn last_height(
    bought: Bought,
    right: &Right,
    buyer: Address,
    height: u64,
) -> Result<u64, MarketError> {
    let (what, id) = bought.name();
    if right.buyer != buyer {
        return Err(MarketError::Other { what, id });
    }
    let RightStatus::Granted { settles, .. } = right.status else {
        let what = "only one that is granted, and whose owner is not paid yet, is disputed";
        return Err(bought.wrong_status(right, what));
    };
    ensure_in_time((what, &id), settles, height)
}

/// Whether the ledger still takes a dispute of a right.
#[must_use]
pub const fn is_open(right: &Right, height: u64) -> bool {
    matches!(right.status, RightStatus::Granted { settles, .. } if height <= settles)
}

/// Hands in a dispute of what was bought: the payment comes back. With a period its subscription ends.
///
/// # Errors
/// As [`ensure_disputable`]; where the evidence is of other keys, or the ledger refuses.
pub fn hand_in(
    venue: &mut Venue,
    purse: &Purse,
    buyer: &AccountKey,
    requested: &Requested,
    evidence: Evidence,
) -> Result<Done, MarketError> {
    let (bought, request) = (evidence.bought, evidence.bought.request());
    let (right, until) = ensure_disputable(venue, bought, buyer.address)?;
    if !evidence.is_of(&right, requested) {
        let reason = "it is of other keys than the ledger has, or of another secret";
        return Err(purse.no_dispute(request, &reason).into());
    }
    let what = match bought {
        Bought::Request(_) => "dispute a grant",
        Bought::Period(_) => "dispute a period",
    };
    let action = evidence.action(*requested.secret.bytes());
    let done = venue.commit_until(what, &buyer.signer(), action, until);
    // What the ledger judged it judges no more. Where it stays it is forgotten when the time to check is over.
    if done.as_ref().err().is_none_or(VenueError::is_refusal) {
        drop(purse.forget_dispute(request));
    }
    Ok(done?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::hash::SubscriptionId;

    use super::*;
    use crate::market::bought::tests::right_with;
    use crate::wallet::Wallet;

    fn evidence(bought: Bought, tree: ChunkTree) -> Evidence {
        Evidence {
            bought,
            wrapped: Bytes::new([5_u8; 300]).unwrap(),
            header: Bytes::new([6_u8; 200]).unwrap(),
            anchor: (Address([7; 32]), Hash([8; 32])),
            index: 9,
            path: ListProof::default(),
            tree,
        }
    }

    fn period(number: u32) -> Bought {
        Bought::Period(Period { subscription: SubscriptionId([1; 32]), number })
    }

    /// A dispute was handed in whatever had become of the right. One that came after the time to check was refused, and
    /// its secret stood in the block for everybody to open the grant with.
    #[test]
    fn no_secret_is_shown_once_the_time_to_check_is_over_or_nearly() {
        let (wrapped, bought) = (Hash([5; 32]), Bought::Request(RequestId([6; 32])));
        let buyer = Address([3; 32]);
        let last = |status, height| last_height(bought, &right_with(status), buyer, height);
        let granted = RightStatus::Granted { wrapped, settles: 100 };
        assert_eq!((last(granted, 1).unwrap(), last(granted, 97).unwrap()), (100, 100));
        for late in [98, 100, 101, u64::MAX] {
            assert!(matches!(last(granted, late), Err(MarketError::TooLate { until: 100, .. })));
        }
        for over in [
            RightStatus::Open,
            RightStatus::Settled { wrapped },
            RightStatus::Faulty,
            RightStatus::Revoked,
        ] {
            assert!(matches!(last(over, 1), Err(MarketError::Status { .. })));
        }
        let other = last_height(bought, &right_with(granted), Address([2; 32]), 1);
        assert!(matches!(other, Err(MarketError::Other { .. })));
        // A period that is not drawn is nothing that the ledger has.
        let undrawn = last_height(period(3), &right_with(RightStatus::Open), buyer, 1);
        assert!(matches!(undrawn, Err(MarketError::Missing { .. })));
        let is_open = |status, height| is_open(&right_with(status), height);
        assert!(is_open(granted, 100) && !is_open(granted, 101));
        assert!(!is_open(RightStatus::Settled { wrapped }, 1));
    }

    #[test]
    fn evidence_survives_a_restart_and_what_is_none_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let purse = || Purse::of(&Wallet::at(directory.path().to_owned()));
        let scope = HiddenScope {
            salt: [1; 32],
            device: Address([2; 32]),
            tree: 3,
            trees: Default::default(),
        };
        let hidden = evidence(Bought::Request(RequestId([4; 32])), ChunkTree::Hidden(scope));
        let named = evidence(period(3), ChunkTree::Named { rotation: 2 });
        for one in [&hidden, &named] {
            let request = one.bought.request();
            assert!(Evidence::kept(&purse(), request).unwrap().is_none());
            one.keep(&purse()).unwrap();
            assert_eq!(Evidence::kept(&purse(), request).unwrap().as_ref(), Some(one));
        }
        let request = RequestId([4; 32]);
        let (bytes, foreign) = (encode(&(VERSION, hidden)), encode(&(VERSION, named)));
        let later = [&[VERSION + 1][..], &bytes[1..]].concat();
        for wrong in [&bytes[..bytes.len() - 1], &foreign, &later, &[]] {
            purse().keep_dispute(request, wrong).unwrap();
            let told = Evidence::kept(&purse(), request).unwrap_err().to_string();
            assert!(told.contains(".dispute: it is not a dispute"), "{told}");
        }
    }

    #[test]
    fn a_dispute_is_of_the_keys_that_the_ledger_has() {
        let shown = evidence(period(3), ChunkTree::Named { rotation: 2 });
        let secret = chronolith_keys::OneTimeSecret::from_bytes([9; 32]);
        let requested = Requested {
            request: shown.bought.request(),
            chain: chronolith_chain::hash::ChainId([1; 32]),
            offer: chronolith_chain::hash::OfferId([1; 32]),
            since: 0,
            secret: secret.clone(),
            scope: None,
        };
        let wrapped = Domain::Grant.hash(&shown.wrapped);
        let right = |wrapped, key| Right {
            key,
            ..right_with(RightStatus::Granted { wrapped, settles: 9 })
        };
        assert!(shown.is_of(&right(wrapped, secret.public()), &requested));
        assert!(!shown.is_of(&right(Hash([0; 32]), secret.public()), &requested));
        assert!(!shown.is_of(&right(wrapped, [9; 32]), &requested));
        let Action::DisputePeriod(action) = shown.action([0xAB; 32]) else { unreachable!() };
        assert_eq!((action.period, action.rotation, action.secret), (3, 2, [0xAB; 32]));
    }
}
