//! The rules of accounts, coins and transactions.

use chronolith_chain::coin::{Amount, Coin, CoinError};
use chronolith_chain::encoding::{Bytes, Text};
use chronolith_chain::hash::{ChainId, CoinId};
use chronolith_chain::ledger::{
    AccountKey, BlockError, BurnCoin, Inadmissible, IssueCoin, IssuedCoinKey, LockCoin, MintCoin,
    Refusal, SupplyKey, Thing, Transfer, audit,
};
use chronolith_chain::transaction::{Body, Transaction};

use crate::world::{World, account, key};

pub(crate) fn transfer(to: u8, coin: Coin, amount: u128) -> Transfer {
    Transfer { to: account(to), coin, amount: Amount(amount), memo: Bytes::default() }
}

fn issue(symbol: &str, cap: Option<u128>, supply: u128) -> IssueCoin {
    let symbol = Text::new(symbol).unwrap();
    IssueCoin { symbol, decimals: 2, cap: cap.map(Amount), supply: Amount(supply) }
}

#[test]
fn a_transfer_moves_an_amount_and_pays_its_fee() {
    let mut world = World::new();
    let before = (world.balance(1, Coin::Native), world.balance(2, Coin::Native));
    let body = world.body(1, transfer(2, Coin::Native, 500).into());
    let fee = body.fee;
    let receipts = world.block(vec![body.sign(&key(1))]);
    assert_eq!((receipts[0].fee, &receipts[0].refusal), (fee, &None));
    assert_eq!(
        world.balance(1, Coin::Native),
        before.0.minus(fee).unwrap().minus(Amount(500)).unwrap()
    );
    assert_eq!(world.balance(2, Coin::Native), before.1.plus(Amount(500)).unwrap());
    let sender = world.get(&AccountKey { address: account(1) }).unwrap();
    assert_eq!(sender.nonce, 1);
    assert_eq!(sender.fees_burnt, Amount(fee.0 / 2), "half of a fee is burnt");
}

#[test]
fn a_refused_action_pays_its_fee_and_changes_nothing_else() {
    let mut world = World::new();
    let before = world.balance(1, Coin::Native);
    let too_much = transfer(2, Coin::Native, u128::MAX);
    let body = world.body(1, too_much.into());
    let fee = body.fee;
    let receipts = world.block(vec![body.sign(&key(1))]);
    let have = before.minus(fee).unwrap();
    let short = CoinError::Short { have, need: Amount(u128::MAX) };
    assert_eq!(receipts[0].refusal, Some(Refusal::Coin(short)));
    assert_eq!(world.balance(1, Coin::Native), have);
    assert_eq!(world.get(&AccountKey { address: account(1) }).unwrap().nonce, 1);
    assert_eq!(world.refused(1, transfer(2, Coin::Native, 0)), Refusal::Zero);
    assert_eq!(world.refused(1, transfer(1, Coin::Native, 5)), Refusal::NoChange);
}

#[test]
fn issued_coins_follow_their_issuer_and_their_cap() {
    let mut world = World::new();
    assert_eq!(world.refused(3, issue("", None, 0)), Refusal::Zero);
    assert_eq!(world.refused(3, issue("low", None, 0)), Refusal::Zero);
    assert!(matches!(world.refused(3, issue("CAR", Some(9), 10)), Refusal::Bounds { .. }));
    let id = CoinId::made_by(world.done(3, issue("CAR", Some(1_000), 600)));
    let coin = Coin::Issued(id);
    assert_eq!(world.balance(3, coin), Amount(600));

    let mint = |amount| MintCoin { coin: id, amount: Amount(amount), to: account(4) };
    assert_eq!(world.refused(4, mint(1)), Refusal::NotAllowed(Thing::Coin));
    assert!(matches!(world.refused(3, mint(401)), Refusal::Bounds { maximum: 1_000, .. }));
    world.done(3, mint(400));
    world.done(4, transfer(5, coin, 150));
    world.done(5, BurnCoin { coin, amount: Amount(50) });
    assert_eq!(world.balance(5, coin), Amount(100));
    assert!(matches!(world.refused(3, mint(1)), Refusal::Bounds { .. }), "burning makes no room");
    let short = CoinError::Short { have: Amount(100), need: Amount(101) };
    assert_eq!(world.refused(5, transfer(4, coin, 101)), Refusal::Coin(short));

    assert_eq!(world.refused(4, LockCoin { coin: id }), Refusal::NotAllowed(Thing::Coin));
    world.done(3, LockCoin { coin: id });
    assert_eq!(world.refused(3, LockCoin { coin: id }), Refusal::NoChange);
    assert_eq!(world.refused(3, mint(1)), Refusal::Status(Thing::Coin));
    let found = world.get(&IssuedCoinKey { coin: id }).unwrap();
    assert_eq!((found.minted, found.burnt), (Amount(1_000), Amount(50)));
    let sums = audit(&world.state).unwrap();
    assert_eq!(sums[&coin].balances, Amount(950));
    let nothing = Coin::Issued(CoinId([9; 32]));
    assert!(matches!(world.refused(3, transfer(4, nothing, 1)), Refusal::Coin(_)));
    let unknown = MintCoin { coin: CoinId([9; 32]), amount: Amount(1), to: account(1) };
    assert_eq!(world.refused(3, unknown), Refusal::Missing(Thing::Coin));
}

#[test]
fn native_coin_is_burnt_for_good() {
    let mut world = World::new();
    let before = world.get(&SupplyKey {}).unwrap().burnt;
    world.done(1, BurnCoin { coin: Coin::Native, amount: Amount::coins(7) });
    let after = world.get(&SupplyKey {}).unwrap().burnt;
    assert!(after.minus(before).unwrap() >= Amount::coins(7));
    assert_eq!(world.refused(1, BurnCoin { coin: Coin::Native, amount: Amount(0) }), Refusal::Zero);
}

/// Why a block with one transaction is invalid.
fn inadmissible(world: &World, change: impl FnOnce(&mut Body)) -> Inadmissible {
    let mut body = world.body(1, transfer(2, Coin::Native, 5).into());
    change(&mut body);
    match world.try_block(vec![body.sign(&key(1))]) {
        Err(BlockError::Transaction { index: 0, reason }) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("admitted, and must not be"),
    }
}

#[test]
fn transactions_that_do_not_belong_into_a_block_make_it_invalid() {
    let mut world = World::new();
    world.run_to(20);
    let refused = |change: fn(&mut Body)| inadmissible(&world, change);
    assert_eq!(refused(|body| body.version = 2), Inadmissible::Version { found: 2 });
    let other = ChainId([1; 32]);
    assert_eq!(refused(|body| body.chain = ChainId([1; 32])), Inadmissible::Chain { found: other });
    assert_eq!(refused(|body| body.valid_until = 20), Inadmissible::Expired { valid_until: 20 });
    assert!(matches!(refused(|body| body.valid_until = u64::MAX), Inadmissible::TooLong { .. }));
    let nonce = Inadmissible::Nonce { expected: 0, found: 1 };
    assert_eq!(refused(|body| body.nonce = 1), nonce);
    assert!(matches!(refused(|body| body.fee.0 -= 1), Inadmissible::Fee { .. }));
    let all = refused(|body| body.fee = Amount(u128::MAX));
    assert!(matches!(all, Inadmissible::Balance { .. }));
    // At its last height a transaction still counts.
    let mut body = world.body(1, transfer(2, Coin::Native, 5).into());
    body.valid_until = world.next();
    assert!(world.try_block(vec![body.sign(&key(1))]).is_ok());
}

#[test]
fn a_transaction_counts_once() {
    let mut world = World::new();
    let transaction = world.body(1, transfer(2, Coin::Native, 5).into()).sign(&key(1));
    let twice = world.try_block(vec![transaction.clone(), transaction.clone()]);
    let again = Inadmissible::Nonce { expected: 1, found: 0 };
    assert!(matches!(twice, Err(BlockError::Transaction { index: 1, reason }) if reason == again));
    world.block(vec![transaction.clone()]);
    assert!(matches!(world.try_block(vec![transaction]), Err(BlockError::Transaction { .. })));
}

#[test]
fn only_the_senders_signature_counts() {
    let world = World::new();
    let body = world.body(1, transfer(2, Coin::Native, 5).into());
    let good = body.clone().sign(&key(1));
    let forged = body.clone().sign(&key(2));
    assert!(forged.clone().verify().is_err());
    let refused = Transaction::verify_all(vec![good.clone(), forged, good.clone()]);
    assert_eq!(refused.unwrap_err().index, 1);
    // The id is that of the body: another signature makes no other transaction.
    let mut changed = body;
    changed.fee.0 += 1;
    let moved = Transaction { body: changed, signature: good.signature };
    assert!(moved.verify().is_err());
}

#[test]
fn blocks_have_limits() {
    let mut world = World::new();
    let signed = world.body(1, transfer(2, Coin::Native, 5).into()).sign(&key(1));
    let copies = vec![signed; 20_001];
    let size = borsh::to_vec(&copies[0]).unwrap().len() as u64;
    match world.try_block(copies) {
        Err(BlockError::Bytes { most: 2_000_000, found }) => assert_eq!(found, 20_001 * size),
        other => panic!("{:?}", other.err()),
    }
    world.run_to(1);
    let input = chronolith_chain::ledger::Input {
        chain: world.chain,
        height: 5,
        time_ms: 0,
        proposer: None,
        beacon: None,
        voters: &[],
        evidence: &[],
        transactions: &[],
    };
    let refused = chronolith_chain::ledger::execute(&world.state, &input);
    assert!(matches!(refused, Err(BlockError::Height { expected: 2, found: 5 })));
}
