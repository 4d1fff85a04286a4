//! A peer is handed fragments and consents to lease them; a consent to anything else does not count.

use std::sync::Arc;

use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{Fragments, LeaseTerms, NewLease};
use chronolith_chain::simulate::Random;
use chronolith_fragment::Profile;
use chronolith_net::dispersal::{HandOverError, Handed, Offer, Recipient, batch, hand_over};
use chronolith_net::exchange::{Asked, Question, Reply};
use chronolith_net::network::{PeerId, Service, Unanswerable};
use chronolith_net::stored::StoredFragment;

use crate::fixture::{Made, make, small_body};
use crate::peers::{Node, settings, wait};

const CHAIN: ChainId = ChainId([9; 32]);
const PRICE: Amount = Amount(1_000);

/// What a peer signs where it should consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Honest,
    /// A lease that pays more.
    OtherPrice,
    /// A lease of other bytes.
    OtherRoot,
    /// A lease that ends later.
    LaterEnd,
    /// With a key that is not that of its account.
    OtherKey,
    /// In the name of another account.
    OtherPeer,
    /// Nothing: it has another fragment of the pack.
    HasOther,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

struct Peer {
    deed: Deed,
    handed: Vec<Handed>,
}

impl Peer {
    fn consent(&self, question: Question) -> Result<NewLease, Unanswerable> {
        let Question::Consent { owner, by, fragments, price, until_epoch, valid_until } = question
        else {
            return Err(Unanswerable);
        };
        let peer = key(2).public().into();
        let asked = Asked { chain: CHAIN, peer, owner, fragments: &fragments, valid_until };
        assert!(by.asks(&asked));
        let (_, root) = batch(&self.handed).map_err(|_| Unanswerable)?;
        let mut terms = LeaseTerms { root, price, until_epoch, valid_until };
        let (mut signer, mut named) = (key(2), peer);
        match self.deed {
            Deed::Honest | Deed::HasOther => {}
            Deed::OtherPrice => terms.price = Amount(price.0 + 1),
            Deed::OtherRoot => terms.root = Hash([1; 32]),
            Deed::LaterEnd => terms.until_epoch += 1,
            Deed::OtherKey => signer = key(3),
            Deed::OtherPeer => (signer, named) = (key(3), key(3).public().into()),
        }
        let consent = signer.sign(&NewLease::consent(CHAIN, owner, &fragments, &terms));
        Ok(NewLease { peer: named, root: terms.root, valid_until, consent })
    }
}

impl Service for Peer {
    fn answer(&self, _: PeerId, request: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        let question = Question::from_bytes(request).map_err(|_| Unanswerable)?;
        let reply = match question {
            Question::Held(_) if self.deed == Deed::HasOther => {
                Reply::Held(List::new([5]).map_err(|_| Unanswerable)?)
            }
            Question::Held(_) => Reply::Absent,
            Question::Keep { .. } => Reply::Kept,
            question => Reply::Consent(self.consent(question)?),
        };
        Ok(reply.to_bytes())
    }
}

fn handed(made: &Made) -> Vec<Handed> {
    let stored = made.sent[..2].iter().map(|bytes| StoredFragment::from_bytes(bytes).unwrap());
    stored.map(|fragment| Handed { header: made.pack.header().clone(), fragment }).collect()
}

fn hand(deed: Deed) -> Result<(Fragments, NewLease), HandOverError> {
    let mut random = Random::new(1);
    let body = small_body(&mut random, 5, 2_000);
    let handed = handed(&make(&mut random, body, Profile::Lab));
    let peer = Arc::new(Peer { deed, handed: handed.clone() });
    let (peer, owner) = (Node::serve(settings(1), peer), Node::start(settings(2)));
    let to = Recipient { account: key(2).public().into(), known: peer.known.clone() };
    let asker = key(1);
    let offer = Offer {
        chain: CHAIN,
        owner: asker.public().into(),
        asker: &asker,
        price: PRICE,
        until_epoch: 7,
        valid_until: 100,
    };
    wait(hand_over(&owner.network.handle(), &offer, &to, &handed))
}

#[test]
fn an_honest_peer_consents_to_what_it_was_handed() {
    let (fragments, lease) = hand(Deed::Honest).unwrap();
    assert_eq!(fragments.len(), 2);
    assert_eq!((lease.peer, lease.valid_until), (key(2).public().into(), 100));
}

#[test]
fn a_consent_to_another_lease_or_by_another_key_does_not_count() {
    for deed in [Deed::OtherPrice, Deed::OtherRoot, Deed::LaterEnd, Deed::OtherKey, Deed::OtherPeer]
    {
        let outcome = hand(deed);
        assert!(matches!(outcome, Err(HandOverError::OtherConsent { .. })), "{deed:?} {outcome:?}");
    }
}

#[test]
fn a_peer_that_keeps_another_fragment_of_the_pack_is_given_none() {
    let outcome = hand(Deed::HasOther);
    assert!(matches!(outcome, Err(HandOverError::HasOther { .. })), "{outcome:?}");
}
