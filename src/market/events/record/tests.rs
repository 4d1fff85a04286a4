//! What is called for, and when.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chronolith_chain::ledger::{
    Delivery, Period, PeriodStatus, Right, RightStatus, Subscription, SubscriptionStatus,
};

use super::*;
use crate::market::events::{Covered, message, of_right, of_subscription};

const ALL: &str = "\"paid\", \"requested\", \"granted\", \"declined\", \"cancelled\", \
                   \"checking\", \"settled\", \"objected\", \"revoked\", \"refunded\", \"delivered\"";

/// The template of sales, with a webhook for everything.
fn sale() -> Compiled {
    let template = include_str!("../../../../contract/templates/sale.toml");
    let hook = "[[webhook]]\nname = \"office\"\nurl = \"https://office.example/\"";
    let text = format!("{template}\n{hook}\non = [{ALL}]\n");
    let template = chronolith_contract::template::Template::read(&text).unwrap();
    template.instantiate(&[("metric".to_owned(), "speed".to_owned())].into()).unwrap()
}

const BUYER: Address = Address([2; 32]);

fn right(status: RightStatus) -> Right {
    Right {
        offer: OfferId([1; 32]),
        owner: Address([1; 32]),
        buyer: BUYER,
        from_ms: 0,
        until_ms: 3_600_000,
        key: [0; 32],
        coin: Coin::Native,
        price: Amount(2_500_000_000_000_000_000),
        escrow: Amount::ZERO,
        deadline: 100,
        status,
    }
}

fn offered() -> Offered {
    let Right { offer, buyer, coin, price, .. } = right(RightStatus::Open);
    Offered { offer: Some(offer), owner: None, buyer, coin, price }
}

fn at(height: u64) -> Seen {
    Seen { height, time_ms: height * 1_000 }
}

fn new(compiled: &Compiled, now: u64) -> Record {
    let sale = SaleId::Request(RequestId([9; 32]));
    Record::new(sale, compiled, offered(), at(now))
}

fn names(record: &Record) -> Vec<&str> {
    record.calls.iter().map(|call| call.on.as_str()).collect()
}

const CANCELLED: Covered = Covered { cancelled: true, settled: false };
const GRANTED: RightStatus = RightStatus::Granted { wrapped: Hash([3; 32]), settles: 70 };

#[test]
fn what_happens_is_called_for_once_with_the_steps_that_it_leads_to() {
    let compiled = sale();
    let mut record = new(&compiled, 10);
    let take = |record: &mut Record, status, since: u64, now: u64| {
        let facts = of_right(&right(status), Delivery::Keys, Covered::default());
        record.take(&compiled, &facts, at(since), at(now))
    };
    assert!(take(&mut record, RightStatus::Open, 0, 10));
    assert_eq!(names(&record), ["paid", "requested"]);
    assert!(!take(&mut record, RightStatus::Open, 10, 12), "nothing is new");
    assert!(take(&mut record, GRANTED, 12, 14));
    // Read from its file, it goes on where it was.
    let text = serde_json::to_string(&record).unwrap();
    let mut record: Record = serde_json::from_str(&text).unwrap();
    assert!(!take(&mut record, GRANTED, 14, 20));
    let settled = RightStatus::Settled { wrapped: Hash([3; 32]) };
    assert!(take(&mut record, settled, 135, 140));
    // The end of the same name is not told beside what the ledger says.
    let expected = ["paid", "requested", "granted", "checking", "settled"];
    assert_eq!(names(&record), expected);
    assert!(take(&mut record, RightStatus::Revoked, 140, 150));
    assert_eq!(names(&record)[5..], ["revoked"]);
    let ids: BTreeSet<String> = record
        .calls
        .iter()
        .map(|call| message(&compiled, &record, call).id)
        .inspect(|id| assert!(id.len() <= 256 && !id.contains('.'), "{id}"))
        .collect();
    assert_eq!(ids.len(), record.calls.len());
    // What was answered does not come back, whatever is seen again.
    for call in record.calls.clone() {
        assert!(record.answered(&call) && !record.answered(&call));
    }
    assert!(!take(&mut record, RightStatus::Revoked, 150, 900));
    assert!(record.calls.is_empty());
}

/// A node that was away while a sale was granted and disputed would have ended it by a deadline of the
/// contract, as if the time to check had passed.
#[test]
fn what_happened_while_the_node_was_away_is_told_whole_and_no_deadline_comes_before_it() {
    let compiled = sale();
    let mut record = new(&compiled, 10);
    let facts = of_right(&right(GRANTED), Delivery::Keys, Covered::default());
    record.take(&compiled, &facts, at(0), at(10));
    record.calls.clear();
    let facts = of_right(&right(RightStatus::Faulty), Delivery::Keys, Covered::default());
    assert!(record.take(&compiled, &facts, at(0), at(5_000)));
    assert_eq!(names(&record), ["objected", "refunded"]);
    assert_eq!(record.calls[1].told, Told::End);
    assert_eq!(record.due(&compiled), None);
    // From the beginning, all at once.
    let mut whole = new(&compiled, 5_000);
    whole.take(&compiled, &facts, at(0), at(5_000));
    let expected = ["paid", "requested", "granted", "checking", "objected", "refunded"];
    assert_eq!(names(&whole), expected);
}

/// A node that was away while the owner was paid and took the right back never told of the payment; the same
/// where a request was granted although its buyer had cancelled it.
#[test]
fn what_a_later_status_covers_is_told_where_the_blocks_say_so() {
    let compiled = sale();
    let mut record = new(&compiled, 10);
    record.take(&compiled, &of_right(&right(GRANTED), Delivery::Keys, CANCELLED), at(0), at(10));
    let told = names(&record);
    let place = |on: &str| told.iter().position(|name| *name == on);
    assert!(place("cancelled").is_some() && place("cancelled") < place("granted"), "{told:?}");
    assert_eq!(record.at(&[EventKind::Granted]), Some(at(10)));
    record.calls.clear();
    let revoked = right(RightStatus::Revoked);
    let settled = Covered { settled: true, ..Covered::default() };
    let facts = of_right(&revoked, Delivery::Keys, settled);
    assert!(record.take(&compiled, &facts, at(10), at(900)));
    let told: Vec<&str> = names(&record).into_iter().filter(|on| *on != "refunded").collect();
    assert_eq!(told, ["settled", "revoked"]);
    // Where it was taken back in time, nobody was paid.
    let facts = of_right(&revoked, Delivery::Keys, Covered::default());
    assert!(facts.iter().all(|fact| fact.event != EventKind::Settled));
}

#[test]
fn a_deadline_of_the_contract_that_passes_is_told() {
    let compiled = sale();
    let mut record = new(&compiled, 10);
    let facts = of_right(&right(RightStatus::Open), Delivery::Keys, Covered::default());
    record.take(&compiled, &facts, at(0), at(10));
    let due = record.due(&compiled).unwrap();
    assert_eq!(due, 130, "the owner has 120 blocks");
    assert!(!record.take(&compiled, &facts, at(129), at(130)));
    assert!(record.take(&compiled, &facts, at(130), at(131)));
    assert_eq!(names(&record), ["paid", "requested", "refunded"]);
    // The ledger has its own word: what it says later is told all the same, and no end twice.
    let facts = of_right(&right(RightStatus::Refunded), Delivery::Keys, CANCELLED);
    assert!(record.take(&compiled, &facts, at(131), at(140)));
    assert_eq!(names(&record), ["paid", "requested", "refunded", "cancelled"]);
    assert!(record.is_closed());
}

#[test]
fn messages_say_what_happened_and_amounts_as_text() {
    let compiled = sale();
    let mut record = new(&compiled, 10);
    let facts = of_right(&right(GRANTED), Delivery::Keys, Covered::default());
    record.take(&compiled, &facts, at(0), at(10));
    let said = |on: &str| -> serde_json::Value {
        let call = record.calls.iter().find(|call| call.on == on).unwrap();
        serde_json::from_str(&message(&compiled, &record, call).body).unwrap()
    };
    let granted = said("granted");
    assert_eq!(granted["type"], "contract.granted");
    assert_eq!(granted["timestamp"], "1970-01-01T00:00:10Z");
    let data = &granted["data"];
    assert_eq!((&data["event"], &data["by"]), (&"granted".into(), &"owner".into()));
    assert_eq!((&data["price"], &data["height"]), (&"2.5".into(), &10.into()));
    assert_eq!(data["request"], "09".repeat(32));
    assert_eq!(data["buyer"], BUYER.to_string());
    assert_eq!((&data["contract"], &data["webhook"]), (&"sale".into(), &"office".into()));
    let step = &said("checking")["data"];
    assert_eq!((&step["step"], &step["event"]), (&"checking".into(), &serde_json::Value::Null));
}

#[test]
fn each_period_of_a_subscription_is_told_and_its_end() {
    let compiled = sale();
    let id = SaleId::Subscription(SubscriptionId([8; 32]));
    let mut record = Record::new(id, &compiled, offered(), at(10));
    let subscription = Subscription {
        offer: OfferId([1; 32]),
        owner: Address([1; 32]),
        subscriber: BUYER,
        from_ms: 0,
        hours: 1,
        key: [0; 32],
        coin: Coin::Native,
        price: Amount(1),
        fixed: Amount::ZERO,
        escrow: Amount(8),
        next: 3,
        drawn: 2,
        patience: 100,
        status: SubscriptionStatus::Active,
    };
    let period = |status| Period {
        wrapped: Hash([0; 32]),
        price: Amount(2_000_000_000_000_000_000),
        escrow: Amount::ZERO,
        status,
    };
    let drawn = PeriodStatus::Drawn { settles: 100 };
    let first = [(0, period(PeriodStatus::Paid)), (2, period(drawn))];
    let facts = of_subscription(&subscription, &first, None);
    record.take(&compiled, &facts, at(0), at(10));
    let expected = ["paid", "granted", "delivered", "settled", "delivered"];
    assert_eq!(names(&record), expected);
    let last = message(&compiled, &record, &record.calls[4]);
    assert_eq!(last.id, format!("office-{}-delivered-3", "08".repeat(32)));
    let said: serde_json::Value = serde_json::from_str(&last.body).unwrap();
    assert_eq!((&said["data"]["period"], &said["data"]["price"]), (&2.into(), &"2".into()));
    assert_eq!(said["data"]["subscription"], "08".repeat(32));
    let ended = Subscription { status: SubscriptionStatus::Ended, ..subscription };
    let second = [(0, period(PeriodStatus::Paid)), (2, period(PeriodStatus::Faulty))];
    let facts = of_subscription(&ended, &second, Some(Party::Owner));
    record.take(&compiled, &facts, at(10), at(20));
    assert_eq!(names(&record)[5..], ["objected", "revoked"]);
    record.take(&compiled, &of_subscription(&ended, &second, None), at(20), at(30));
    assert_eq!(record.calls.len(), 7);
}
