//! Whatever plan is accepted and whatever its parties do or leave, a deal ends by itself within the blocks of its
//! steps, pays out everything that was set aside, and nothing else.

use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::{
    Advance, Arbitrate, DealKey, DealOutcome, DealStatus, JoinDeal, Next, OpenDeal, Parties, Party,
    Plan, Share, Step,
};

use crate::bounty_rules::{gained, with_coin};
use crate::random::Random;
use crate::world::{World, account, key};

/// What all of the blocks of a deal come to at most, here.
const LONGEST: u64 = 10 + 6 * 4 + 5;

/// Shares that are the whole of each part.
fn shares(random: &mut Random, parties: u8) -> List<Share, 64> {
    let mut all = Vec::new();
    for of in 0..parties {
        let mut left = 10_000_u16;
        for to in 0..parties {
            let part =
                if to + 1 == parties { left } else { random.below(u64::from(left) + 1) as u16 };
            left -= part;
            if part > 0 {
                all.push(Share { of, to, share: BasisPoints(part) });
            }
        }
    }
    List::new(all).unwrap()
}

fn next(random: &mut Random, from: u8, steps: u8, outcomes: u8) -> Next {
    let outcome = random.below(outcomes.into()) as u8;
    match random.below(3) {
        0 => Next::Arbiter { blocks: 1 + random.below(5) as u32, otherwise: outcome },
        1 if from + 1 < steps => {
            Next::Step(from + 1 + random.below(u64::from(steps - from - 1)) as u8)
        }
        _ => Next::Outcome(outcome),
    }
}

/// A plan of two to four parties, whose steps are all reached by their time-outs.
fn plan(random: &mut Random, world: &World, coin: Coin) -> Plan {
    let parties = 2 + random.below(3) as u8;
    let (steps, outcomes) = (1 + random.below(6) as u8, 1 + random.below(3) as u8);
    let party = |number: u8, amount| Party {
        account: account(number + 1),
        coin: if number.is_multiple_of(2) { coin } else { Coin::Native },
        amount: Amount(amount),
    };
    let all = (1_u64 << parties) - 1;
    let step = |from: u8, random: &mut Random| {
        let done_by = random.below(all + 1);
        let later = if from + 1 < steps { Next::Step(from + 1) } else { Next::Outcome(0) };
        Step {
            done_by: Parties(done_by as u8),
            objected_by: Parties((random.below(all + 1) & !done_by) as u8),
            blocks: 1 + random.below(3) as u32,
            on_done: next(random, from, steps, outcomes),
            on_timeout: later,
            on_objection: next(random, from, steps, outcomes),
        }
    };
    let amounts = [1 + random.below(9_999), 1 + random.below(99), 1 + random.below(7), 1];
    Plan {
        contract: ContentId::of_raw(b"a contract"),
        parties: List::new(
            (0..parties)
                .map(|number| party(number, amounts[usize::from(number)].into()))
                .collect::<Vec<_>>(),
        )
        .unwrap(),
        arbiter: Some(account(7)),
        join_until: world.next() + 1 + random.below(9),
        steps: List::new((0..steps).map(|from| step(from, random)).collect::<Vec<_>>()).unwrap(),
        outcomes: List::new(
            (0..outcomes)
                .map(|_| DealOutcome { shares: shares(random, parties) })
                .collect::<Vec<_>>(),
        )
        .unwrap(),
    }
}

/// A party does something, wrong or right, or nothing happens.
fn act(random: &mut Random, world: &mut World, deal: DealId) {
    let found = world.get(&DealKey { deal }).unwrap();
    let parties = found.plan.parties.len() as u64;
    let person = 1 + random.below(parties) as u8;
    let step = match found.status {
        DealStatus::AtStep { step, .. } => step,
        _ => random.below(6) as u8,
    };
    let objects = random.below(3) == 0;
    let missing = (0..parties as usize).find(|number| !found.joined.has(*number));
    let arbitrate = |random: &mut Random| {
        let shares = shares(random, parties as u8);
        Arbitrate { deal, shares, reasons: None }
    };
    let advance = Advance { deal, step, objects, evidence: None };
    let (person, action) = match (found.status, random.below(5)) {
        (_, 0) => return world.run_to(world.next()),
        (DealStatus::Joining, 1..4) => {
            (1 + missing.unwrap_or_default() as u8, JoinDeal { deal }.into())
        }
        (DealStatus::Disputed { .. }, 1..3) => (7, arbitrate(random).into()),
        (_, 1) => (7, arbitrate(random).into()),
        (_, 2) => (person, JoinDeal { deal }.into()),
        _ => (person, advance.into()),
    };
    let body = world.body(person, action);
    world.block(vec![body.sign(&key(person))]);
}

#[test]
fn every_deal_ends_and_pays_out_everything() {
    let mut random = Random(11);
    let mut ends = [0_u32; 3];
    for round in 0..300 {
        let (mut world, coin) = with_coin();
        let plan = plan(&mut random, &world, coin);
        let deal = DealId::made_by(world.done(1, OpenDeal { plan: plan.clone() }));
        let height = world.next();
        for _ in 0..random.below(30) {
            act(&mut random, &mut world, deal);
        }
        world.run_to((height + LONGEST).max(world.next()));
        let found = world.get(&DealKey { deal }).unwrap();
        let end = match found.status {
            DealStatus::Closed { .. } => 0,
            DealStatus::Arbitrated => 1,
            DealStatus::Void => 2,
            open => panic!("round {round}: {open:?} after {LONGEST} blocks"),
        };
        ends[end] += 1;
        assert!(found.escrows.iter().all(|escrow| escrow.is_zero()), "round {round}");
        // What one lost of the coin others gained, to the mote.
        let sum: i128 = (1..9).map(|person| gained(&world, person, coin)).sum();
        assert_eq!(sum, 0, "round {round}");
        if found.status == DealStatus::Void {
            let all = (1..9).all(|person| gained(&world, person, coin) == 0);
            assert!(all, "round {round}: not all of it went back");
        }
    }
    println!("{ends:?} closed, arbitrated and void");
    assert!(ends.iter().all(|count| *count > 10), "{ends:?}");
}
