//! The rules of offers, requests and grants: never a key without payment, never a payment without
//! a key.

use chronolith_chain::coin::{Amount, BasisPoints, Coin, CoinError};
use chronolith_chain::encoding::{Bytes, Rising, Text};
use chronolith_chain::hash::{CoinId, Hash, OfferId, RequestId};
use chronolith_chain::ledger::{
    Cancel, CloseOffer, Decline, Grant, MetricName, Offer, OfferKey, Refusal, Request, RequestKey,
    Revoke, Right, RightStatus, Scope, Subject, Terms, Thing,
};

use crate::device_and_anchor_rules::{device, hand_over, register};
use crate::world::World;

pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const OWNER: u8 = 1;
pub(crate) const BUYER: u8 = 2;
const FEE_FREE: Coin = Coin::Native;

pub(crate) fn offer(tree: u32) -> Offer {
    let metrics = Rising::new([MetricName(Text::new("speed").unwrap())]).unwrap();
    Offer {
        scope: Scope {
            subject: Subject::Metrics { device: device(1), tree, metrics },
            from_ms: 0,
            until_ms: Some(100 * HOUR),
        },
        coin: FEE_FREE,
        fixed: Amount(1_000),
        per_hour: Amount(10),
        terms: Terms {
            level: 3,
            check_blocks: 5,
            is_revocable: true,
            revocation_fee: BasisPoints(500),
            auto_grant: None,
        },
    }
}

pub(crate) fn request(world: &World, offer: OfferId, payment: u128) -> Request {
    Request {
        offer,
        from_ms: 0,
        until_ms: 10 * HOUR,
        key: [7; 32],
        payment: Amount(payment),
        deadline: world.next() + 9,
    }
}

fn grant(request: RequestId) -> Grant {
    Grant { request, wrapped: Bytes::new([5; 100]).unwrap() }
}

/// A chain with a device, an offer of its data, and a request for ten hours of it.
fn requested() -> (World, OfferId, RequestId) {
    let mut world = World::new();
    let registration = register(&world, 1, OWNER, OWNER);
    world.done(OWNER, registration);
    let offer = OfferId::made_by(world.done(OWNER, offer(0)));
    let request = request(&world, offer, 1_100);
    let request = RequestId::made_by(world.done(BUYER, request));
    (world, offer, request)
}

pub(crate) fn right(world: &World, request: RequestId) -> Right {
    world.get(&RequestKey { request }).unwrap()
}

/// What a person gains while something happens, fees left out.
pub(crate) fn gain(world: &mut World, person: u8, run: impl FnOnce(&mut World)) -> i128 {
    let before = world.balance(person, Coin::Native);
    run(world);
    world.balance(person, Coin::Native).0 as i128 - before.0 as i128
}

#[test]
fn offers_are_of_what_one_owns() {
    let mut world = World::new();
    assert_eq!(world.refused(OWNER, offer(0)), Refusal::Missing(Thing::Device));
    let registration = register(&world, 1, OWNER, OWNER);
    world.done(OWNER, registration);
    assert_eq!(world.refused(BUYER, offer(0)), Refusal::NotAllowed(Thing::Device));
    assert_eq!(world.refused(OWNER, offer(1)), Refusal::Missing(Thing::Device));
    let mut empty = offer(0);
    empty.scope.until_ms = Some(0);
    assert_eq!(world.refused(OWNER, empty), Refusal::Range);
    let mut level = offer(0);
    level.terms.level = 5;
    assert!(matches!(world.refused(OWNER, level), Refusal::Bounds { .. }));
    let mut hasty = offer(0);
    hasty.terms.check_blocks = 4;
    assert!(matches!(world.refused(OWNER, hasty), Refusal::Bounds { minimum: 5, .. }));
    let mut fee = offer(0);
    fee.terms.revocation_fee = BasisPoints(10_001);
    assert!(matches!(world.refused(OWNER, fee), Refusal::Bounds { .. }));
    let unknown = Offer { coin: Coin::Issued(CoinId([1; 32])), ..offer(0) };
    assert_eq!(world.refused(OWNER, unknown), Refusal::Missing(Thing::Coin));
    let mut hidden = offer(0);
    hidden.scope.subject = Subject::Hidden(Hash([1; 32]));
    world.done(5, hidden);
}

#[test]
fn the_past_stays_the_old_owners_to_sell() {
    let mut world = World::new();
    let registration = register(&world, 1, OWNER, OWNER);
    world.done(OWNER, registration);
    let early = OfferId::made_by(world.done(OWNER, offer(0)));
    let sale = hand_over(&world, 1, OWNER, 3, 0);
    world.done(OWNER, sale);
    let sold_at = world.time_ms;
    // The old owner sells up to the sale, also by an offer from before it, and not beyond.
    let beyond = request(&world, early, 1_100);
    assert_eq!(world.refused(BUYER, beyond.clone()), Refusal::Range);
    let past = Request { until_ms: sold_at, payment: Amount(1_010), ..beyond };
    world.done(BUYER, past);
    assert_eq!(world.refused(OWNER, offer(0)), Refusal::Range);
    assert_eq!(world.refused(OWNER, offer(1)), Refusal::NotAllowed(Thing::Device));
    assert_eq!(world.refused(3, offer(0)), Refusal::NotAllowed(Thing::Device));
    assert_eq!(world.refused(3, offer(1)), Refusal::Range, "before his time");
    let mut own = offer(1);
    own.scope.from_ms = sold_at;
    world.done(3, own);
}

#[test]
fn a_request_sets_the_price_aside() {
    let (mut world, offer, _) = requested();
    let good = request(&world, offer, 1_100);
    let price = Refusal::Price { expected: Amount(1_100) };
    assert_eq!(world.refused(BUYER, Request { payment: Amount(1_099), ..good.clone() }), price);
    assert_eq!(world.refused(BUYER, Request { payment: Amount(1_101), ..good.clone() }), price);
    let begun = Request { until_ms: 10 * HOUR + 1, payment: Amount(1_110), ..good.clone() };
    world.done(BUYER, begun);
    for (from_ms, until_ms) in [(5, 5), (0, 101 * HOUR), (9, 3)] {
        let outside = Request { from_ms, until_ms, ..good.clone() };
        assert_eq!(world.refused(BUYER, outside), Refusal::Range);
    }
    assert_eq!(world.refused(OWNER, good.clone()), Refusal::NotAllowed(Thing::Offer));
    let past = Request { deadline: 3, ..good.clone() };
    assert!(matches!(world.refused(BUYER, past), Refusal::Bounds { .. }));
    let far = Request { deadline: 1_000, ..good.clone() };
    assert!(matches!(world.refused(BUYER, far), Refusal::Bounds { .. }));
    assert_eq!(world.refused(BUYER, CloseOffer { offer }), Refusal::NotAllowed(Thing::Offer));
    world.done(OWNER, CloseOffer { offer });
    assert_eq!(world.refused(OWNER, CloseOffer { offer }), Refusal::NoChange);
    let deadline = world.next() + 5;
    assert_eq!(world.refused(BUYER, Request { deadline, ..good }), Refusal::Status(Thing::Offer));
    assert!(!world.get(&OfferKey { offer }).unwrap().is_open);
}

#[test]
fn a_granted_request_is_paid_when_the_time_to_check_is_over() {
    let (mut world, _, request) = requested();
    assert_eq!(world.refused(BUYER, grant(request)), Refusal::NotAllowed(Thing::Request));
    let empty = Grant { request, wrapped: Bytes::default() };
    assert_eq!(world.refused(OWNER, empty), Refusal::Zero);
    world.done(OWNER, grant(request));
    assert_eq!(world.refused(OWNER, grant(request)), Refusal::Status(Thing::Request));
    assert_eq!(world.refused(BUYER, Cancel { request }), Refusal::Status(Thing::Request));
    assert_eq!(world.refused(OWNER, Decline { request }), Refusal::Status(Thing::Request));
    let RightStatus::Granted { settles, .. } = right(&world, request).status else { panic!() };
    world.run_to(settles - 1);
    assert_eq!(right(&world, request).escrow, Amount(1_100));
    assert_eq!(gain(&mut world, OWNER, |world| world.run_to(settles)), 1_100);
    assert!(matches!(right(&world, request).status, RightStatus::Settled { .. }));
    // The deadline passes, and nothing more happens.
    assert_eq!(gain(&mut world, BUYER, |world| world.run_to(settles + 30)), 0);
}

#[test]
fn without_a_grant_the_payment_comes_back_by_itself() {
    let (mut world, _, request) = requested();
    let deadline = right(&world, request).deadline;
    world.run_to(deadline);
    assert_eq!(right(&world, request).status, RightStatus::Open);
    assert_eq!(gain(&mut world, BUYER, |world| world.run_to(deadline + 1)), 1_100);
    assert_eq!(right(&world, request).status, RightStatus::Refunded);
    assert_eq!(world.refused(OWNER, grant(request)), Refusal::Status(Thing::Request));
    assert_eq!(world.refused(BUYER, Cancel { request }), Refusal::Status(Thing::Request));
}

#[test]
fn a_grant_counts_up_to_its_deadline() {
    let (mut world, _, request) = requested();
    let deadline = right(&world, request).deadline;
    world.run_to(deadline - 1);
    world.done(OWNER, grant(request));
    assert!(matches!(right(&world, request).status, RightStatus::Granted { .. }));

    // In the next block the payment goes back, after the transactions.
    let (mut world, _, request) = requested();
    world.run_to(deadline);
    assert_eq!(world.refused(OWNER, grant(request)), Refusal::Late { until: deadline + 1 });
    assert_eq!(right(&world, request).status, RightStatus::Refunded);
}

#[test]
fn declining_gives_the_payment_back() {
    let (mut world, _, request) = requested();
    assert_eq!(world.refused(BUYER, Decline { request }), Refusal::NotAllowed(Thing::Request));
    let gained = gain(&mut world, BUYER, |world| {
        world.done(OWNER, Decline { request });
    });
    assert_eq!(gained, 1_100);
    assert_eq!(right(&world, request).status, RightStatus::Declined);
    assert_eq!(world.refused(OWNER, grant(request)), Refusal::Status(Thing::Request));
}

#[test]
fn a_grant_on_its_way_wins_over_a_cancellation() {
    let (mut world, _, request) = requested();
    assert_eq!(world.refused(OWNER, Cancel { request }), Refusal::NotAllowed(Thing::Request));
    world.done(BUYER, Cancel { request });
    assert_eq!(world.refused(BUYER, Cancel { request }), Refusal::Status(Thing::Request));
    world.done(OWNER, grant(request));
    let next = world.next();
    assert_eq!(gain(&mut world, BUYER, |world| world.run_to(next + 20)), 0);
    assert!(matches!(right(&world, request).status, RightStatus::Settled { .. }));
}

#[test]
fn a_cancelled_request_comes_back_soon() {
    let (mut world, _, request) = requested();
    world.done(BUYER, Cancel { request });
    let height = world.next() - 1;
    assert_eq!(right(&world, request).status, RightStatus::Cancelling { from: height + 3 });
    assert_eq!(gain(&mut world, BUYER, |world| world.run_to(height + 2)), 0);
    assert_eq!(gain(&mut world, BUYER, |world| world.run_to(height + 3)), 1_100);
    assert_eq!(world.refused(OWNER, grant(request)), Refusal::Status(Thing::Request));
}

#[test]
fn revoking_while_it_is_checked_gives_all_back() {
    let (mut world, _, request) = requested();
    assert_eq!(world.refused(OWNER, Revoke { request }), Refusal::Status(Thing::Request));
    world.done(OWNER, grant(request));
    assert_eq!(world.refused(BUYER, Revoke { request }), Refusal::NotAllowed(Thing::Request));
    let gained = gain(&mut world, BUYER, |world| {
        world.done(OWNER, Revoke { request });
    });
    assert_eq!(gained, 1_100);
    assert_eq!(right(&world, request).status, RightStatus::Revoked);
    assert_eq!(world.refused(OWNER, Revoke { request }), Refusal::Status(Thing::Request));
}

#[test]
fn revoking_later_gives_back_what_is_still_to_come() {
    let (mut world, _, request) = requested();
    world.done(OWNER, grant(request));
    let next = world.next();
    world.run_to(next + 10);
    world.time_ms = 4 * HOUR - 1_000;
    let gained = gain(&mut world, BUYER, |world| {
        world.done(OWNER, Revoke { request });
    });
    // Six of ten hours are left, and the fee is 5 % of the price.
    assert_eq!(gained, 660 + 55);
}

#[test]
fn what_is_not_revocable_is_not_revoked() {
    let mut world = World::new();
    let registration = register(&world, 1, OWNER, OWNER);
    world.done(OWNER, registration);
    let mut firm = offer(0);
    firm.terms.is_revocable = false;
    let offer = OfferId::made_by(world.done(OWNER, firm));
    let wanted = request(&world, offer, 1_100);
    let request = RequestId::made_by(world.done(BUYER, wanted));
    world.done(OWNER, grant(request));
    let next = world.next();
    world.run_to(next + 10);
    assert_eq!(world.refused(OWNER, Revoke { request }), Refusal::NotAllowed(Thing::Request));
}

#[test]
fn who_cannot_pay_cannot_ask() {
    let (mut world, _, _) = requested();
    let mut dear = offer(0);
    dear.fixed = Amount(u128::MAX / 2);
    let dear = OfferId::made_by(world.done(OWNER, dear));
    let wanted = request(&world, dear, u128::MAX / 2 + 100);
    let refused = world.refused(BUYER, wanted);
    assert!(matches!(refused, Refusal::Coin(CoinError::Short { .. })));
}
