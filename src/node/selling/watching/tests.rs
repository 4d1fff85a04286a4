//! When the blocks are asked, from where on, and what follows from what they say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::hash::RequestId;

use super::super::searching::Trace;
use super::*;

const GRANTED: RightStatus = RightStatus::Granted { wrapped: Hash([3; 32]), settles: 70 };
const SETTLED: RightStatus = RightStatus::Settled { wrapped: Hash([3; 32]) };
const CANCELLING: RightStatus = RightStatus::Cancelling { from: 30 };

/// A request, as the ledger shows it; what was given can be checked for 50 blocks.
fn sale(status: RightStatus, is_revocable: bool) -> Sale {
    let (offer, buyer) = (OfferId([1; 32]), Address([2; 32]));
    let right = Right {
        offer,
        owner: Address([1; 32]),
        buyer,
        from_ms: 0,
        until_ms: 3_600_000,
        key: [0; 32],
        coin: Coin::Native,
        price: Amount(7),
        escrow: Amount::ZERO,
        deadline: 100,
        status,
    };
    let contract = Hash([4; 32]);
    let terms = Terms { contract, delivery: Delivery::Keys, check_blocks: 50, is_revocable };
    Sale {
        id: SaleId::Request(RequestId([9; 32])),
        contract,
        offered: Offered {
            offer: Some(offer),
            owner: None,
            buyer,
            coin: Coin::Native,
            price: Amount(7),
        },
        shown: Shown::Request(right, terms),
    }
}

fn compiled() -> Compiled {
    let template = include_str!("../../../../contract/templates/sale.toml");
    let template = chronolith_contract::template::Template::read(template).unwrap();
    template.instantiate(&[("metric".to_owned(), "speed".to_owned())].into()).unwrap()
}

const fn at(height: u64) -> Seen {
    Seen { height, time_ms: height * 1_000 }
}

/// The record of a sale that was seen at some heights in some statuses.
fn record(seen: &[(u64, RightStatus)]) -> Record {
    let compiled = compiled();
    let first = sale(seen[0].1, true);
    let mut record = Record::new(first.id, &compiled, first.offered, at(seen[0].0));
    let mut since = at(0);
    for (height, status) in seen {
        record.take(&compiled, &sale(*status, true).facts(Asked::default()), since, at(*height));
        since = at(*height);
    }
    record
}

fn brief(seen: Option<u64>, settles: Option<u64>) -> Brief {
    Brief { fingerprint: Some(1), seen, settles, due: None, waits: BTreeSet::new() }
}

#[test]
fn blocks_are_asked_only_where_a_status_may_cover_what_was_not_told() {
    let open = record(&[(10, RightStatus::Open)]);
    let granted = record(&[(10, RightStatus::Open), (20, GRANTED)]);
    let cancelling = record(&[(10, RightStatus::Open), (20, CANCELLING)]);
    let settled = record(&[(10, RightStatus::Open), (20, GRANTED), (80, SETTLED)]);
    let revoked = record(&[(10, RightStatus::Open), (20, GRANTED), (60, RightStatus::Revoked)]);
    let asks = |status, record: Option<&Record>| sale(status, true).is_covered(record);
    // It may have been cancelled before.
    for status in [GRANTED, SETTLED, RightStatus::Declined, RightStatus::Refunded] {
        assert!(asks(status, None) && asks(status, Some(&open)), "{status:?}");
        assert!(!asks(status, Some(&cancelling)), "{status:?}");
    }
    assert!(!asks(RightStatus::Open, None) && !asks(CANCELLING, None));
    for status in [GRANTED, SETTLED, RightStatus::Faulty] {
        assert!(!asks(status, Some(&granted)), "{status:?}");
    }
    // It may have been paid before.
    assert!(asks(RightStatus::Revoked, Some(&granted)));
    assert!(!asks(RightStatus::Revoked, Some(&settled)));
    assert!(!asks(RightStatus::Revoked, Some(&revoked)), "that was asked for then");
    assert!(!sale(RightStatus::Revoked, false).is_covered(Some(&granted)), "it cannot have been");
    let mut refunded = open;
    assert!(refunded.close());
    assert!(!asks(RightStatus::Refunded, Some(&refunded)));
}

/// Ten thousand blocks were looked at for each sale that had ended, also where this process had seen it a
/// block before.
#[test]
fn blocks_are_asked_from_where_the_sale_was_last_as_it_was() {
    let granted = record(&[(1_000, RightStatus::Open), (2_000, GRANTED), (3_000, GRANTED)]);
    let since = |status, brief: Option<&Brief>, record: Option<&Record>| {
        sale(status, true).since(brief, record, Some(8_000))
    };
    let seen = brief(Some(9_000), Some(9_500));
    assert_eq!(since(RightStatus::Revoked, Some(&seen), Some(&granted)), 9_000);
    let seen = brief(Some(9_000), None);
    assert_eq!(since(RightStatus::Refunded, Some(&seen), None), 9_000);
    // Another process saw it: when it was granted is found out, too.
    let resumed = brief(None, None);
    let from = since(RightStatus::Revoked, Some(&resumed), Some(&granted));
    assert_eq!(from, 1_000 - READING_BLOCKS, "the grant was seen after that");
    let open = record(&[(1_000, RightStatus::Open)]);
    assert_eq!(since(GRANTED, Some(&resumed), Some(&open)), 1_000 - READING_BLOCKS);
    // It is new to this process, or to the node.
    assert_eq!(since(GRANTED, None, None), 8_000);
    assert_eq!(sale(GRANTED, true).since(None, None, None), 0);
}

#[test]
fn an_owner_was_paid_where_he_took_it_back_after_the_time_to_check() {
    let revoked = sale(RightStatus::Revoked, true);
    let settled = |given, at, from, settles| {
        let trace = Trace { given, revoked: at, ..Trace::default() };
        revoked.asked(&Traces::one(from, revoked.id, trace), settles).covered.settled
    };
    assert!(settled(Some(100), Some(151), 1, None));
    assert!(!settled(Some(100), Some(150), 1, None), "he took it back before he was paid");
    // When it was given is known, or that it was before all blocks that there are.
    assert!(settled(None, Some(71), 60, Some(70)) && !settled(None, Some(70), 60, Some(70)));
    assert!(settled(None, Some(111), 60, None) && !settled(None, Some(110), 60, None));
    assert!(!settled(Some(100), None, 1, None), "nobody knows");
    let trace = Trace { is_cancelled: true, ..Trace::default() };
    let asked = revoked.asked(&Traces::one(1, revoked.id, trace), None);
    assert_eq!(asked.covered, Covered { cancelled: true, settled: false });
}
