//! The rules of bounties: the reward goes to whom it is awarded, the rest where the bounty says, and encrypted
//! data is paid for as in any other sale.

use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, Rising, Text};
use chronolith_chain::hash::{BountyId, CoinId, OfferId, RequestId};
use chronolith_chain::ledger::{
    Award, AwardBounty, BountyKey, CloseOffer, Grant, IssueCoin, Leftover, Ownership, PostBounty,
    Refusal, RightStatus, SubmissionKey, SubmitToBounty, SubmittedRight, Thing, Transfer,
};

use crate::device_and_anchor_rules::register;
use crate::rights_rules::{HOUR, OWNER, offer, right};
use crate::world::{World, account};

pub(crate) const POSTER: u8 = 5;
const OTHER: u8 = 6;
/// What each account has of the issued coin.
pub(crate) const BEGIN: u128 = 10_000_000;

/// A chain with a coin of which the first accounts have some: what they gain of it has no fees in it.
pub(crate) fn with_coin() -> (World, Coin) {
    let mut world = World::new();
    let symbol = Text::new("EUR").unwrap();
    let issue = IssueCoin { symbol, decimals: 2, cap: None, supply: Amount(1_000_000_000) };
    let coin = Coin::Issued(CoinId::made_by(world.done(9, issue)));
    let give =
        |to| Transfer { to: account(to), coin, amount: Amount(BEGIN), memo: Bytes::default() };
    world.all_done(9, (1..9).map(|to| give(to).into()).collect());
    (world, coin)
}

/// What somebody has gained of the coin since the beginning.
pub(crate) fn gained(world: &World, person: u8, coin: Coin) -> i128 {
    world.balance(person, coin).0 as i128 - BEGIN as i128
}

pub(crate) fn post(world: &World, reward: u128) -> PostBounty {
    PostBounty {
        text: ContentId::of_raw(b"a week of temperatures of a cold chain"),
        coin: Coin::Native,
        reward: Amount(reward),
        submit_until: world.next() + 10,
        award_until: world.next() + 20,
        leftover: Leftover::Poster,
        ownership: Ownership::Submitter,
    }
}

fn submit(bounty: BountyId) -> SubmitToBounty {
    SubmitToBounty { bounty, content: ContentId::of_raw(b"the data"), right: None }
}

fn award(bounty: BountyId, shares: &[(u32, u16)]) -> AwardBounty {
    let one = |(number, share): &(u32, u16)| Award {
        number: *number,
        share: BasisPoints(*share),
        key: None,
    };
    let awards = Rising::new(shares.iter().map(one).collect::<Vec<_>>()).unwrap();
    AwardBounty { bounty, awards, grant_blocks: 5 }
}

/// A bounty of 1,001 with submissions of three accounts.
fn posted(leftover: Leftover) -> (World, Coin, BountyId) {
    let (mut world, coin) = with_coin();
    let bounty = PostBounty { coin, leftover, ..post(&world, 1_001) };
    let bounty = BountyId::made_by(world.done(POSTER, bounty));
    assert_eq!(gained(&world, POSTER, coin), -1_001);
    for person in 1..4 {
        world.done(person, submit(bounty));
    }
    (world, coin, bounty)
}

#[test]
fn a_bounty_sets_its_reward_aside_and_has_two_deadlines() {
    let (mut world, coin) = with_coin();
    assert_eq!(world.refused(POSTER, post(&world, 0)), Refusal::Zero);
    let unknown = PostBounty { coin: Coin::Issued(CoinId([1; 32])), ..post(&world, 1) };
    assert_eq!(world.refused(POSTER, unknown), Refusal::Missing(Thing::Coin));
    let at = world.next();
    for (submit_until, award_until) in [(at, at + 5), (at + 5, at + 5), (at + 5, at + 60)] {
        let wrong = PostBounty { submit_until, award_until, ..post(&world, 1) };
        assert!(matches!(world.refused(POSTER, wrong), Refusal::Bounds { .. }));
    }
    let dear = PostBounty { coin, ..post(&world, BEGIN + 1) };
    assert!(matches!(world.refused(POSTER, dear), Refusal::Coin(_)));
}

#[test]
fn submissions_are_taken_in_time_one_from_each_account() {
    let (mut world, _, bounty) = posted(Leftover::Poster);
    assert_eq!(world.refused(POSTER, submit(bounty)), Refusal::NotAllowed(Thing::Bounty));
    assert_eq!(world.refused(1, submit(bounty)), Refusal::Exists(Thing::Submission));
    let unknown = submit(BountyId([1; 32]));
    assert_eq!(world.refused(1, unknown), Refusal::Missing(Thing::Bounty));
    let until = world.get(&BountyKey { bounty }).unwrap().submit_until;
    world.run_to(until - 1);
    world.done(4, submit(bounty));
    let late = Refusal::Late { until: until + 1 };
    assert_eq!(world.refused(OTHER, submit(bounty)), late);
    assert_eq!(world.get(&BountyKey { bounty }).unwrap().submissions, 4);
}

#[test]
fn awards_are_paid_in_shares_and_the_last_one_gets_what_rounding_left() {
    let (mut world, coin, bounty) = posted(Leftover::Poster);
    world.done(POSTER, award(bounty, &[(0, 3_333), (1, 3_333)]));
    // A third of 1,001 is 333.6.
    assert_eq!(gained(&world, 1, coin), 333);
    assert_eq!(gained(&world, 2, coin), 333);
    let again = award(bounty, &[(0, 100)]);
    assert_eq!(world.refused(POSTER, again), Refusal::Status(Thing::Submission));
    let too_much = Refusal::Bounds { minimum: 1, maximum: 3_334, found: 3_335 };
    assert_eq!(world.refused(POSTER, award(bounty, &[(2, 3_335)])), too_much);
    assert!(matches!(
        world.refused(POSTER, award(bounty, &[(2, 0)])),
        Refusal::Bounds { minimum: 1, .. }
    ));
    assert_eq!(world.refused(POSTER, award(bounty, &[(2, 9)])), Refusal::Zero, "0.9 of a mote");
    world.done(POSTER, award(bounty, &[(2, 3_334)]));
    assert_eq!(gained(&world, 3, coin), 335);
    assert!(!world.get(&BountyKey { bounty }).unwrap().is_open);
    assert_eq!(world.refused(4, submit(bounty)), Refusal::Status(Thing::Bounty));
    world.run_to(world.next() + 30);
    assert_eq!(gained(&world, POSTER, coin), -1_001);
}

#[test]
fn only_the_poster_awards_and_only_in_time() {
    let (mut world, coin, bounty) = posted(Leftover::Poster);
    let whole = award(bounty, &[(0, 10_000)]);
    assert_eq!(world.refused(1, whole.clone()), Refusal::NotAllowed(Thing::Bounty));
    assert_eq!(world.refused(POSTER, award(bounty, &[])), Refusal::Zero);
    let nobody = award(bounty, &[(3, 100)]);
    assert_eq!(world.refused(POSTER, nobody), Refusal::Missing(Thing::Submission));
    let mut keyed = whole.clone();
    keyed.awards =
        Rising::new([Award { number: 0, share: BasisPoints(100), key: Some([1; 32]) }]).unwrap();
    assert_eq!(world.refused(POSTER, keyed), Refusal::AwardKey { number: 0 });
    let until = world.get(&BountyKey { bounty }).unwrap().award_until;
    world.run_to(until - 1);
    world.done(POSTER, award(bounty, &[(0, 4_000)]));
    let late = Refusal::Late { until: until + 1 };
    assert_eq!(world.refused(POSTER, award(bounty, &[(1, 4_000)])), late);
    // The rest of 1,001 less 400 is back.
    assert_eq!(gained(&world, POSTER, coin), -400);
}

#[test]
fn what_nobody_was_awarded_is_shared_where_the_bounty_says_so() {
    let (mut world, coin, bounty) = posted(Leftover::Submitters);
    world.done(POSTER, award(bounty, &[(1, 1_000)]));
    let until = world.get(&BountyKey { bounty }).unwrap().award_until;
    world.run_to(until);
    assert_eq!(gained(&world, 1, coin), 0);
    world.run_to(until + 1);
    // 901 are left: 300 each, and one more to who was first.
    assert_eq!([1, 2, 3].map(|person| gained(&world, person, coin)), [301, 400, 300]);
    assert_eq!(gained(&world, POSTER, coin), -1_001);
    // Without submissions there is nobody to share it.
    let (mut world, coin) = with_coin();
    let bounty = PostBounty { coin, leftover: Leftover::Submitters, ..post(&world, 7) };
    world.done(POSTER, bounty);
    world.run_to(world.next() + 30);
    assert_eq!(gained(&world, POSTER, coin), 0);
}

/// A bounty with a submission of encrypted data.
fn encrypted() -> (World, Coin, BountyId) {
    let (mut world, coin) = with_coin();
    let registration = register(&world, 1, OWNER, OWNER);
    world.done(OWNER, registration);
    let of = OfferId::made_by(world.done(OWNER, offer(0)));
    let bounty = PostBounty { coin, ..post(&world, 1_000) };
    let bounty = BountyId::made_by(world.done(POSTER, bounty));
    let with = |offer, from_ms, until_ms| {
        let right = Some(SubmittedRight { offer, from_ms, until_ms });
        SubmitToBounty { right, ..submit(bounty) }
    };
    assert_eq!(world.refused(2, with(of, 0, HOUR)), Refusal::NotAllowed(Thing::Offer));
    assert_eq!(world.refused(OWNER, with(of, 0, 101 * HOUR)), Refusal::Range);
    let unknown = with(OfferId([1; 32]), 0, HOUR);
    assert_eq!(world.refused(OWNER, unknown), Refusal::Missing(Thing::Offer));
    world.done(OWNER, with(of, 0, HOUR));
    world.done(OWNER, CloseOffer { offer: of });
    (world, coin, bounty)
}

#[test]
fn encrypted_data_is_paid_when_its_keys_were_checked() {
    let (mut world, coin, bounty) = encrypted();
    let keyless = award(bounty, &[(0, 6_000)]);
    assert_eq!(world.refused(POSTER, keyless.clone()), Refusal::AwardKey { number: 0 });
    let one = Award { number: 0, share: BasisPoints(6_000), key: Some([7; 32]) };
    let awards = Rising::new([one]).unwrap();
    world.done(POSTER, AwardBounty { awards, ..keyless });
    let submission = world.get(&SubmissionKey { bounty, number: 0 }).unwrap();
    let request = RequestId::awarded(bounty, 0);
    assert_eq!(submission.request, Some(request));
    let found = right(&world, request);
    assert_eq!((found.buyer, found.escrow, found.key), (account(POSTER), Amount(600), [7; 32]));
    assert_eq!(gained(&world, OWNER, coin), 0, "nothing is paid before the keys are there");
    world.done(OWNER, Grant { request, wrapped: Bytes::new([1; 64]).unwrap() });
    world.run_to(world.next() + 6);
    assert_eq!(gained(&world, OWNER, coin), 600);
    assert!(matches!(right(&world, request).status, RightStatus::Settled { .. }));
}

#[test]
fn without_keys_the_award_of_encrypted_data_comes_back() {
    let (mut world, coin, bounty) = encrypted();
    let one = Award { number: 0, share: BasisPoints(10_000), key: Some([7; 32]) };
    let awards = Rising::new([one]).unwrap();
    world.done(POSTER, AwardBounty { bounty, awards, grant_blocks: 5 });
    assert_eq!(gained(&world, POSTER, coin), -1_000);
    world.run_to(world.next() + 6);
    assert_eq!(gained(&world, POSTER, coin), 0);
    assert_eq!(right(&world, RequestId::awarded(bounty, 0)).status, RightStatus::Refunded);
}
