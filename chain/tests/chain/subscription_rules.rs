//! The rules of subscriptions: a period is paid for once its keys are given and a chunk of it is shown, never
//! without keys; and no keys are given for what is not set aside.

use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::encoding::{Bytes, Rising};
use chronolith_chain::hash::{Hash, OfferId, SubscriptionId};
use chronolith_chain::ledger::{
    CloseOffer, Delivery, Dispute, DisputePeriod, DrawSubscription, EndSubscription, Offer,
    OfferExtended, PeriodKey, PeriodStatus, Refusal, SellerKey, Source, Subject, Subscribe,
    Subscription, SubscriptionKey, SubscriptionStatus, Thing, TopUpSubscription,
};
use chronolith_chain::list::ListProof;
use chronolith_keys::{Grant as Keys, GrantContext};

use crate::bounty_rules::{gained, with_coin};
use crate::device_and_anchor_rules::hand_over;
use crate::dispute_rules::{Sale, one_time, tree};
use crate::random::Random;
use crate::rights_rules::{BUYER, HOUR, OWNER, offer};
use crate::world::account;

const STRANGER: u8 = 3;
/// What a period of two hours costs, and the first one on top.
pub(crate) const PRICE: u128 = 20;
pub(crate) const FIXED: u128 = 1_000;

fn open_ended(coin: Coin) -> Offer {
    let mut offer = Offer { coin, ..offer(0) };
    offer.scope.until_ms = None;
    offer
}

fn subscribe(offer: OfferId, periods: u32) -> Subscribe {
    Subscribe {
        offer,
        from_ms: 0,
        hours: 2,
        key: one_time().public(),
        periods,
        payment: Amount(FIXED + PRICE * u128::from(periods)),
        patience: 20,
    }
}

/// A device that is followed, and the coin that is paid.
pub(crate) struct Followed {
    pub(crate) sale: Sale,
    coin: Coin,
    pub(crate) subscription: SubscriptionId,
}

impl Followed {
    pub(crate) fn new(periods: u32) -> Self {
        let (world, coin) = with_coin();
        let mut sale = Sale::offered(world, open_ended(coin));
        let action = subscribe(sale.offer, periods);
        let subscription = SubscriptionId::made_by(sale.world.done(BUYER, action));
        Self { sale, coin, subscription }
    }

    pub(crate) fn found(&self) -> Subscription {
        self.sale.world.get(&SubscriptionKey { subscription: self.subscription }).unwrap()
    }

    pub(crate) fn period(&self, period: u32) -> Option<PeriodStatus> {
        let key = PeriodKey { subscription: self.subscription, period };
        self.sale.world.get(&key).map(|found| found.status)
    }

    pub(crate) fn gained(&self, person: u8) -> i128 {
        gained(&self.sale.world, person, self.coin)
    }

    pub(crate) fn seal(&self, period: u32, secret: u8) -> Vec<u8> {
        let request = Subscription::context(self.subscription, period).0;
        let context = GrantContext { chain: self.sale.world.chain.0, request };
        let first = i64::from(period) * 2;
        let keys = tree("speed", secret).cover(first..=first + 1).unwrap();
        let keys = Keys::new([keys]).unwrap();
        keys.seal(&one_time().public(), &context, &mut Random(1)).unwrap()
    }

    /// Anchors a chunk of an hour under the owner's keys, and lets the hours up to the end of a period pass.
    fn live_through(&mut self, period: u32, hour: i64) -> Dispute {
        let shown = self.sale.anchored_of(hour, &[]);
        self.sale.world.time_ms = u64::from(period + 1) * 2 * HOUR;
        shown
    }

    pub(crate) fn draw(&self, period: u32, wrapped: &[u8], shown: &Dispute) -> DrawSubscription {
        DrawSubscription {
            subscription: self.subscription,
            period,
            wrapped: Bytes::new(wrapped).unwrap(),
            header: shown.header.clone(),
            anchor: shown.anchor,
            index: shown.index,
            path: shown.path.clone(),
            rotation: 0,
        }
    }

    pub(crate) fn dispute(&self, period: u32, wrapped: &[u8], shown: &Dispute) -> DisputePeriod {
        DisputePeriod {
            subscription: self.subscription,
            period,
            secret: *one_time().bytes(),
            wrapped: Bytes::new(wrapped).unwrap(),
            header: shown.header.clone(),
            anchor: shown.anchor,
            index: shown.index,
            path: shown.path.clone(),
            rotation: 0,
        }
    }

    /// Draws a period with these keys; what was shown.
    fn drawn(&mut self, period: u32, secret: u8) -> (Vec<u8>, Dispute) {
        let shown = self.live_through(period, i64::from(period) * 2);
        let wrapped = self.seal(period, secret);
        let draw = self.draw(period, &wrapped, &shown);
        self.sale.world.done(OWNER, draw);
        (wrapped, shown)
    }
}

#[test]
fn a_subscription_sets_whole_periods_aside() {
    let (world, coin) = with_coin();
    let mut sale = Sale::offered(world, open_ended(coin));
    let good = subscribe(sale.offer, 3);
    let world = &mut sale.world;
    assert_eq!(world.refused(OWNER, good.clone()), Refusal::NotAllowed(Thing::Offer));
    let price = Refusal::Price { expected: Amount(1_060) };
    let cheap = Subscribe { payment: Amount(1_059), ..good.clone() };
    assert_eq!(world.refused(BUYER, cheap), price);
    for wrong in [
        Subscribe { hours: 0, ..good.clone() },
        Subscribe { hours: 8_785, ..good.clone() },
        Subscribe { periods: 0, ..good.clone() },
        Subscribe { periods: 10_001, ..good.clone() },
        Subscribe { patience: 0, ..good.clone() },
        Subscribe { patience: 41, ..good.clone() },
    ] {
        assert!(matches!(world.refused(BUYER, wrong), Refusal::Bounds { .. }));
    }
    let with_end = OfferId::made_by(world.done(OWNER, offer(0)));
    assert_eq!(world.refused(BUYER, subscribe(with_end, 3)), Refusal::Scope);
    let mut hidden = open_ended(coin);
    hidden.scope.subject = Subject::Hidden(Hash([1; 32]));
    let hidden = OfferId::made_by(world.done(OWNER, hidden));
    assert_eq!(world.refused(BUYER, subscribe(hidden, 3)), Refusal::Scope);
    let mut later = open_ended(coin);
    later.scope.from_ms = 5;
    let later = OfferId::made_by(world.done(OWNER, later));
    assert_eq!(world.refused(BUYER, subscribe(later, 3)), Refusal::Range);
    let query = chronolith_chain::content::ContentId::of_raw(b"a query");
    let answers = OfferExtended {
        offer: open_ended(coin),
        delivery: Delivery::Answers { query },
        royalty: BasisPoints(0),
        sources: Rising::default(),
    };
    let answers = OfferId::made_by(world.done(OWNER, answers));
    assert_eq!(world.refused(BUYER, subscribe(answers, 3)), Refusal::Delivery);
    world.done(BUYER, good.clone());
    assert_eq!(gained(world, BUYER, coin), -1_060);
    world.done(OWNER, CloseOffer { offer: good.offer });
    assert_eq!(world.refused(BUYER, good), Refusal::Status(Thing::Offer));
}

#[test]
fn a_period_is_paid_when_the_time_to_check_is_over() {
    let mut one = Followed::new(3);
    one.drawn(0, 1);
    assert_eq!(one.found().escrow, Amount(2 * PRICE));
    assert_eq!(one.gained(OWNER), 0);
    let PeriodStatus::Drawn { settles } = one.period(0).unwrap() else { panic!() };
    one.sale.world.run_to(settles - 1);
    assert_eq!(one.gained(OWNER), 0);
    one.sale.world.run_to(settles);
    assert_eq!(one.gained(OWNER), 1_020, "the first period costs the fixed price on top");
    assert_eq!(one.period(0), Some(PeriodStatus::Paid));
    one.drawn(1, 1);
    one.sale.world.run_to(one.sale.world.next() + 5);
    assert_eq!(one.gained(OWNER), 1_040);
}

#[test]
fn periods_are_drawn_in_order_each_once_when_they_are_over() {
    let mut one = Followed::new(5);
    let shown = one.live_through(1, 3);
    let wrapped = one.seal(1, 1);
    let good = one.draw(1, &wrapped, &shown);
    assert_eq!(
        one.sale.world.refused(BUYER, good.clone()),
        Refusal::NotAllowed(Thing::Subscription)
    );
    one.sale.world.time_ms = 4 * HOUR - 2_000;
    let unfinished = Refusal::Unfinished { until_ms: 4 * HOUR };
    assert_eq!(one.sale.world.refused(OWNER, good.clone()), unfinished);
    // Now the block's time is the period's end.
    one.sale.world.done(OWNER, good.clone());
    let again = Refusal::Exists(Thing::Period);
    assert_eq!(one.sale.world.refused(OWNER, good.clone()), again);
    let before = one.draw(0, &one.seal(0, 1), &shown);
    assert_eq!(one.sale.world.refused(OWNER, before), again, "what is left out is never paid");
    assert_eq!(one.period(0), None);
    assert_eq!((one.found().next, one.found().drawn), (2, 1));
}

#[test]
fn a_draw_shows_a_chunk_of_its_period() {
    let mut one = Followed::new(5);
    let other_hour = one.live_through(0, 2);
    let wrapped = one.seal(0, 1);
    let wrong = one.draw(0, &wrapped, &other_hour);
    assert_eq!(one.sale.world.refused(OWNER, wrong), Refusal::Scope, "of another period");
    let shown = one.live_through(0, 1);
    let good = one.draw(0, &wrapped, &shown);
    let changed = |change: &dyn Fn(&mut DrawSubscription)| {
        let mut draw = good.clone();
        change(&mut draw);
        draw
    };
    for (draw, expected) in [
        (changed(&|draw| draw.wrapped = Bytes::default()), Refusal::Zero),
        (changed(&|draw| draw.header = Bytes::default()), Refusal::Header { offset: 0 }),
        (changed(&|draw| draw.index = 1), Refusal::Path),
        (changed(&|draw| draw.path = ListProof::default()), Refusal::Path),
        (changed(&|draw| draw.rotation = 1), Refusal::Scope),
        (changed(&|draw| draw.anchor.1 = Hash([1; 32])), Refusal::Missing(Thing::Anchor)),
    ] {
        assert_eq!(one.sale.world.refused(OWNER, draw), expected);
    }
    one.sale.world.done(OWNER, good);
}

#[test]
fn who_sold_the_device_draws_no_more_of_it() {
    let mut one = Followed::new(5);
    let shown = one.live_through(0, 1);
    one.sale.world.time_ms = HOUR;
    let sale = hand_over(&one.sale.world, 1, OWNER, STRANGER, 0);
    one.sale.world.done(OWNER, sale);
    one.sale.world.time_ms = 2 * HOUR;
    let draw = one.draw(0, &one.seal(0, 1), &shown);
    assert_eq!(one.sale.world.refused(OWNER, draw), Refusal::Range);
}

#[test]
fn it_stops_by_itself_when_the_payment_is_used_up() {
    let mut one = Followed::new(2);
    one.drawn(0, 1);
    assert_eq!(one.found().status, SubscriptionStatus::Active);
    one.drawn(1, 1);
    assert_eq!(one.found().status, SubscriptionStatus::Ended);
    let shown = one.live_through(2, 4);
    let draw = one.draw(2, &one.seal(2, 1), &shown);
    assert_eq!(one.sale.world.refused(OWNER, draw), Refusal::Status(Thing::Subscription));
    let more =
        TopUpSubscription { subscription: one.subscription, periods: 1, payment: Amount(PRICE) };
    let ended = Refusal::Status(Thing::Subscription);
    assert_eq!(one.sale.world.refused(BUYER, more), ended);
    one.sale.world.run_to(one.sale.world.next() + 30);
    assert_eq!((one.gained(OWNER), one.gained(BUYER)), (1_040, -1_040));
}

#[test]
fn it_goes_on_as_long_as_it_is_topped_up() {
    let mut one = Followed::new(2);
    let subscription = one.subscription;
    let more =
        |periods, payment| TopUpSubscription { subscription, periods, payment: Amount(payment) };
    let price = Refusal::Price { expected: Amount(2 * PRICE) };
    assert_eq!(one.sale.world.refused(BUYER, more(2, 2 * PRICE + 1)), price);
    assert!(matches!(one.sale.world.refused(BUYER, more(0, 0)), Refusal::Bounds { .. }));
    let not = Refusal::NotAllowed(Thing::Subscription);
    assert_eq!(one.sale.world.refused(STRANGER, more(2, 2 * PRICE)), not);
    one.drawn(0, 1);
    one.sale.world.done(BUYER, more(2, 2 * PRICE));
    for period in 1..4 {
        one.drawn(period, 1);
    }
    assert_eq!(one.found().status, SubscriptionStatus::Ended);
    one.sale.world.run_to(one.sale.world.next() + 30);
    assert_eq!((one.gained(OWNER), one.gained(BUYER)), (1_080, -1_080));
}

#[test]
fn nothing_is_kept_of_a_subscription_that_nobody_delivers() {
    let mut one = Followed::new(3);
    one.drawn(0, 1);
    let height = one.sale.world.next() - 1;
    one.sale.world.run_to(height + 20);
    assert_eq!(one.found().status, SubscriptionStatus::Active);
    one.sale.world.run_to(height + 21);
    assert_eq!(one.found().status, SubscriptionStatus::Ended);
    assert_eq!((one.gained(OWNER), one.gained(BUYER)), (1_020, -1_020));
}

#[test]
fn a_draw_on_its_way_wins_over_the_subscribers_end() {
    let mut one = Followed::new(3);
    let subscription = one.subscription;
    let end = EndSubscription { subscription };
    let not = Refusal::NotAllowed(Thing::Subscription);
    assert_eq!(one.sale.world.refused(STRANGER, end.clone()), not);
    let shown = one.live_through(0, 0);
    one.sale.world.done(BUYER, end.clone());
    let height = one.sale.world.next() - 1;
    assert_eq!(one.found().status, SubscriptionStatus::Ending { from: height + 3 });
    let status = Refusal::Status(Thing::Subscription);
    assert_eq!(one.sale.world.refused(BUYER, end.clone()), status);
    let draw = one.draw(0, &one.seal(0, 1), &shown);
    one.sale.world.done(OWNER, draw);
    one.sale.world.run_to(height + 3);
    assert_eq!(one.found().status, SubscriptionStatus::Ended);
    assert_eq!(one.gained(BUYER), -1_020, "the other two periods are back");
    assert_eq!(one.sale.world.refused(OWNER, end), status);
    one.sale.world.run_to(height + 20);
    assert_eq!(one.gained(OWNER), 1_020);
}

#[test]
fn the_owner_ends_it_at_once() {
    let mut one = Followed::new(3);
    let subscription = one.subscription;
    one.sale.world.done(OWNER, EndSubscription { subscription });
    assert_eq!(one.found().status, SubscriptionStatus::Ended);
    assert_eq!(one.gained(BUYER), 0);
    let shown = one.live_through(0, 0);
    let draw = one.draw(0, &one.seal(0, 1), &shown);
    assert_eq!(one.sale.world.refused(OWNER, draw), Refusal::Status(Thing::Subscription));
}

#[test]
fn wrong_keys_of_a_period_give_its_payment_back_and_end_the_subscription() {
    let mut one = Followed::new(3);
    let (wrapped, shown) = one.drawn(0, 2);
    let dispute = one.dispute(0, &wrapped, &shown);
    let not = Refusal::NotAllowed(Thing::Subscription);
    assert_eq!(one.sale.world.refused(STRANGER, dispute.clone()), not);
    let mut lie = dispute.clone();
    lie.secret[5] ^= 1;
    assert_eq!(one.sale.world.refused(BUYER, lie), Refusal::Secret);
    let other = DisputePeriod { wrapped: Bytes::new([1; 70]).unwrap(), ..dispute.clone() };
    assert_eq!(one.sale.world.refused(BUYER, other), Refusal::Sealed);
    let unknown = DisputePeriod { period: 1, ..dispute.clone() };
    assert_eq!(one.sale.world.refused(BUYER, unknown), Refusal::Missing(Thing::Period));
    one.sale.world.done(BUYER, dispute.clone());
    assert_eq!(one.period(0), Some(PeriodStatus::Faulty));
    assert_eq!(one.found().status, SubscriptionStatus::Ended);
    assert_eq!(one.gained(BUYER), 0);
    let seller = one.sale.world.get(&SellerKey { seller: account(OWNER) }).unwrap();
    assert_eq!(seller.faulty, 1);
    assert_eq!(one.sale.world.refused(BUYER, dispute), Refusal::Status(Thing::Period));
    one.sale.world.run_to(one.sale.world.next() + 30);
    assert_eq!((one.gained(OWNER), one.gained(BUYER)), (0, 0));
}

#[test]
fn keys_of_another_period_are_wrong_keys() {
    let mut one = Followed::new(3);
    one.drawn(0, 1);
    // The message of the first period once more, for the second.
    let shown = one.live_through(1, 2);
    let old = one.seal(0, 1);
    let draw = one.draw(1, &old, &shown);
    one.sale.world.done(OWNER, draw);
    one.sale.world.done(BUYER, one.dispute(1, &old, &shown));
    assert_eq!(one.period(1), Some(PeriodStatus::Faulty));
    assert_eq!(one.gained(BUYER), -1_020);
}

#[test]
fn right_keys_are_paid_at_once_where_they_are_disputed_and_the_key_is_used_up() {
    let mut one = Followed::new(3);
    let (wrapped, shown) = one.drawn(0, 1);
    one.sale.world.done(BUYER, one.dispute(0, &wrapped, &shown));
    assert_eq!(one.period(0), Some(PeriodStatus::Paid));
    assert_eq!(one.found().status, SubscriptionStatus::Ended);
    assert_eq!((one.gained(OWNER), one.gained(BUYER)), (1_020, -1_020));
    assert_eq!(one.sale.world.get(&SellerKey { seller: account(OWNER) }), None);
    one.sale.world.run_to(one.sale.world.next() + 30);
    assert_eq!((one.gained(OWNER), one.gained(BUYER)), (1_020, -1_020));
}

#[test]
fn a_period_is_disputed_in_its_time_to_check() {
    let mut one = Followed::new(1);
    let (wrapped, shown) = one.drawn(0, 2);
    assert_eq!(one.found().status, SubscriptionStatus::Ended, "all is used up");
    let PeriodStatus::Drawn { settles } = one.period(0).unwrap() else { panic!() };
    one.sale.world.run_to(settles - 1);
    one.sale.world.done(BUYER, one.dispute(0, &wrapped, &shown));
    assert_eq!(one.gained(BUYER), 0);

    let mut one = Followed::new(1);
    let (wrapped, shown) = one.drawn(0, 2);
    let PeriodStatus::Drawn { settles } = one.period(0).unwrap() else { panic!() };
    one.sale.world.run_to(settles);
    let late = one.dispute(0, &wrapped, &shown);
    assert_eq!(one.sale.world.refused(BUYER, late), Refusal::Status(Thing::Period));
}

#[test]
fn periods_pay_royalties() {
    let (world, coin) = with_coin();
    let mut sale = Sale::offered(world, open_ended(coin));
    let raw = OfferExtended {
        offer: open_ended(coin),
        delivery: Delivery::Keys,
        royalty: BasisPoints(1_000),
        sources: Rising::default(),
    };
    let mut hidden = raw.clone();
    hidden.offer.scope.subject = Subject::Hidden(Hash([1; 32]));
    let source = OfferId::made_by(sale.world.done(STRANGER, hidden));
    let sources = Rising::new([Source { offer: source, content: None }]).unwrap();
    sale.offer = OfferId::made_by(sale.world.done(OWNER, OfferExtended { sources, ..raw }));
    let action = subscribe(sale.offer, 1);
    let subscription = SubscriptionId::made_by(sale.world.done(BUYER, action));
    let mut one = Followed { sale, coin, subscription };
    one.drawn(0, 1);
    one.sale.world.run_to(one.sale.world.next() + 5);
    assert_eq!((one.gained(OWNER), one.gained(STRANGER)), (918, 102));
}
