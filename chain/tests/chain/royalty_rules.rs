//! The rules of processed data: a sale pays the owners of what the data was made of, each once, and the rest to
//! the seller.

use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::encoding::{Bytes, Rising};
use chronolith_chain::hash::{Hash, OfferId, RequestId};
use chronolith_chain::ledger::{
    Delivery, ExtensionKey, Grant, Offer, OfferExtended, Refusal, Request, Revoke, RightStatus,
    Source, Subject, Thing,
};

use crate::bounty_rules::{gained, with_coin};
use crate::rights_rules::{offer, request, right};
use crate::world::World;

const BUYER: u8 = 8;

/// An offer of hidden data, which needs no device.
fn data(coin: Coin) -> Offer {
    let mut offer = Offer { coin, ..offer(0) };
    offer.scope.subject = Subject::Hidden(Hash([1; 32]));
    offer
}

fn made_of(coin: Coin, royalty: u16, sources: &[OfferId]) -> OfferExtended {
    let source = |offer: &OfferId| Source { offer: *offer, content: None };
    OfferExtended {
        offer: data(coin),
        delivery: Delivery::Keys,
        royalty: BasisPoints(royalty),
        sources: Rising::new(sources.iter().map(source).collect::<Vec<_>>()).unwrap(),
    }
}

fn offered(world: &mut World, person: u8, offer: OfferExtended) -> OfferId {
    OfferId::made_by(world.done(person, offer))
}

/// Sells ten hours for 1,100, and lets the time to check pass.
fn sell(world: &mut World, seller: u8, offer: OfferId) -> RequestId {
    let wanted = request(world, offer, 1_100);
    let request = RequestId::made_by(world.done(BUYER, wanted));
    world.done(seller, Grant { request, wrapped: Bytes::new([1; 64]).unwrap() });
    world.run_to(world.next() + 6);
    request
}

#[test]
fn a_sale_pays_the_owners_of_its_sources() {
    let (mut world, coin) = with_coin();
    let raw = offered(&mut world, 1, made_of(coin, 1_003, &[]));
    let free = OfferId::made_by(world.done(2, data(coin)));
    let made = offered(&mut world, 3, made_of(coin, 0, &[raw, free]));
    let request = sell(&mut world, 3, made);
    // 10.03 % of 1,100 are 110.33, rounded down.
    assert_eq!([1, 2, 3].map(|person| gained(&world, person, coin)), [110, 0, 990]);
    assert_eq!(gained(&world, BUYER, coin), -1_100);
    // A refund is the seller's alone.
    world.done(3, Revoke { request });
    assert_eq!(right(&world, request).status, RightStatus::Revoked);
    assert_eq!(gained(&world, 1, coin), 110);
    assert!(gained(&world, 3, coin) < 0);
    // The sources' own sales pay nobody else.
    sell(&mut world, 1, raw);
    assert_eq!(gained(&world, 1, coin), 110 + 1_100);
}

#[test]
fn royalties_reach_through_what_is_made_of_what() {
    let (mut world, coin) = with_coin();
    let raw = offered(&mut world, 1, made_of(coin, 1_000, &[]));
    let cleaned = offered(&mut world, 2, made_of(coin, 0, &[raw]));
    let model = offered(&mut world, 3, made_of(coin, 500, &[cleaned]));
    // The same source by two ways is paid once.
    let report = offered(&mut world, 4, made_of(coin, 0, &[model, raw, cleaned]));
    sell(&mut world, 4, report);
    assert_eq!([1, 2, 3, 4].map(|person| gained(&world, person, coin)), [110, 0, 55, 935]);
    let found = world.get(&ExtensionKey { offer: report }).unwrap();
    assert_eq!((found.sources.len(), found.royalties.len()), (3, 2));
}

#[test]
fn royalties_are_at_most_the_whole_price_of_at_most_sixteen() {
    let (mut world, coin) = with_coin();
    let whole = offered(&mut world, 1, made_of(coin, 10_000, &[]));
    let little = offered(&mut world, 2, made_of(coin, 1, &[]));
    let both = made_of(coin, 0, &[whole, little]);
    let bounds = Refusal::Bounds { minimum: 0, maximum: 10_000, found: 10_001 };
    assert_eq!(world.refused(3, both), bounds);
    let too_much = made_of(coin, 10_001, &[]);
    assert!(matches!(world.refused(3, too_much), Refusal::Bounds { found: 10_001, .. }));
    let all = offered(&mut world, 3, made_of(coin, 0, &[whole]));
    sell(&mut world, 3, all);
    assert_eq!((gained(&world, 1, coin), gained(&world, 3, coin)), (1_100, 0));

    let many = |world: &mut World, sources: &[OfferId]| -> Vec<OfferId> {
        (0..8).map(|_| offered(world, 1, made_of(coin, 10, sources))).collect()
    };
    let first = many(&mut world, &[]);
    let second = offered(&mut world, 2, made_of(coin, 10, &first));
    let others: Vec<OfferId> =
        (0..7).map(|_| offered(&mut world, 2, made_of(coin, 10, &[]))).collect();
    let sixteen = [&others[..], &[second]].concat();
    let most = offered(&mut world, 3, made_of(coin, 0, &sixteen));
    assert_eq!(world.get(&ExtensionKey { offer: most }).unwrap().royalties.len(), 16);
    let one_more = offered(&mut world, 2, made_of(coin, 10, &[]));
    let too_many = made_of(coin, 0, &[most, one_more]);
    assert_eq!(world.refused(3, too_many), Refusal::Limit { limit: 16 });
}

#[test]
fn what_data_is_made_of_was_there_before() {
    let (mut world, coin) = with_coin();
    let later = made_of(coin, 0, &[OfferId([9; 32])]);
    assert_eq!(world.refused(1, later), Refusal::Missing(Thing::Offer));
    let mut hasty = made_of(coin, 0, &[]);
    hasty.offer.terms.check_blocks = 4;
    assert!(matches!(world.refused(1, hasty), Refusal::Bounds { minimum: 5, .. }));
    let closed = offered(&mut world, 1, made_of(coin, 100, &[]));
    world.done(1, chronolith_chain::ledger::CloseOffer { offer: closed });
    offered(&mut world, 2, made_of(coin, 0, &[closed]));
    let dear = Request { payment: Amount(1), ..request(&world, closed, 1_100) };
    assert_eq!(world.refused(BUYER, dear), Refusal::Status(Thing::Offer));
}
