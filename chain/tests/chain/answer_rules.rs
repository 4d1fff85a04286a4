//! The rules of answers: who sells answers gives no keys, the sealed answer is the one that was signed, and comes
//! from batches that were anchored for the device.

use chronolith_chain::coin::{Amount, BasisPoints};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, Rising};
use chronolith_chain::hash::{Hash, OfferId, RequestId};
use chronolith_chain::ledger::{
    AnswerKey, AnswerRequest, Batch, Cancel, Delivery, Dispute, DisputeAnswer, Grant, Offer,
    OfferExtended, Refusal, Request, Revoke, RightStatus, SellerKey, SubmitToBounty,
    SubmittedRight, Thing,
};
use chronolith_keys::{GrantContext, seal_answer};

use crate::bounty_rules::post;
use crate::dispute_rules::{Sale, one_time};
use crate::random::Random;
use crate::rights_rules::{BUYER, HOUR, OWNER, gain, offer, request, right};
use crate::world::account;

const STRANGER: u8 = 3;
const ANSWER: &[u8] = b"on 12 of 240 hours the speed was above 130 km/h";

/// A chain with a device of which answers are sold, one of which is requested; and an anchored batch.
struct Asked {
    sale: Sale,
    batch: Batch,
    /// A dispute of keys, which has nothing to dispute here.
    keys: Dispute,
}

impl Asked {
    fn new() -> Self {
        let mut sale = Sale::of(offer(0));
        let keys = sale.anchored(&[1; 64]);
        let mut made: Offer = offer(0);
        made.terms.check_blocks = 10;
        let query = ContentId::of_raw(b"SELECT count(*) FROM speed WHERE value > 130");
        let answers = OfferExtended {
            offer: made,
            delivery: Delivery::Answers { query },
            royalty: BasisPoints(0),
            sources: Rising::default(),
        };
        let of = OfferId::made_by(sale.world.done(OWNER, answers));
        let wanted = Request { key: one_time().public(), ..request(&sale.world, of, 1_100) };
        sale.offer = of;
        sale.request = RequestId::made_by(sale.world.done(BUYER, wanted));
        let (producer, root) = keys.anchor;
        Self { sale, batch: Batch { producer, root }, keys }
    }

    fn seal(&self, answer: &[u8]) -> Vec<u8> {
        let context = GrantContext { chain: self.sale.world.chain.0, request: self.sale.request.0 };
        seal_answer(answer, &one_time().public(), &context, &mut Random(1)).unwrap()
    }

    fn answer(&self, sealed: &[u8]) -> AnswerRequest {
        AnswerRequest {
            request: self.sale.request,
            answer: ContentId::of_raw(ANSWER),
            wrapped: Bytes::new(sealed).unwrap(),
            batches: Rising::new([self.batch]).unwrap(),
        }
    }

    fn dispute(&self, sealed: &[u8]) -> DisputeAnswer {
        DisputeAnswer {
            request: self.sale.request,
            secret: *one_time().bytes(),
            wrapped: Bytes::new(sealed).unwrap(),
        }
    }
}

#[test]
fn an_answer_is_paid_when_the_time_to_check_is_over() {
    let mut asked = Asked::new();
    let sealed = asked.seal(ANSWER);
    let good = asked.answer(&sealed);
    let request = asked.sale.request;
    let world = &mut asked.sale.world;
    assert_eq!(world.refused(STRANGER, good.clone()), Refusal::NotAllowed(Thing::Request));
    let empty = AnswerRequest { wrapped: Bytes::default(), ..good.clone() };
    assert_eq!(world.refused(OWNER, empty), Refusal::Zero);
    let nowhere = AnswerRequest { batches: Rising::default(), ..good.clone() };
    assert_eq!(world.refused(OWNER, nowhere), Refusal::Zero);
    let mut unknown = good.clone();
    unknown.batches =
        Rising::new([Batch { producer: account(OWNER), root: Hash([1; 32]) }]).unwrap();
    assert_eq!(world.refused(OWNER, unknown), Refusal::Missing(Thing::Anchor));
    world.done(OWNER, good.clone());
    assert_eq!(world.refused(OWNER, good.clone()), Refusal::Status(Thing::Request));
    assert_eq!(world.refused(BUYER, Cancel { request }), Refusal::Status(Thing::Request));
    let found = world.get(&AnswerKey { request }).unwrap();
    assert_eq!((found.answer, found.batches), (good.answer, good.batches));
    let next = world.next();
    assert_eq!(gain(world, OWNER, |world| world.run_to(next + 12)), 1_100);
    assert!(matches!(right(world, request).status, RightStatus::Settled { .. }));
}

#[test]
fn who_sells_answers_gives_no_keys_and_who_sells_keys_no_answers() {
    let mut asked = Asked::new();
    let sealed = asked.seal(ANSWER);
    let (request, of) = (asked.sale.request, asked.sale.offer);
    let not = Refusal::Delivery;
    let wrapped = Bytes::new(sealed.as_slice()).unwrap();
    assert_eq!(asked.sale.world.refused(OWNER, Grant { request, wrapped: wrapped.clone() }), not);
    asked.sale.world.done(OWNER, asked.answer(&sealed));
    let keys = Dispute { request, wrapped: wrapped.clone(), ..asked.keys.clone() };
    assert_eq!(asked.sale.world.refused(BUYER, keys), not);
    let world = &mut asked.sale.world;
    let bounty = chronolith_chain::hash::BountyId::made_by(world.done(5, post(world, 10)));
    let right = Some(SubmittedRight { offer: of, from_ms: 0, until_ms: HOUR });
    let content = ContentId::of_raw(b"answers");
    assert_eq!(world.refused(OWNER, SubmitToBounty { bounty, content, right }), not);

    let mut sale = Sale::of(offer(0));
    let anchor = sale.anchored(&[1; 64]).anchor;
    let batches = Rising::new([Batch { producer: anchor.0, root: anchor.1 }]).unwrap();
    let answer = ContentId::of_raw(ANSWER);
    let of_keys = AnswerRequest { request: sale.request, answer, wrapped, batches };
    assert_eq!(sale.world.refused(OWNER, of_keys), not);
    let dispute = DisputeAnswer {
        request: sale.request,
        secret: *one_time().bytes(),
        wrapped: Bytes::new(sealed).unwrap(),
    };
    assert_eq!(sale.world.refused(BUYER, dispute), Refusal::Missing(Thing::Answer));
}

#[test]
fn batches_of_an_answer_were_anchored_for_the_device() {
    let mut asked = Asked::new();
    let device = crate::device_and_anchor_rules::register(&asked.sale.world, 2, STRANGER, STRANGER);
    asked.sale.world.done(STRANGER, device);
    let empty = chronolith_chain::ledger::empty_catalogue();
    let foreign = crate::device_and_anchor_rules::anchor(9, &[(2, empty, Hash([3; 32]))]);
    let root = foreign.root;
    asked.sale.world.done(STRANGER, foreign);
    let sealed = asked.seal(ANSWER);
    let batches = Rising::new([asked.batch, Batch { producer: account(STRANGER), root }]).unwrap();
    let wrong = AnswerRequest { batches, ..asked.answer(&sealed) };
    assert_eq!(asked.sale.world.refused(OWNER, wrong), Refusal::Anchorer);
}

#[test]
fn an_answer_that_is_not_the_signed_one_gives_the_payment_back() {
    let wrong: [fn(&Asked) -> Vec<u8>; 4] = [
        |asked| asked.seal(b"never"),
        |_| vec![5; 100],
        |_| vec![5],
        |asked| {
            let context = GrantContext { chain: asked.sale.world.chain.0, request: [1; 32] };
            seal_answer(ANSWER, &one_time().public(), &context, &mut Random(1)).unwrap()
        },
    ];
    for make in wrong {
        let mut asked = Asked::new();
        let sealed = make(&asked);
        let (answer, dispute) = (asked.answer(&sealed), asked.dispute(&sealed));
        let request = asked.sale.request;
        let world = &mut asked.sale.world;
        let early = Refusal::Missing(Thing::Answer);
        assert_eq!(world.refused(BUYER, dispute.clone()), early);
        world.done(OWNER, answer);
        assert_eq!(world.refused(STRANGER, dispute.clone()), Refusal::NotAllowed(Thing::Request));
        let mut lie = dispute.clone();
        lie.secret[3] ^= 1;
        assert_eq!(world.refused(BUYER, lie), Refusal::Secret);
        let other = DisputeAnswer { wrapped: Bytes::new([1; 70]).unwrap(), ..dispute.clone() };
        assert_eq!(world.refused(BUYER, other), Refusal::Sealed);
        let fee = world.body(BUYER, dispute.clone().into()).fee.0 as i128;
        let gained = gain(world, BUYER, |world| {
            world.done(BUYER, dispute.clone());
        });
        assert_eq!(gained + fee, 1_100);
        let found = right(world, request);
        assert_eq!((found.status, found.escrow), (RightStatus::Faulty, Amount::ZERO));
        let seller = world.get(&SellerKey { seller: account(OWNER) }).unwrap();
        assert_eq!(seller.faulty, 1);
        assert_eq!(world.refused(BUYER, dispute), Refusal::Status(Thing::Request));
    }
}

#[test]
fn the_signed_answer_is_paid_for_whoever_disputes() {
    let mut asked = Asked::new();
    let sealed = asked.seal(ANSWER);
    let (answer, dispute) = (asked.answer(&sealed), asked.dispute(&sealed));
    let world = &mut asked.sale.world;
    world.done(OWNER, answer);
    assert_eq!(world.refused(BUYER, dispute.clone()), Refusal::AnswerHolds);
    let next = world.next();
    assert_eq!(gain(world, OWNER, |world| world.run_to(next + 12)), 1_100);
    assert_eq!(world.refused(BUYER, dispute), Refusal::Status(Thing::Request));
    // A right to answers is revoked as any other.
    let request = asked.sale.request;
    world.done(OWNER, Revoke { request });
    assert_eq!(right(world, request).status, RightStatus::Revoked);
}
