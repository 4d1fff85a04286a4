//! Each template as a story, with answers that are computed from real recordings where one fits.

use std::collections::BTreeMap;

use chronolith_contract::rule::Value;
use chronolith_contract::steps::{Deal, Event, Moment};
use chronolith_contract::{Amount, Compiled, EventKind, template};

use crate::recordings::{above, drive, falls, first_charge, max_tenths, per_mille_above, shared};

const COIN: u128 = 1_000_000_000_000_000_000;
const HOUR: u64 = 3_600_000;
/// A drive of 15 minutes through town and on a highway.
const DRIVE: &str = "4111928_1_2007-05-22.csv.gz";
/// A day in town, and one on a highway, of two others.
const TOWN: &str = "4112082_1_2007-07-03.csv.gz";
const HIGHWAY: &str = "4108468_1_2007-06-26.csv.gz";
/// Another car, another day.
const OTHER_DRIVE: &str = "4109114_1_2007-05-23.csv.gz";

fn contract(name: &str, given: &[(&str, &str)]) -> Compiled {
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let template = template::builtin(name).unwrap().unwrap();
    template.instantiate(&given.collect()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A deal that is told, hour by hour.
struct Story {
    contract: Compiled,
    deal: Deal,
    now: Moment,
}

impl Story {
    fn begin(contract: Compiled, escrow: u128) -> Self {
        let now = Moment { height: 1_000, time_ms: 1_000 * HOUR };
        let deal = Deal::open(&contract, Amount(escrow), now);
        Self { contract, deal, now }
    }

    /// So many blocks, one each minute.
    fn wait(&mut self, blocks: u64) -> &mut Self {
        self.now.height += blocks;
        self.now.time_ms += blocks * 60_000;
        if !self.deal.is_ended() {
            self.deal.advance(&self.contract, self.now).unwrap();
        }
        self
    }

    fn wait_days(&mut self, days: u64) -> &mut Self {
        self.wait(days * 24 * 60)
    }

    fn event(&self, kind: EventKind, by: &str) -> Event {
        Event::new(kind, by, self.now)
    }

    fn happens(&mut self, event: Event) -> &mut Self {
        self.deal.apply(&self.contract, &event).unwrap_or_else(|refusal| panic!("{refusal}"));
        self
    }

    fn does(&mut self, by: &str, kind: EventKind) -> &mut Self {
        self.wait(1);
        let event = self.event(kind, by);
        self.happens(event)
    }

    /// An event with answers.
    fn shows(&mut self, kind: EventKind, answers: &[(&str, Value)]) -> &mut Self {
        let answers = answers.iter().map(|(name, answer)| ((*name).to_owned(), answer.clone()));
        let answers: BTreeMap<_, _> = answers.collect();
        self.wait(1);
        let event = Event { answers, ..self.event(kind, "owner") };
        self.happens(event)
    }

    fn is_refused(&mut self, event: Event) -> String {
        self.deal.apply(&self.contract, &event).unwrap_err().to_string()
    }

    #[track_caller]
    fn ends_as(&self, end: &str, paid: &[(&str, u128)]) {
        assert!(self.deal.is_ended(), "it is at {}", self.deal.place());
        assert_eq!(self.deal.place(), end);
        let paid: BTreeMap<_, _> =
            paid.iter().map(|(party, amount)| ((*party).to_owned(), Amount(*amount))).collect();
        assert_eq!(*self.deal.paid(), paid);
    }
}

#[test]
fn sale() {
    let contract = || contract("sale", &[("metric", "speed_mph"), ("per_hour", "0.5")]);
    let price = contract().contract().price.per_hour;
    assert_eq!(price, Amount(COIN / 2));
    let mut story = Story::begin(contract(), COIN);
    story.does("owner", EventKind::Granted);
    assert_eq!(story.deal.due(&story.contract).unwrap().who, "buyer");
    story.wait(121).ends_as("settled", &[("owner", COIN)]);
    // The keys do not open the data, and the ledger says so.
    let mut story = Story::begin(contract(), COIN);
    story.does("owner", EventKind::Granted);
    let claim = story.event(EventKind::Objected, "buyer");
    assert!(story.is_refused(claim.clone()).contains("it waits for"));
    story
        .happens(Event { ruling: "faulty".into(), ..claim })
        .ends_as("refunded", &[("buyer", COIN)]);
    // Nobody answers.
    Story::begin(contract(), COIN).wait(121).ends_as("refunded", &[("buyer", COIN)]);
}

#[test]
fn subscription() {
    let given = [("metric", "speed_mph"), ("per_window", "0.1"), ("silence", "2d")];
    let mut story = Story::begin(contract("subscription", &given), COIN);
    story.does("owner", EventKind::Granted);
    // Windows of an hour, some of them in one message.
    for units in [1, 1, 3, 2] {
        story.wait(60);
        let event = Event { units, ..story.event(EventKind::Delivered, "owner") };
        story.happens(event);
    }
    assert_eq!(story.deal.paid()["owner"], Amount(COIN / 10 * 7));
    // Three windows are left in the escrow; of five the first three are paid, and it stops by itself.
    let event = Event { units: 5, ..story.event(EventKind::Delivered, "owner") };
    story.happens(event).ends_as("stopped", &[("owner", COIN)]);
    // The device falls silent.
    let mut story = Story::begin(contract("subscription", &given), COIN);
    story.does("owner", EventKind::Granted).does("owner", EventKind::Delivered).wait_days(3);
    story.ends_as("stopped", &[("owner", COIN / 10), ("buyer", COIN / 10 * 9)]);
}

#[test]
fn pay_per_answer() {
    let speeds = drive(DRIVE);
    let mean = speeds.iter().sum::<f64>() / speeds.len() as f64;
    let mean = ("mean_tenths", Value::Integer((mean * 10.0).round() as i64));
    let contract = contract("pay-per-answer", &[("metric", "speed_mph"), ("per_answer", "0.25")]);
    assert!(contract.contract().terms.answers_only);
    let mut story = Story::begin(contract, COIN);
    story.does("owner", EventKind::Granted);
    let whole = ("records", Value::Integer(speeds.len() as i64));
    story.shows(EventKind::Delivered, &[mean.clone(), whole]);
    // An answer about too few records is not paid.
    let few = BTreeMap::from([("records".to_owned(), Value::Integer(59))]);
    let event = Event { answers: few, ..story.event(EventKind::Delivered, "owner") };
    story.is_refused(event);
    story.does("buyer", EventKind::Cancelled);
    story.ends_as("over", &[("owner", COIN / 4), ("buyer", COIN / 4 * 3)]);
    assert_eq!(story.deal.answers()["mean_tenths"], mean.1);
}

#[test]
fn bounty() {
    let speeds = drive(DRIVE);
    let fastest = ("fastest_tenths", Value::Integer(max_tenths(&speeds)));
    let given = [("metric", "speed_mph"), ("records", "900"), ("fastest", "500"), ("bounty", "10")];
    let mut story = Story::begin(contract("bounty", &given), 10 * COIN);
    let records = |count: usize| ("records", Value::Integer(count as i64));
    // The first half of the drive is too little.
    let half: BTreeMap<_, _> = [records(speeds.len() / 2), fastest.clone()]
        .map(|(name, answer)| (name.to_owned(), answer))
        .into();
    let event = Event { answers: half, ..story.event(EventKind::Delivered, "owner") };
    story.is_refused(event);
    story.shows(EventKind::Delivered, &[records(speeds.len()), fastest.clone()]);
    // An objection needs a reason, and leads back; the second time it is accepted by silence.
    let event = story.event(EventKind::Objected, "buyer");
    story.is_refused(event.clone());
    story.happens(Event { ruling: "another car".into(), ..event });
    story.shows(EventKind::Delivered, &[records(speeds.len()), fastest]).wait_days(4);
    story.ends_as("awarded", &[("owner", 10 * COIN)]);
    Story::begin(contract("bounty", &given), COIN)
        .does("buyer", EventKind::Cancelled)
        .ends_as("withdrawn", &[("owner", COIN / 20), ("buyer", COIN / 20 * 19)]);
}

#[test]
fn arbitrated_deal() {
    let speeds = drive(OTHER_DRIVE);
    let contract =
        |least: &str| contract("arbitrated-deal", &[("metric", "speed_mph"), ("least", least)]);
    let disputed = |least: &str| {
        let mut story = Story::begin(contract(least), 5 * COIN);
        story.does("owner", EventKind::Granted);
        story.does("owner", EventKind::Delivered);
        story.does("buyer", EventKind::Objected);
        story
    };
    let records = [("records", Value::Integer(speeds.len() as i64))];
    // The record shows that enough was delivered, so nobody has to rule.
    let mut story = disputed("1500");
    story.shows(EventKind::Evidence, &records).ends_as("proved", &[("owner", 5 * COIN)]);
    // It shows too little: the arbiter divides, and has his fee.
    let mut story = disputed("2000");
    story.shows(EventKind::Evidence, &records);
    assert_eq!(story.deal.due(&story.contract).unwrap().who, "arbiter");
    let ruling = Event { ruling_bp: 4_000, ..story.event(EventKind::Ruled, "arbiter") };
    let fee = 5 * COIN / 10_000 * 300;
    let back = 5 * COIN / 10_000 * (4_000 * 9_700 / 10_000);
    let paid = [("arbiter", fee), ("buyer", back), ("owner", 5 * COIN - fee - back)];
    story.happens(ruling).ends_as("ruled", &paid);
    // The owner shows nothing and the arbiter says nothing.
    let half = 5 * COIN / 2;
    disputed("2000").wait_days(20).ends_as("divided_evenly", &[("buyer", half), ("owner", half)]);
}

#[test]
fn usage_insurance() {
    let insured = |name: &str| {
        let speeds = drive(name);
        let mut story =
            Story::begin(contract("usage-insurance", &[("fast_tenths", "600")]), 100 * COIN);
        story.does("owner", EventKind::Granted).wait_days(30);
        let fast = Value::Integer(per_mille_above(&speeds, 600));
        let harsh = Value::Integer(falls(&speeds));
        println!("{name}: {fast:?} per mille fast, {harsh:?} harsh");
        story.shows(
            EventKind::Evidence,
            &[("fast_per_mille", fast.clone()), ("harsh", harsh.clone())],
        );
        let (Value::Integer(fast), Value::Integer(harsh)) = (fast, harsh) else { panic!() };
        let points = match (fast, harsh) {
            (101.., _) | (_, 21..) => 0,
            (21.., _) | (_, 6..) => 1_250,
            _ => 2_500,
        };
        let bonus = 100 * COIN / 10_000 * points;
        let all = [("owner", bonus), ("buyer", 100 * COIN - bonus)];
        let paid: Vec<_> = all.into_iter().filter(|(_, amount)| *amount > 0).collect();
        story.ends_as("scored", &paid);
        points
    };
    // Two drivers of the survey, and they are not the same to an insurer.
    assert_eq!(insured(TOWN), 2_500);
    assert_eq!(insured(HIGHWAY), 0);
}

#[test]
fn accident_evidence() {
    let speeds = drive(DRIVE);
    // The last minute before the car was slowest after its fastest moment.
    let fastest = (0..speeds.len()).max_by(|a, b| speeds[*a].total_cmp(&speeds[*b])).unwrap();
    let around = &speeds[fastest.saturating_sub(30)..(fastest + 30).min(speeds.len())];
    let answers = |values: &[f64]| {
        [
            ("peak_tenths", Value::Integer(max_tenths(values))),
            ("braked", Value::Boolean(falls(values) > 0)),
        ]
    };
    let contract = contract("accident-evidence", &[("limit_tenths", "300")]);
    // Level 1: no rule grants, whoever asks.
    assert!(contract.contract().grants.is_empty());
    let mut story = Story::begin(contract, COIN);
    story.does("owner", EventKind::Granted).shows(EventKind::Evidence, &answers(around));
    assert_eq!(story.deal.place(), "reading");
    let ruling = Event { ruling: "at_fault".into(), ..story.event(EventKind::Ruled, "expert") };
    story.happens(ruling).ends_as("read", &[("expert", COIN / 2), ("owner", COIN / 2)]);
}

#[test]
fn maintenance_history() {
    let (speeds, more) = (drive(DRIVE), drive(OTHER_DRIVE));
    let records = speeds.len() + more.len();
    let miles: f64 = speeds.iter().chain(&more).sum::<f64>() / 3_600.0;
    let answers = [
        ("records", Value::Integer(records as i64)),
        ("miles_tenths", Value::Integer((miles * 10.0).floor() as i64)),
    ];
    let inspected = || {
        let mut story = Story::begin(contract("maintenance-history", &[]), 2 * COIN);
        story.does("owner", EventKind::Granted).shows(EventKind::Evidence, &answers);
        story
    };
    inspected()
        .does("buyer", EventKind::Accepted)
        .ends_as("changed_hands", &[("workshop", COIN / 5), ("owner", COIN / 5 * 9)]);
    inspected().wait_days(15).ends_as("left", &[("owner", COIN), ("buyer", COIN)]);
}

/// Ten-minute means of the air at a wind turbine, two days from a day on: what a logger in a truck without
/// cooling would record. Every second one is the outside temperature of a real day.
fn temperatures(from: usize) -> Option<Vec<f64>> {
    let all = shared("wind-lahauteborne/R80711_2014-2015.csv.gz", "Ot_avg")?;
    Some(all[from..from + 288].to_vec())
}

#[test]
fn cold_chain() {
    // A January and a July of 2014.
    let (Some(cold), Some(warm)) = (temperatures(10 * 144), temperatures(195 * 144)) else {
        return;
    };
    let delivered = |values: &[f64], limit: &str, allowed: &str| {
        let given = [("limit_tenths", limit), ("allowed_degree_minutes", allowed)];
        let limit: i64 = limit.parse().unwrap();
        let mut story = Story::begin(contract("cold-chain", &given), 25 * COIN);
        story.does("owner", EventKind::Accepted).wait_days(2);
        let (max, above) = (max_tenths(values), above(values, limit));
        println!("at most {max} tenths of a degree, {above} degree-minutes above {limit}");
        story.shows(
            EventKind::Delivered,
            &[
                ("max_tenths", Value::Integer(max)),
                ("degree_minutes_above", Value::Integer(above)),
                ("gaps", Value::Integer(0)),
            ],
        );
        (story, above)
    };
    let (story, _) = delivered(&cold, "150", "120");
    story.ends_as("stayed_cold", &[("owner", 25 * COIN)]);
    // Somewhat too warm: the carrier loses in proportion.
    let (story, above) = delivered(&warm, "150", "100000");
    assert!(above > 0);
    let points = u128::try_from(10_000 - above * 10_000 / 100_000).unwrap();
    let freight = 25 * COIN / 10_000 * points;
    story.ends_as("got_warm", &[("owner", freight), ("buyer", 25 * COIN - freight)]);
    // Much too warm: nothing.
    let (story, _) = delivered(&warm, "80", "120");
    story.ends_as("got_warm", &[("buyer", 25 * COIN)]);
}

#[test]
fn a_cold_chain_with_gaps_pays_nothing_and_a_lost_one_goes_back() {
    let mut story = Story::begin(contract("cold-chain", &[]), 25 * COIN);
    story.does("owner", EventKind::Accepted);
    let answers = [("max_tenths", 60), ("degree_minutes_above", 0), ("gaps", 2)];
    let answers = answers.map(|(name, answer)| (name, Value::Integer(answer)));
    story.shows(EventKind::Delivered, &answers).ends_as("got_warm", &[("buyer", 25 * COIN)]);
    let mut story = Story::begin(contract("cold-chain", &[]), COIN);
    story.does("owner", EventKind::Accepted).wait_days(11).ends_as("lost", &[("buyer", COIN)]);
}

#[test]
fn charging_session() {
    // A cell of an electric car, in a battery of five thousand of them, in units of ten watt-hours.
    let Some(energy) = first_charge() else { return };
    let meter: Vec<i64> = energy.iter().map(|wh| (wh * 5_000.0 / 10.0).floor() as i64).collect();
    println!("{} units of ten watt-hours", meter[meter.len() - 1]);
    let mut story = Story::begin(contract("charging-session", &[("per_unit", "0.004")]), 30 * COIN);
    story.does("owner", EventKind::Granted);
    let (first, mut reported) = (meter[0], 0);
    for (at, units) in meter.iter().enumerate().skip(1).step_by(15) {
        let metered = *meter[..=at].iter().max().unwrap() - first;
        let new = metered - reported;
        if new < 1 {
            continue;
        }
        story.wait(5);
        let answers = BTreeMap::from([("metered_units".to_owned(), Value::Integer(metered))]);
        let event = story.event(EventKind::Delivered, "owner");
        // More than the meter counted is not paid, and nothing is paid twice.
        let lie = Event { units: new as u64 + 1, answers: answers.clone(), ..event.clone() };
        assert!(story.is_refused(lie).contains("does not hold"));
        story.happens(Event { units: new as u64, answers, ..event });
        reported = metered;
        assert!(*units >= first);
    }
    assert!(reported > 100, "{reported} units");
    story.does("buyer", EventKind::Settled);
    let cost = COIN / 1_000 * 4 * reported as u128;
    story.ends_as("over", &[("owner", cost), ("buyer", 30 * COIN - cost)]);
}

#[test]
fn service_directory() {
    let given = [("per_day", "0.1"), ("uptime_bp", "9900")];
    let mut story = Story::begin(contract("service-directory", &given), COIN);
    story.does("owner", EventKind::Granted);
    let month = |story: &mut Story, answered: i64, days: u64| {
        story.wait_days(3);
        let answers = BTreeMap::from([("answered_bp".to_owned(), Value::Integer(answered))]);
        let event = story.event(EventKind::Delivered, "owner");
        story.happens(Event { units: days, answers, ..event });
    };
    month(&mut story, 9_990, 3);
    month(&mut story, 9_000, 3);
    assert_eq!(story.deal.place(), "failing");
    assert_eq!(story.deal.due(&story.contract).unwrap().who, "buyer");
    month(&mut story, 9_950, 3);
    month(&mut story, 10_000, 3);
    // Six of the ten days that were paid for are used; the days of failure were free.
    story.does("buyer", EventKind::Cancelled);
    story.ends_as("unlisted", &[("owner", COIN / 10 * 6), ("buyer", COIN / 10 * 4)]);
}
