//! The mempool takes what can be in a block, keeps it bounded, and gives it in an order in which it
//! can be executed.

use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::hash::ChainId;
use chronolith_chain::ledger::{Inadmissible, Transfer};
use chronolith_chain::mempool::{Limits, Mempool, Refused};
use chronolith_chain::transaction::{Body, Transaction, Verified};

use crate::world::{BEGIN, World, account, key};

const FEE: u128 = 1_000_000_000_000;

fn transfer(world: &World, person: u8, nonce: u64, fee: u128) -> Body {
    let action = Transfer {
        to: account(person + 1),
        coin: Coin::Native,
        amount: Amount(1),
        memo: Default::default(),
    };
    Body {
        version: 1,
        chain: world.chain,
        sender: account(person),
        nonce,
        valid_until: world.next() + 10,
        fee: Amount(fee),
        action: action.into(),
    }
}

fn verified(body: Body, person: u8) -> Verified {
    body.sign(&key(person)).verify().unwrap()
}

fn admit(world: &World, pool: &mut Mempool, person: u8, body: Body) -> Result<(), Refused> {
    pool.admit(verified(body, person), &world.state, world.next(), true).map(|_| ())
}

fn select(world: &World, pool: &Mempool) -> Vec<(u8, u64, u128)> {
    let chosen = pool.select(&world.state, u64::MAX, u64::MAX, 1_000).unwrap();
    let person = |one: &Verified| (0..12).find(|p| account(*p) == one.body().sender).unwrap();
    chosen.iter().map(|one| (person(one), one.body().nonce, one.body().fee.0)).collect()
}

#[test]
fn better_fees_go_first_and_nonces_stay_in_order() {
    let world = World::new();
    let mut pool = Mempool::new(world.chain, Limits::default());
    // The second of person 1 pays best, and has to wait for the first, which pays least.
    for (person, nonce, fee) in [(1, 1, 9 * FEE), (1, 0, FEE), (2, 0, 3 * FEE), (3, 1, 5 * FEE)] {
        admit(&world, &mut pool, person, transfer(&world, person, nonce, fee)).unwrap();
    }
    let expected = [(2, 0, 3 * FEE), (1, 0, FEE), (1, 1, 9 * FEE)];
    assert_eq!(select(&world, &pool), expected);
    assert!(pool.has_ready(&world.state).unwrap());

    // The bounds of a block hold; what does not fit waits.
    let size = verified(transfer(&world, 2, 0, FEE), 2).size() as u64;
    assert_eq!(pool.select(&world.state, 2 * size, u64::MAX, 1_000).unwrap().len(), 2);
    assert_eq!(pool.select(&world.state, u64::MAX, 1, 1_000).unwrap().len(), 1);
    assert_eq!(pool.select(&world.state, u64::MAX, u64::MAX, 1).unwrap().len(), 1);
    assert_eq!(pool.select(&world.state, size - 1, u64::MAX, 1_000).unwrap().len(), 0);
}

#[test]
fn what_could_never_be_in_a_block_is_refused_with_the_reason() {
    let world = World::new();
    let mut pool = Mempool::new(world.chain, Limits { per_account: 4, ..Limits::default() });
    let good = || transfer(&world, 1, 0, FEE);
    let mut refused = |body: Body| match admit(&world, &mut pool, 1, body) {
        Err(Refused::Inadmissible(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let reason = refused(Body { version: 2, ..good() });
    assert_eq!(reason, Inadmissible::Version { found: 2 });
    let other = ChainId([1; 32]);
    assert_eq!(refused(Body { chain: other, ..good() }), Inadmissible::Chain { found: other });
    let reason = refused(Body { valid_until: 0, ..good() });
    assert_eq!(reason, Inadmissible::Expired { valid_until: 0 });
    let reason = refused(Body { valid_until: u64::MAX, ..good() });
    assert!(matches!(reason, Inadmissible::TooLong { .. }));
    let reason = refused(Body { fee: Amount(1), ..good() });
    assert!(matches!(reason, Inadmissible::Fee { found: Amount(1), .. }));
    let reason = refused(Body { fee: Amount(BEGIN.0 + 1), ..good() });
    assert!(matches!(reason, Inadmissible::Balance { .. }));
    let far = admit(&world, &mut pool, 1, transfer(&world, 1, 4, FEE));
    assert!(matches!(far, Err(Refused::TooFar { next: 0, found: 4, most: 4 })));
    let mut forged: Transaction = good().sign(&key(1));
    forged.body.nonce = 1;
    assert!(forged.verify().is_err(), "and nothing that is not verified can be admitted");
    assert!(pool.is_empty());
}

#[test]
fn fees_that_cannot_all_be_paid_are_not_taken() {
    let world = World::new();
    let mut pool = Mempool::new(world.chain, Limits::default());
    let half = BEGIN.0 / 2;
    admit(&world, &mut pool, 1, transfer(&world, 1, 0, half)).unwrap();
    admit(&world, &mut pool, 1, transfer(&world, 1, 1, half)).unwrap();
    let third = admit(&world, &mut pool, 1, transfer(&world, 1, 2, FEE));
    assert!(matches!(third, Err(Refused::Inadmissible(Inadmissible::Balance { .. }))));
}

#[test]
fn duplicates_are_known_and_replacements_pay_a_tenth_more() {
    let world = World::new();
    let mut pool = Mempool::new(world.chain, Limits::default());
    admit(&world, &mut pool, 1, transfer(&world, 1, 0, 10 * FEE)).unwrap();
    let again = admit(&world, &mut pool, 1, transfer(&world, 1, 0, 10 * FEE));
    assert!(matches!(again, Err(Refused::Known(_))));
    assert!(!again.unwrap_err().is_nonce_taken(), "it is the same one");
    let little = admit(&world, &mut pool, 1, transfer(&world, 1, 0, 11 * FEE));
    assert!(matches!(little, Err(Refused::Replacement { .. })));
    assert!(little.unwrap_err().is_nonce_taken());
    for (expected, found, is_taken) in [(3, 2, true), (3, 4, false)] {
        let refused = Refused::from(Inadmissible::Nonce { expected, found });
        assert_eq!(refused.is_nonce_taken(), is_taken);
    }
    admit(&world, &mut pool, 1, transfer(&world, 1, 0, 11 * FEE + 1)).unwrap();
    assert_eq!(select(&world, &pool), [(1, 0, 11 * FEE + 1)]);
}

#[test]
fn the_worst_makes_room_and_takes_its_followers_along() {
    let world = World::new();
    let size = verified(transfer(&world, 1, 0, FEE), 1).size();
    let limits = Limits { bytes: 4 * size, per_account: 100 };
    let mut pool = Mempool::new(world.chain, limits);
    for nonce in 0..4 {
        admit(&world, &mut pool, 1, transfer(&world, 1, nonce, FEE + u128::from(nonce == 3)))
            .unwrap();
    }
    let same = admit(&world, &mut pool, 2, transfer(&world, 2, 0, FEE));
    assert!(matches!(same, Err(Refused::Full)), "a price that is not better pushes nothing out");
    admit(&world, &mut pool, 2, transfer(&world, 2, 0, 2 * FEE)).unwrap();
    assert!(pool.bytes() <= limits.bytes);
    let nonces: Vec<u64> = select(&world, &pool).iter().map(|(_, nonce, _)| *nonce).collect();
    let of_one = pool.len() - 1;
    assert_eq!(nonces.len(), of_one + 1, "what is left can all be executed");
}

#[test]
fn blocks_take_out_what_is_done_or_can_no_longer_be() {
    let mut world = World::new();
    let mut pool = Mempool::new(world.chain, Limits::default());
    let first = transfer(&world, 1, 0, FEE).sign(&key(1));
    for nonce in 0..3 {
        admit(&world, &mut pool, 1, transfer(&world, 1, nonce, FEE)).unwrap();
    }
    admit(&world, &mut pool, 2, transfer(&world, 2, 0, FEE)).unwrap();
    world.block(vec![first]);
    pool.after_block([account(1)], &world.state, world.next()).unwrap();
    assert_eq!(select(&world, &pool).len(), 3);
    assert_eq!(pool.overdue(world.next(), 2).len(), 2);

    world.run_to(11);
    pool.after_block([], &world.state, world.next()).unwrap();
    assert!(pool.is_empty(), "all of them were valid until height 11");
    assert_eq!(pool.bytes(), 0);
}

#[test]
fn a_balance_that_shrank_drops_what_it_cannot_pay() {
    let mut world = World::new();
    let mut pool = Mempool::new(world.chain, Limits::default());
    let half = BEGIN.0 / 2;
    admit(&world, &mut pool, 1, transfer(&world, 1, 0, FEE)).unwrap();
    admit(&world, &mut pool, 1, transfer(&world, 1, 1, half)).unwrap();
    // Another transaction of the account, for most of what it has.
    let mut body = transfer(&world, 1, 0, half + FEE);
    body.valid_until += 1;
    world.block(vec![body.sign(&key(1))]);
    pool.after_block([account(1)], &world.state, world.next()).unwrap();
    assert!(pool.is_empty());
}
