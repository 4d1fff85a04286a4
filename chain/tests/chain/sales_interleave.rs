//! Whatever owner and buyer do in whatever order: never a key without payment, never a payment without
//! a key.

use std::collections::HashSet;

use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::encoding::Bytes;
use chronolith_chain::ledger::{Action, Cancel, Decline, Dispute, Grant, Revoke, RightStatus};

use crate::dispute_rules::{Sale, ten_hours};
use crate::rights_rules::{BUYER, OWNER, offer, right};
use crate::world::key;

const PRICE: u128 = 1_100;

/// What either side may do next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Move {
    GrantRightKeys,
    GrantWrongKeys,
    Decline,
    Cancel,
    Revoke,
    Dispute,
    Wait(u64),
}

const MOVES: [Move; 7] = [
    Move::GrantRightKeys,
    Move::GrantWrongKeys,
    Move::Decline,
    Move::Cancel,
    Move::Revoke,
    Move::Dispute,
    Move::Wait(6),
];

/// A sale, and what came of it.
struct Play {
    sale: Sale,
    right_keys: Vec<u8>,
    wrong_keys: Vec<u8>,
    /// What the buyer can say of the wrong ones.
    dispute: Dispute,
    /// Whether the keys that the buyer was given are right.
    given: Option<bool>,
    /// What he had before, and the fees that he paid since.
    before: u128,
    fees: u128,
}

impl Play {
    fn begin() -> Self {
        let mut sale = Sale::of(offer(0));
        let (right_keys, wrong_keys) = (sale.seal(ten_hours(1)), sale.seal(ten_hours(2)));
        let dispute = sale.anchored(&wrong_keys);
        // The request has taken the payment already.
        let before = sale.world.balance(BUYER, Coin::Native).0 + PRICE;
        Self { sale, right_keys, wrong_keys, dispute, given: None, before, fees: 0 }
    }

    fn status(&self) -> RightStatus {
        right(&self.sale.world, self.sale.request).status
    }

    /// Makes a move; whether it was allowed.
    fn play(&mut self, next: Move) -> bool {
        let request = self.sale.request;
        let grant = |keys: &[u8]| Grant { request, wrapped: Bytes::new(keys).unwrap() };
        let (person, action): (u8, Action) = match next {
            Move::GrantRightKeys => (OWNER, grant(&self.right_keys).into()),
            Move::GrantWrongKeys => (OWNER, grant(&self.wrong_keys).into()),
            Move::Decline => (OWNER, Decline { request }.into()),
            Move::Cancel => (BUYER, Cancel { request }.into()),
            Move::Revoke => (OWNER, Revoke { request }.into()),
            Move::Dispute => {
                let is_right = self.given == Some(true);
                let keys = if is_right { &self.right_keys } else { &self.wrong_keys };
                let wrapped = Bytes::new(keys.as_slice()).unwrap();
                (BUYER, Dispute { wrapped, ..self.dispute.clone() }.into())
            }
            Move::Wait(blocks) => {
                let height = self.sale.world.next() + blocks;
                self.sale.world.run_to(height);
                return true;
            }
        };
        let body = self.sale.world.body(person, action);
        self.fees += if person == BUYER { body.fee.0 } else { 0 };
        let receipt = self.sale.world.block(vec![body.sign(&key(person))]).pop().unwrap();
        let is_allowed = receipt.refusal.is_none();
        match next {
            Move::GrantRightKeys if is_allowed => self.given = Some(true),
            Move::GrantWrongKeys if is_allowed => self.given = Some(false),
            _ => {}
        }
        is_allowed
    }

    /// Lets all deadlines pass; what the buyer paid in the end.
    fn end(&mut self) -> u128 {
        self.play(Move::Wait(20));
        let found = right(&self.sale.world, self.sale.request);
        assert_eq!(found.escrow, Amount::ZERO, "nothing stays set aside for ever");
        self.before - self.fees - self.sale.world.balance(BUYER, Coin::Native).0
    }
}

/// Makes some moves, and then lets time pass; how it ends. A watchful buyer disputes wrong keys at once.
fn run(moves: &[Move], is_watchful: bool) -> std::mem::Discriminant<RightStatus> {
    let mut play = Play::begin();
    for next in moves {
        play.play(*next);
        let is_granted = matches!(play.status(), RightStatus::Granted { .. });
        if is_watchful && is_granted && play.given == Some(false) {
            assert!(play.play(Move::Dispute), "{moves:?}");
        }
    }
    let paid = play.end();
    let status = play.status();
    match (status, play.given) {
        (RightStatus::Settled { .. }, Some(is_right)) => {
            assert!(paid == PRICE && (is_right || !is_watchful), "{moves:?}");
        }
        (RightStatus::Revoked, Some(_)) => assert!(paid <= PRICE, "{moves:?}"),
        (RightStatus::Faulty, Some(false)) => assert_eq!(paid, 0, "{moves:?}"),
        (RightStatus::Declined | RightStatus::Refunded, None) => assert_eq!(paid, 0, "{moves:?}"),
        other => panic!("{moves:?}: {other:?}"),
    }
    std::mem::discriminant(&status)
}

/// Every sequence of four moves of both sides. Whoever ends with the payment, the other has the key or
/// has given it up; and a buyer who disputes wrong keys in time has paid nothing for them.
#[test]
fn in_every_interleaving_the_key_and_the_payment_go_opposite_ways() {
    let mut ends = HashSet::new();
    for sequence in 0..MOVES.len().pow(4) {
        let moves = [0, 1, 2, 3].map(|step| MOVES[sequence / MOVES.len().pow(step) % MOVES.len()]);
        ends.insert(run(&moves, false));
        if moves.contains(&Move::GrantWrongKeys) {
            run(&moves, true);
        }
    }
    assert_eq!(ends.len(), 5, "all five ends are reached");
}
