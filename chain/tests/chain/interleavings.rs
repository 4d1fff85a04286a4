//! Every interleaving of buying, granting, fetching, disputing, revoking, cancelling, declining and closing
//! the offer, with the passing of blocks as a step like any other: never paid without a key past the
//! refund deadline, never a key without the payment set aside.
//!
//! The ledger's states are searched breadth first; two that differ only in names (nonces, and the ids that
//! follow from them) are one. Each state that is reached is compared with a model, which says in a page what
//! has to come of a sale, and is reached again from a store whose power was cut.
//!
//! `CHRONOLITH_DEPTH` (12) says how many steps, `CHRONOLITH_SALES` (1) how many sales at once.

mod model;
mod search;

use std::panic::AssertUnwindSafe;

use model::Move;
use search::{Search, Shop};

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// One sale, as deep as it goes: a right that is sold, revoked and sold again takes a second one.
#[test]
fn every_interleaving_of_a_sale_to_depth_12() {
    let shop = Shop::new();
    let (depth, sales) = (number("CHRONOLITH_DEPTH", 12), number("CHRONOLITH_SALES", 1));
    let search = Search::run(&shop, depth, sales);
    println!("{}", search.report());
    assert!(depth < 12 || search.ends.len() == 8, "all ends are reached: {:?}", search.ends);
}

/// Two sales of one offer beside each other share the buyer's and the owner's purses, and nothing else.
#[test]
fn every_interleaving_of_two_sales_to_depth_6() {
    let search = Search::run(&Shop::new(), 6, 2);
    println!("{}", search.report());
    assert!(search.states > 1_000);
}

/// The steps are what they are called: the shortest way to each end, by hand.
#[test]
fn the_search_can_see_a_wrong_step() {
    let shop = Shop::new();
    let mut node = shop.begin();
    for next in [Move::Buy, Move::GrantWrong(0), Move::Dispute(0)] {
        assert!(shop.step(&mut node, next), "{next:?}");
    }
    // The same node with a mote that the model does not know of.
    shop.give_a_mote(&mut node);
    let seen = std::panic::catch_unwind(AssertUnwindSafe(|| shop.check(&node)));
    assert!(seen.is_err(), "a mote too many is seen");
}
