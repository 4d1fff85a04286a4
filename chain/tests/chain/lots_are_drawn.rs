//! Lots and terms: who is drawn, who is seated, and that a chain goes on whoever does not come.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::hash::{Domain, Hash};
use chronolith_chain::ledger::{
    AbsenceKey, Bond, DrawKey, HALVING_BLOCKS, Input, ParameterName, Ready, Schedule, ScheduleKey,
    ValidatorKey, contribution, draw, execute, puzzle_is_solved,
};
use chronolith_chain::state::{Options, State};
use chronolith_chain::transaction::{Body, Transaction};

use crate::committee::{Committee, beacon_chain, genesis};
use crate::random::Random;
use crate::world::{account, consensus_key, key};

const QUICK: [(ParameterName, u128); 5] = [
    (ParameterName::TermBlocks, 10),
    (ParameterName::ReadyBlocks, 5),
    (ParameterName::PuzzleBits, 2),
    (ParameterName::Seats, 4),
    (ParameterName::AbsenceSlash, 100),
];

fn crowd(count: u8) -> Vec<Address> {
    (0..count).map(|number| Address([number; 32])).collect()
}

fn seed(number: u64) -> Hash {
    Domain::Seed.hash_of(&number)
}

#[test]
fn draws_are_without_replacement_and_every_order_is_as_likely() {
    const CANDIDATES: usize = 40;
    const DRAWS: u64 = 8_000;
    // How often each candidate is at each of the first three places, and drawn at all.
    let mut places = [[0_u64; CANDIDATES]; 4];
    for number in 0..DRAWS {
        let drawn = draw(&seed(number), crowd(CANDIDATES as u8), 10);
        assert_eq!(drawn, draw(&seed(number), crowd(CANDIDATES as u8), 10), "a replay is equal");
        let distinct: BTreeSet<&Address> = drawn.iter().collect();
        assert_eq!((drawn.len(), distinct.len()), (10, 10));
        for (place, one) in drawn.iter().enumerate() {
            places[place.min(3)][usize::from(one.0[0])] += 1;
            if place < 3 {
                places[3][usize::from(one.0[0])] += 1;
            }
        }
    }
    for (place, counts) in places.iter().enumerate() {
        let all: u64 = counts.iter().sum();
        let expected = all as f64 / CANDIDATES as f64;
        let chi_square: f64 =
            counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
        // 39 degrees of freedom: the 99.9th percentile is 72.06.
        println!("place {place}: chi-square {chi_square:.1}");
        assert!(chi_square < 72.06, "place {place}: {chi_square}");
    }
    assert_eq!(draw(&seed(1), crowd(3), 10).len(), 3);
    assert_eq!(draw(&seed(1), Vec::new(), 10), Vec::new());
}

fn schedule(committee: &Committee) -> Schedule {
    committee.get(&ScheduleKey {}).unwrap()
}

/// What candidates send who take part: an answer once a lot, `Ready` once a term.
fn messages(committee: &Committee, who: impl Iterator<Item = u8>) -> Vec<Transaction> {
    let schedule = schedule(committee);
    let is_ready_time = committee.tip.height + 1 >= schedule.term_start + 5;
    let mut out = Vec::new();
    for person in who {
        let validator = committee.get(&ValidatorKey { validator: account(person) });
        let solved = validator.as_ref().and_then(|validator| validator.solved_lot);
        let mut after = 0;
        if solved != Some(schedule.lot) {
            let solves =
                |answer: &u64| puzzle_is_solved(&schedule.lot_seed, account(person), *answer, 2);
            let bond = Bond {
                amount: validator.as_ref().map_or(Amount::coins(2_000), |_| Amount::ZERO),
                consensus_key: consensus_key(person).public(),
                beacon: validator
                    .as_ref()
                    .map_or(beacon_chain(person)[0], |known| known.beacon_in(schedule.lot)),
                commission: BasisPoints(0),
                puzzle: (0..).find(solves),
            };
            out.push(committee.sign(person, after, bond));
            after += 1;
        }
        let ready = validator.and_then(|validator| validator.ready_term);
        if is_ready_time && ready != Some(schedule.term) {
            out.push(committee.sign(person, after, Ready));
        }
    }
    out
}

/// Replays a chain's blocks on a state of its own; the root must be the same.
fn replay(committee: &Committee) {
    let values = committee.genesis.values().unwrap();
    let mut state = State::in_memory(0, values, Options::default()).unwrap();
    let mut tip = chronolith_chain::block::Tip::genesis(&committee.genesis);
    for block in &committee.blocks {
        let executed = block.check(&tip, &state).unwrap();
        state.commit(executed.prepared).unwrap();
        tip.advance(&block.header);
    }
    assert_eq!(state.head(), committee.state.head());
}

#[test]
fn nobody_is_seated_twice_in_a_lot_and_headers_name_the_next_set() {
    let people = 26;
    let mut committee = Committee::new(genesis(4, people, &QUICK), people);
    let mut seated: BTreeMap<u64, Vec<BTreeSet<Address>>> = BTreeMap::new();
    let mut lots = BTreeSet::new();
    let mut term = 0;
    while committee.tip.height < 170 {
        let transactions = messages(&committee, 0..people);
        let refused = committee.block(transactions);
        assert!(refused.iter().all(|receipt| receipt.refusal.is_none()), "{refused:?}");
        let now = schedule(&committee);
        if now.term != term {
            term = now.term;
            let set = committee.set().members().iter().map(|seat| seat.validator).collect();
            if now.lot > 0 {
                seated.entry(now.lot).or_default().push(set);
            }
            lots.insert(now.lot);
        }
        let height = committee.tip.height as usize;
        let header = committee.header(height as u64);
        assert_eq!(header.validators, committee.sets[height - 1].hash());
        assert_eq!(header.next_validators, committee.sets[height].hash());
    }
    assert!(lots.len() >= 3, "{lots:?}");
    for (lot, terms) in &seated {
        let all: BTreeSet<&Address> = terms.iter().flatten().collect();
        let count: usize = terms.iter().map(BTreeSet::len).sum();
        assert_eq!(all.len(), count, "somebody served twice in lot {lot}");
        assert!(terms.iter().all(|set| set.len() == 4));
    }
    // 26 candidates for 4 seats: six terms.
    assert_eq!(seated[&1].len(), 6);
    assert_eq!(committee.get(&DrawKey {}).unwrap().drawn.len(), 26);
    replay(&committee);
}

#[test]
fn a_drawn_set_that_is_forty_percent_offline_does_not_stop_the_chain() {
    let people = 30;
    let mut committee = Committee::new(genesis(4, people, &QUICK), people);
    // All qualify for the first lot; then two of five are gone before they are seated.
    while schedule(&committee).lot == 0 {
        let transactions = messages(&committee, 0..people);
        committee.block(transactions);
    }
    let seated: BTreeSet<Address> =
        committee.set().members().iter().map(|seat| seat.validator).collect();
    let drawn = committee.get(&DrawKey {}).unwrap();
    let order: Vec<Address> = drawn.drawn.iter().map(|drawn| drawn.validator).collect();
    assert_eq!(order.len(), 30);
    let waiting: Vec<Address> = order.into_iter().filter(|one| !seated.contains(one)).collect();
    let offline: BTreeSet<Address> =
        waiting.iter().enumerate().filter(|(at, _)| at % 5 < 2).map(|(_, one)| *one).collect();
    let (lot, first) = (schedule(&committee).lot, schedule(&committee).term);
    let mut served = seated;
    while schedule(&committee).lot == lot {
        let there = (0..people).filter(|person| !offline.contains(&account(*person)));
        let transactions = messages(&committee, there);
        committee.block_without(&offline, transactions);
        served.extend(committee.set().members().iter().map(|seat| seat.validator));
        assert!(committee.set().members().iter().all(|seat| !offline.contains(&seat.validator)));
    }
    assert_eq!(schedule(&committee).term, first + 7, "30 candidates for 4 seats are 7 terms");
    assert!(served.len() >= 16, "most of those who are there served");
    replay(&committee);
}

#[test]
fn where_nobody_is_ready_the_old_set_goes_on() {
    for validators in [1, 4] {
        let mut committee = Committee::new(genesis(validators, 8, &QUICK), 8);
        let first = committee.set().clone();
        for _ in 0..45 {
            committee.block(Vec::new());
        }
        assert_eq!(schedule(&committee).term, 4);
        let members = |set: &chronolith_chain::validator_set::ValidatorSet| {
            set.members().iter().map(|seat| seat.validator).collect::<Vec<_>>()
        };
        assert_eq!(members(committee.set()), members(&first));
        replay(&committee);
    }
}

#[test]
fn one_validator_grows_to_four_and_then_to_more() {
    let people = 9;
    let mut committee = Committee::new(genesis(1, people, &QUICK), people);
    for _ in 0..30 {
        let transactions = messages(&committee, 0..4);
        committee.block(transactions);
    }
    assert_eq!(committee.set().len(), 4);
    for _ in 0..30 {
        let transactions = messages(&committee, 0..people);
        committee.block(transactions);
    }
    assert_eq!(committee.get(&DrawKey {}).unwrap().drawn.len(), 9);
    replay(&committee);
}

#[test]
fn powers_are_by_bond_and_no_seat_has_a_third() {
    let people = 4;
    let mut committee = Committee::new(genesis(4, people, &QUICK), people);
    let whale = Bond {
        amount: Amount::coins(900_000),
        consensus_key: consensus_key(0).public(),
        beacon: beacon_chain(0)[0],
        commission: BasisPoints(0),
        puzzle: None,
    };
    let rich = committee.sign(0, 0, whale);
    committee.block(vec![rich]);
    for _ in 0..12 {
        committee.block(Vec::new());
    }
    let powers: Vec<u64> = committee.set().members().iter().map(|seat| seat.power).collect();
    assert_eq!(powers, [5_000; 4]);
    assert!(!committee.set().is_third(powers[0]));
}

#[test]
fn who_misses_most_of_a_term_loses_a_share_of_the_bond() {
    let mut committee = Committee::new(genesis(4, 8, &QUICK), 8);
    let gone = BTreeSet::from([account(2)]);
    let stake = |committee: &Committee| {
        committee.get(&ValidatorKey { validator: account(2) }).unwrap().stake
    };
    for _ in 0..4 {
        committee.block_without(&gone, Vec::new());
    }
    let absence = committee.get(&AbsenceKey { validator: account(2) }).unwrap();
    assert_eq!((absence.term, absence.missed, absence.is_fined), (0, 3, false));
    let before = stake(&committee);
    for _ in 0..5 {
        committee.block_without(&gone, Vec::new());
    }
    let absence = committee.get(&AbsenceKey { validator: account(2) }).unwrap();
    assert!(absence.is_fined);
    assert_eq!(
        stake(&committee),
        before.minus(before.basis_points(BasisPoints(100)).unwrap()).unwrap()
    );
    assert_eq!(committee.get(&AbsenceKey { validator: account(1) }), None);
    // A term with few missing votes costs nothing.
    for height in 0..10 {
        let offline = if height < 3 { gone.clone() } else { BTreeSet::new() };
        committee.block_without(&offline, Vec::new());
    }
    let absence = committee.get(&AbsenceKey { validator: account(2) }).unwrap();
    assert_eq!((absence.term, absence.is_fined), (1, false));
}

#[test]
fn contributions_are_sums_of_what_the_state_says() {
    let mut committee = Committee::new(genesis(4, 8, &QUICK), 8);
    let mut burnt = 0;
    for _ in 0..5 {
        let payment = crate::coin_rules::transfer(1, chronolith_chain::coin::Coin::Native, 5);
        let transaction = committee.sign(2, 0, payment);
        burnt += transaction.body.fee.0 / 2;
        committee.block(vec![transaction]);
    }
    let found = contribution(&committee.state, account(2)).unwrap();
    assert_eq!(found.fees_burnt, Amount(burnt));
    // Rewards add to the bond, so it is at least what was bonded at the beginning.
    assert!(found.stake_blocks >= 5 * Amount::coins(5_000).0);
    assert!(found.stake_blocks < 5 * Amount::coins(5_001).0);
    assert_eq!(found.score(), found.fee_points + found.bond_points);
    let floor = genesis(4, 8, &[(ParameterName::ScoreBond, 1_000_000)]);
    let mut points = Committee::new(floor, 8);
    points.block(Vec::new());
    let found = contribution(&points.state, account(2)).unwrap();
    assert_eq!(found.bond_points, 5_000 * 1_000_000 / 86_400);
}

#[test]
fn contributions_fade_to_half_after_ninety_days() {
    let begin = HALVING_BLOCKS - 3;
    let genesis = genesis(4, 8, &QUICK);
    let options = Options::default();
    let mut state = State::in_memory(begin, genesis.values().unwrap(), options).unwrap();
    let pay = |state: &mut State, nonce: u64| {
        let height = state.head().version + 1;
        let body = Body {
            version: 1,
            chain: genesis.chain_id(),
            sender: account(2),
            nonce,
            valid_until: height,
            fee: Amount::coins(2),
            action: crate::coin_rules::transfer(1, Coin::Native, 5).into(),
        };
        let transactions = [body.sign(&key(2)).verify().unwrap()];
        let input = Input {
            chain: genesis.chain_id(),
            height,
            time_ms: 1,
            proposer: None,
            beacon: None,
            voters: &[],
            evidence: &[],
            transactions: &transactions,
        };
        let executed = execute(state, &input).unwrap();
        state.commit(executed.prepared).unwrap();
        contribution(state, account(2)).unwrap()
    };
    // Half of two coins of fees is burnt each time.
    assert_eq!(pay(&mut state, 0).fees_burnt, Amount::coins(1));
    let before = pay(&mut state, 1);
    assert_eq!(before.fees_burnt, Amount::coins(2));
    let after = pay(&mut state, 2);
    assert_eq!(state.head().version, HALVING_BLOCKS);
    assert_eq!(after.fees_burnt, Amount::coins(2), "two halves, and the new one");
    assert!(after.stake_blocks <= before.stake_blocks / 2 + Amount::coins(5_001).0);
    // Who pays nothing fades as well.
    assert_eq!(contribution(&state, account(3)).unwrap().fees_burnt, Amount::ZERO);
}

/// What a proposer gains who withholds: if the last `k` blocks of a lot are proposed by a colluding
/// share, it chooses among the 2^k seeds that its reveals can make.
#[test]
fn withholding_gains_little() {
    const SEATS: usize = 22;
    const LOTS: u64 = 1_500;
    for (share, most) in [(10_u64, 0.45), (20, 1.0), (33, 1.9)] {
        let colluding = 220 * share / 100;
        let mut random = Random(7);
        let (mut fair, mut chosen, mut thirds) = (0, 0, 0);
        for number in 0..LOTS {
            let mut tail = 0;
            while tail < 8 && random.below(100) < share {
                tail += 1;
            }
            let base = seed(number);
            let seats = |choice: u64| {
                let mixed = Domain::Seed.hash_of(&(base, choice));
                let drawn = draw(&mixed, crowd(220), SEATS);
                drawn.iter().filter(|one| u64::from(one.0[0]) < colluding).count()
            };
            fair += seats(0);
            let best = (0..1_u64 << tail).map(seats).max().unwrap();
            chosen += best;
            thirds += usize::from(best * 3 > SEATS);
        }
        let mean = |sum: usize| sum as f64 / LOTS as f64;
        println!(
            "{share} % of the proposers collude: {:.2} of {SEATS} seats if they reveal, {:.2} if they withhold at best; more than a third in {:.1} % of lots",
            mean(fair),
            mean(chosen),
            100.0 * mean(thirds),
        );
        assert!(chosen >= fair);
        assert!(mean(chosen) - mean(fair) < most);
    }
}
