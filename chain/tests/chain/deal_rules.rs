//! The rules of deals: steps in their order, by whom they belong to, and everything that is set aside comes
//! out again as was agreed, whoever is away.

use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::{CoinId, DealId};
use chronolith_chain::ledger::{
    Advance, Arbitrate, DealKey, DealOutcome, DealStatus, DealStepKey, DealVerdictKey, JoinDeal,
    Next, OpenDeal, Parties, Party, Plan, Refusal, Share, Step, Thing, Verdict,
};

use crate::bounty_rules::{gained, with_coin};
use crate::world::{World, account};

const BUYER: u8 = 1;
const SELLER: u8 = 2;
const ARBITER: u8 = 3;
const STRANGER: u8 = 4;

fn share(of: u8, to: u8, points: u16) -> Share {
    Share { of, to, share: BasisPoints(points) }
}

fn outcome(shares: &[Share]) -> DealOutcome {
    DealOutcome { shares: List::new(shares).unwrap() }
}

/// A delivery: the seller delivers, the buyer accepts or objects, and silence is consent. The buyer sets the
/// price aside, the seller a deposit in another coin.
pub(crate) fn plan(world: &World, coin: Coin) -> Plan {
    let party =
        |person, coin, amount| Party { account: account(person), coin, amount: Amount(amount) };
    let to_arbiter = Next::Arbiter { blocks: 6, otherwise: 2 };
    let deliver = Step {
        done_by: Parties(0b10),
        objected_by: Parties(0b01),
        blocks: 5,
        on_done: Next::Step(1),
        on_timeout: Next::Outcome(1),
        on_objection: to_arbiter,
    };
    let accept = Step {
        done_by: Parties(0b01),
        objected_by: Parties(0),
        blocks: 4,
        on_done: Next::Outcome(0),
        on_timeout: Next::Outcome(0),
        on_objection: to_arbiter,
    };
    Plan {
        contract: ContentId::of_raw(b"the contract"),
        parties: List::new([party(BUYER, coin, 1_001), party(SELLER, Coin::Native, 77)]).unwrap(),
        arbiter: Some(account(ARBITER)),
        join_until: world.next() + 10,
        steps: List::new([deliver, accept]).unwrap(),
        outcomes: List::new([
            outcome(&[share(0, 1, 10_000), share(1, 1, 10_000)]),
            outcome(&[share(0, 0, 10_000), share(1, 0, 10_000)]),
            outcome(&[share(0, 0, 3_333), share(0, 1, 6_667), share(1, 1, 10_000)]),
        ])
        .unwrap(),
    }
}

fn with(plan: &Plan, change: impl FnOnce(&mut Plan)) -> OpenDeal {
    let mut plan = plan.clone();
    change(&mut plan);
    OpenDeal { plan }
}

fn with_step(plan: &Plan, number: usize, change: impl FnOnce(&mut Step)) -> OpenDeal {
    with(plan, |plan| {
        let mut steps = plan.steps.to_vec();
        change(&mut steps[number]);
        plan.steps = List::new(steps).unwrap();
    })
}

fn begun() -> (World, Coin, DealId) {
    let (mut world, coin) = with_coin();
    let plan = plan(&world, coin);
    let deal = DealId::made_by(world.done(BUYER, OpenDeal { plan }));
    world.done(SELLER, JoinDeal { deal });
    (world, coin, deal)
}

fn status(world: &World, deal: DealId) -> DealStatus {
    world.get(&DealKey { deal }).unwrap().status
}

fn done(deal: DealId, step: u8) -> Advance {
    Advance { deal, step, objects: false, evidence: Some(ContentId::of_raw(&[step])) }
}

fn objects(deal: DealId, step: u8) -> Advance {
    Advance { objects: true, ..done(deal, step) }
}

#[test]
fn a_plan_that_could_not_end_is_refused() {
    let (mut world, coin) = with_coin();
    let good = plan(&world, coin);
    let bounds: Vec<OpenDeal> = vec![
        with_step(&good, 0, |step| step.on_done = Next::Step(0)),
        with_step(&good, 1, |step| step.on_timeout = Next::Step(0)),
        with_step(&good, 0, |step| step.on_done = Next::Step(2)),
        with_step(&good, 0, |step| step.on_timeout = Next::Outcome(3)),
        with_step(&good, 0, |step| step.on_objection = Next::Arbiter { blocks: 0, otherwise: 0 }),
        with_step(&good, 0, |step| step.on_objection = Next::Arbiter { blocks: 1, otherwise: 9 }),
        with_step(&good, 0, |step| step.blocks = 0),
        with_step(&good, 0, |step| step.blocks = 41),
        with(&good, |plan| plan.join_until = 3),
        with(&good, |plan| plan.join_until += 100),
    ];
    for wrong in bounds {
        let refused = world.refused(BUYER, wrong.clone());
        assert!(matches!(refused, Refusal::Bounds { .. }), "{wrong:?}: {refused}");
    }
    let cases: Vec<(OpenDeal, Refusal)> = vec![
        (with(&good, |plan| plan.arbiter = None), Refusal::Missing(Thing::Arbiter)),
        (with(&good, |plan| plan.steps = List::default()), Refusal::Zero),
        (with(&good, |plan| plan.outcomes = List::default()), Refusal::Zero),
        (with(&good, |plan| plan.parties = List::default()), Refusal::Zero),
        (
            with_step(&good, 0, |step| step.on_done = Next::Outcome(0)),
            Refusal::Missing(Thing::Step),
        ),
        (
            with_step(&good, 0, |step| step.objected_by = Parties(0b11)),
            Refusal::NotAllowed(Thing::Step),
        ),
        (
            with_step(&good, 0, |step| step.done_by = Parties(0b100)),
            Refusal::NotAllowed(Thing::Step),
        ),
        (
            with(&good, |plan| plan.parties = List::new([plan.parties[0]; 2]).unwrap()),
            Refusal::Exists(Thing::Deal),
        ),
        (
            with(&good, |plan| {
                let unknown = Party { coin: Coin::Issued(CoinId([1; 32])), ..plan.parties[1] };
                plan.parties = List::new([plan.parties[0], unknown]).unwrap();
            }),
            Refusal::Missing(Thing::Coin),
        ),
    ];
    for (wrong, expected) in cases {
        assert_eq!(world.refused(BUYER, wrong.clone()), expected, "{wrong:?}");
    }
    let stranger = OpenDeal { plan: plan(&world, coin) };
    assert_eq!(world.refused(STRANGER, stranger), Refusal::NotAllowed(Thing::Deal));
}

#[test]
fn an_outcome_pays_out_everything_and_no_more() {
    let (mut world, coin) = with_coin();
    let good = plan(&world, coin);
    for shares in [
        vec![share(0, 0, 10_000)],
        vec![share(0, 0, 9_999), share(1, 1, 10_000)],
        vec![share(0, 0, 5_000), share(0, 1, 5_001), share(1, 1, 10_000)],
        vec![share(0, 2, 10_000), share(1, 1, 10_000)],
        vec![share(2, 0, 10_000), share(0, 1, 10_000), share(1, 1, 10_000)],
        vec![share(0, 0, 10_000), share(0, 1, 0), share(1, 1, 10_000)],
    ] {
        let wrong = with(&good, |plan| {
            let mut outcomes = plan.outcomes.to_vec();
            outcomes[2] = outcome(&shares);
            plan.outcomes = List::new(outcomes).unwrap();
        });
        let refused = world.refused(BUYER, wrong);
        assert!(matches!(refused, Refusal::Bounds { .. }), "{shares:?}: {refused}");
    }
}

#[test]
fn a_deal_begins_when_all_have_joined_and_is_void_otherwise() {
    let (mut world, coin) = with_coin();
    let plan = plan(&world, coin);
    let deal = DealId::made_by(world.done(BUYER, OpenDeal { plan: plan.clone() }));
    assert_eq!(gained(&world, BUYER, coin), -1_001);
    assert_eq!(status(&world, deal), DealStatus::Joining);
    assert_eq!(world.refused(STRANGER, JoinDeal { deal }), Refusal::NotAllowed(Thing::Deal));
    assert_eq!(world.refused(BUYER, JoinDeal { deal }), Refusal::Exists(Thing::Deal));
    assert_eq!(world.refused(SELLER, done(deal, 0)), Refusal::Status(Thing::Deal));
    world.run_to(plan.join_until);
    let until = plan.join_until + 1;
    assert_eq!(world.refused(SELLER, JoinDeal { deal }), Refusal::Late { until });
    assert_eq!(status(&world, deal), DealStatus::Void);
    assert_eq!(gained(&world, BUYER, coin), 0);

    let (world, _, deal) = begun();
    let until = world.next() - 1 + 5;
    assert_eq!(status(&world, deal), DealStatus::AtStep { step: 0, until });
}

#[test]
fn steps_are_done_in_order_by_whom_they_belong_to() {
    let (mut world, coin, deal) = begun();
    let order = Refusal::Order { expected: 0, found: 1 };
    assert_eq!(world.refused(BUYER, done(deal, 1)), order);
    assert_eq!(world.refused(BUYER, done(deal, 0)), Refusal::NotAllowed(Thing::Step));
    assert_eq!(world.refused(SELLER, objects(deal, 0)), Refusal::NotAllowed(Thing::Step));
    assert_eq!(world.refused(ARBITER, done(deal, 0)), Refusal::NotAllowed(Thing::Deal));
    // That was the last of the step's five blocks but one.
    world.done(SELLER, done(deal, 0));
    let found = world.get(&DealStepKey { deal, step: 0 }).unwrap();
    assert_eq!((found.by, found.verdict), (Some(account(SELLER)), Verdict::Done));
    assert_eq!(found.evidence, Some(ContentId::of_raw(&[0])));
    let order = Refusal::Order { expected: 1, found: 0 };
    assert_eq!(world.refused(SELLER, done(deal, 0)), order);
    assert_eq!(world.refused(BUYER, objects(deal, 1)), Refusal::NotAllowed(Thing::Step));
    let before = world.balance(SELLER, Coin::Native);
    world.done(BUYER, done(deal, 1));
    assert_eq!(status(&world, deal), DealStatus::Closed { outcome: 0 });
    assert_eq!((gained(&world, BUYER, coin), gained(&world, SELLER, coin)), (-1_001, 1_001));
    assert_eq!(world.balance(SELLER, Coin::Native).0 - before.0, 77);
    assert_eq!(world.refused(BUYER, done(deal, 1)), Refusal::Status(Thing::Deal));
    // Tasks that were planned for it find it closed.
    world.run_to(world.next() + 20);
    assert_eq!((gained(&world, BUYER, coin), gained(&world, SELLER, coin)), (-1_001, 1_001));
}

#[test]
fn deadlines_need_nobody_who_asks() {
    // Nothing is delivered: the buyer has his price and the seller's deposit.
    let (mut world, coin, deal) = begun();
    let DealStatus::AtStep { until, .. } = status(&world, deal) else { panic!() };
    let before = world.balance(BUYER, Coin::Native);
    world.run_to(until);
    assert!(matches!(status(&world, deal), DealStatus::AtStep { step: 0, .. }));
    let late = Refusal::Late { until: until + 1 };
    assert_eq!(world.refused(SELLER, done(deal, 0)), late);
    assert_eq!(status(&world, deal), DealStatus::Closed { outcome: 1 });
    assert_eq!(gained(&world, BUYER, coin), 0);
    assert_eq!(world.balance(BUYER, Coin::Native).0 - before.0, 77);
    let found = world.get(&DealStepKey { deal, step: 0 }).unwrap();
    assert_eq!((found.by, found.verdict), (None, Verdict::TimedOut));

    // It is delivered, and the buyer says nothing.
    let (mut world, coin, deal) = begun();
    world.done(SELLER, done(deal, 0));
    world.run_to(world.next() + 5);
    assert_eq!(status(&world, deal), DealStatus::Closed { outcome: 0 });
    assert_eq!(gained(&world, SELLER, coin), 1_001);
}

#[test]
fn only_the_arbiter_decides_and_only_a_dispute() {
    let (mut world, coin, deal) = begun();
    let split = [share(0, 1, 2_500), share(0, 0, 7_500), share(1, 1, 10_000)];
    let verdict = |shares: &[Share]| Arbitrate {
        deal,
        shares: List::new(shares).unwrap(),
        reasons: Some(ContentId::of_raw(b"the temperature was 9 degrees")),
    };
    assert_eq!(world.refused(ARBITER, verdict(&split)), Refusal::Status(Thing::Deal));
    world.done(BUYER, objects(deal, 0));
    assert!(matches!(status(&world, deal), DealStatus::Disputed { step: 0, otherwise: 2, .. }));
    assert_eq!(world.refused(SELLER, done(deal, 0)), Refusal::Status(Thing::Deal));
    assert_eq!(world.refused(BUYER, verdict(&split)), Refusal::NotAllowed(Thing::Deal));
    let short = world.refused(ARBITER, verdict(&split[1..]));
    assert!(matches!(short, Refusal::Bounds { .. }));
    world.done(ARBITER, verdict(&split));
    assert_eq!(status(&world, deal), DealStatus::Arbitrated);
    // Three quarters of 1,001 are 750.75; what rounding leaves is the first share's.
    assert_eq!((gained(&world, BUYER, coin), gained(&world, SELLER, coin)), (-251, 251));
    assert_eq!(world.get(&DealVerdictKey { deal }).unwrap().shares.len(), 3);
    let found = world.get(&DealStepKey { deal, step: 0 }).unwrap();
    assert_eq!((found.by, found.verdict), (Some(account(BUYER)), Verdict::Objected));
    assert_eq!(world.refused(ARBITER, verdict(&split)), Refusal::Status(Thing::Deal));
}

#[test]
fn an_arbiter_who_says_nothing_holds_nobodys_coin() {
    let (mut world, coin, deal) = begun();
    world.done(BUYER, objects(deal, 0));
    let DealStatus::Disputed { until, .. } = status(&world, deal) else { panic!() };
    world.run_to(until);
    let whole = [share(0, 0, 10_000), share(1, 0, 10_000)];
    let shares = List::new(whole).unwrap();
    let late = Refusal::Late { until: until + 1 };
    let verdict = Arbitrate { deal, shares, reasons: None };
    assert_eq!(world.refused(ARBITER, verdict), late);
    assert_eq!(status(&world, deal), DealStatus::Closed { outcome: 2 });
    // A third of 1,001 is 333.63; the other share is 667.37 and rounded down.
    assert_eq!((gained(&world, BUYER, coin), gained(&world, SELLER, coin)), (-667, 667));
}

#[test]
fn a_deal_of_one_begins_at_once() {
    let (mut world, coin) = with_coin();
    let alone = with(&plan(&world, coin), |plan| {
        plan.parties = List::new([plan.parties[0]]).unwrap();
        let wait = Step {
            done_by: Parties(0),
            objected_by: Parties(0),
            blocks: 3,
            on_done: Next::Step(200),
            on_timeout: Next::Outcome(0),
            on_objection: Next::Step(200),
        };
        plan.steps = List::new([wait]).unwrap();
        plan.outcomes = List::new([outcome(&[share(0, 0, 10_000)])]).unwrap();
    });
    let deal = DealId::made_by(world.done(BUYER, alone));
    world.run_to(world.next() + 2);
    assert!(matches!(status(&world, deal), DealStatus::AtStep { .. }));
    world.run_to(world.next());
    assert_eq!(status(&world, deal), DealStatus::Closed { outcome: 0 });
    assert_eq!(gained(&world, BUYER, coin), 0);
}
