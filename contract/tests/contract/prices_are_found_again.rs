//! Reference prices: the same for everybody, learnt only from the past, silent about what is not known, and
//! not moved by a few who trade with themselves.

use chronolith_contract::Amount;
use chronolith_contract::price::{
    Asked, History, HistoryError, LEAST, Method, Offered, Reference, Sold, reference,
};
use proptest::prelude::*;

const DAY: u64 = 86_400_000;
/// A thousandth of a coin.
const MILLI: u128 = 1_000_000_000_000_000;

/// SplitMix64: the same market on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What an honest hour costs: old data is cheap, and dense data dear, give or take a tenth.
fn honest(age_hours: u64, volume: u64, noise: u64) -> u128 {
    let price = 100 * MILLI * u128::from(volume) / 3_600 / (1 + u128::from(age_hours) / 24);
    price * u128::from(90 + noise) / 100
}

fn sold(at_ms: u64, owner: &str, buyer: &str, per_hour: u128, hours: u64) -> Sold {
    let paid = Amount(per_hour * u128::from(hours));
    let (owner, buyer) = (owner.to_owned(), buyer.to_owned());
    Sold { at_ms, owner, buyer, paid, hours, age_hours: 0, volume: 3_600 }
}

fn market(count: u64, seed: u64) -> Vec<Sold> {
    let mut random = Random(seed);
    (0..count)
        .map(|number| {
            let (age, rate) = (random.below(200), 360 * (1 + random.below(20)));
            let (owner, buyer) = (random.below(9), random.below(40));
            let hours = 1 + random.below(48);
            let price = honest(age, rate, random.below(21));
            let at_ms = 20_000 * DAY + number * DAY / 3;
            let sold =
                sold(at_ms, &format!("owner{owner}"), &format!("buyer{buyer}"), price, hours);
            Sold { age_hours: age, volume: rate, ..sold }
        })
        .collect()
}

fn offers() -> Vec<Offered> {
    let offer = |number: u64| Offered {
        from_ms: 19_000 * DAY + number * 20 * DAY,
        until_ms: number.is_multiple_of(3).then_some(20_010 * DAY + number * DAY),
        owner: format!("owner{}", number % 9),
    };
    (0..30).map(offer).collect()
}

fn history(sales: Vec<Sold>) -> History {
    let circulation =
        vec![(0, Amount(10_u128.pow(24))), (20_030 * DAY, Amount(2 * 10_u128.pow(24)))];
    History::new("speed/3", sales, offers(), circulation).unwrap()
}

fn asked() -> Asked {
    Asked { at_ms: 21_000 * DAY, age_hours: 48, volume: 3_600 }
}

fn price(sales: Vec<Sold>) -> Reference {
    reference(&history(sales), &asked()).unwrap()
}

#[test]
fn the_price_is_the_one_of_yesterday_to_the_bit() {
    let found = price(market(120, 1));
    // A change of these is a change of the method, and gets a new version.
    let golden = (
        found.per_hour.0,
        found.error_bp,
        found.median_error_bp,
        found.trimmed,
        found.model_cid.to_string(),
    );
    let cid = "bafyreicffcrkjrnt3la26agnrx76yl4cdgiivha7mw6kdv3cqeuxzbadqu".to_owned();
    assert_eq!(golden, (32_526_791_268_414_282, 1_859, 5_473, 26, cid));
}

#[test]
fn what_decides_a_price_is_learnt() {
    let found = price(market(150, 2));
    let honest = honest(48, 3_600, 10);
    println!(
        "{} for {honest}; off by {} of 10000, the median by {}",
        found.per_hour, found.error_bp, found.median_error_bp
    );
    assert_eq!(found.method, Method::Regression);
    assert!(found.error_bp < found.median_error_bp / 2);
    let off = found.per_hour.0.abs_diff(honest);
    assert!(off < honest / 2, "{} for {honest}", found.per_hour);
    let younger = Asked { age_hours: 1, ..asked() };
    assert!(reference(&history(market(150, 2)), &younger).unwrap().per_hour > found.per_hour);
}

#[test]
fn where_nothing_explains_prices_the_median_is_named() {
    let mut random = Random(5);
    let sales = market(100, 3).into_iter().map(|sold| {
        let paid = Amount(u128::from(sold.hours) * MILLI * u128::from(50 + random.below(100)));
        Sold { paid, ..sold }
    });
    let found = price(sales.collect());
    assert!(found.error_bp <= 6_000, "{}", found.error_bp);
    let middle = 100 * MILLI;
    assert!(found.per_hour.0.abs_diff(middle) < middle / 2, "{}", found.per_hour);
}

#[test]
fn too_few_sales_are_no_price() {
    let few = |sales: Vec<Sold>| reference(&history(sales), &asked()).unwrap_err();
    assert_eq!(few(Vec::new()).0.observations, 0);
    let error = few(market(8, 1));
    assert!(error.to_string().starts_with("not enough sales: "), "{error}");
    // A thousand sales between two accounts are one observation.
    let pair = (0..1_000).map(|n| sold(20_000 * DAY + n, "owner1", "buyer1", MILLI, 1)).collect();
    assert_eq!(few(pair).0.observations, 1);
    // Nobody trades with himself.
    let oneself = |n: u64| sold(20_000 * DAY + n, &format!("a{n}"), &format!("a{n}"), MILLI, 1);
    assert_eq!(few((0..100).map(oneself).collect()).0.observations, 0);
    // Two owners are no market, however many buy.
    let two =
        |n: u64| sold(20_000 * DAY + n, &format!("owner{}", n % 2), &format!("buyer{n}"), MILLI, 1);
    assert!(few((0..100).map(two).collect()).0.owners < LEAST.owners);
}

#[test]
fn a_few_wash_trades_do_not_move_it() {
    let clean = price(market(150, 4));
    for factor in [1_000_000_u128, 0] {
        for count in [10, 300] {
            // One who sells to himself under a few names, at any price, as often as he likes.
            let wash = |n: u64| {
                let price = clean.per_hour.0.saturating_mul(factor);
                let buyer = format!("friend{}", n % 6);
                let at_ms = 20_060 * DAY + n * 1_000;
                let sold = sold(at_ms, "washer", &buyer, price, 1);
                Sold { age_hours: 48, ..sold }
            };
            let all = market(150, 4).into_iter().chain((0..count).map(wash)).collect();
            let washed = price(all);
            let off = washed.per_hour.0.abs_diff(clean.per_hour.0) * 100 / clean.per_hour.0;
            println!("{count} wash trades at {factor} times the price move it by {off} of 100");
            assert!(off <= 25, "{off} of 100");
            assert!(washed.trimmed > 0);
        }
    }
}

#[test]
fn one_owner_with_a_crowd_of_buyers_does_not_move_it() {
    let clean = price(market(150, 4));
    for factor in [1_000_000_u128, 0] {
        let wash = |n: u64| {
            let price = clean.per_hour.0.saturating_mul(factor);
            let sold = sold(20_060 * DAY + n * 1_000, "washer", &format!("friend{n}"), price, 1);
            Sold { age_hours: 48, ..sold }
        };
        // More pairs than there are honest ones.
        let washed = price(market(150, 4).into_iter().chain((0..200).map(wash)).collect());
        let off = washed.per_hour.0.abs_diff(clean.per_hour.0) * 100 / clean.per_hour.0;
        println!("200 buyers of one owner at {factor} times the price move it by {off} of 100");
        assert!(off <= 50, "{off} of 100");
        assert!(washed.trimmed >= washed.enough.observations / 4);
    }
}

#[test]
fn many_accounts_that_trade_with_each_other_do_move_it() {
    // What is not resisted, so that nobody believes it is.
    let clean = price(market(60, 4));
    let wash = |n: u64| {
        let price = clean.per_hour.0 * 50;
        let (owner, buyer) = (format!("sham{}", n % 30), format!("sham{}", 30 + n / 30));
        let sold = sold(20_060 * DAY + n * 1_000, &owner, &buyer, price, 1);
        Sold { age_hours: 48, ..sold }
    };
    let washed = price(market(60, 4).into_iter().chain((0..600).map(wash)).collect());
    assert!(washed.per_hour.0 > clean.per_hour.0 * 5);
}

#[test]
fn what_comes_later_does_not_count() {
    let early = Asked { at_ms: 20_030 * DAY, ..asked() };
    let sales = market(150, 6);
    let past: Vec<Sold> = sales.iter().filter(|one| one.at_ms < early.at_ms).cloned().collect();
    let (all, past) = (history(sales), history(past));
    let (all, past) = (reference(&all, &early).unwrap(), reference(&past, &early).unwrap());
    assert_eq!((all.per_hour, all.error_bp), (past.per_hour, past.error_bp));
}

#[test]
fn the_model_names_its_history_and_its_features() {
    let history = history(market(120, 1));
    let found = reference(&history, &asked()).unwrap();
    assert_eq!(found.model.history, history.cid());
    let names: Vec<_> = found.model.features.keys().map(String::as_str).collect();
    assert_eq!(names, ["circulation", "demand", "freshness", "scarcity", "supply", "volume"]);
    assert!(found.model.bounds.0 <= found.per_hour && found.per_hour <= found.model.bounds.1);
}

#[test]
fn a_history_is_bounded() {
    let many = market(2_000, 1);
    assert!(matches!(
        History::new("m", many, Vec::new(), Vec::new()),
        Err(HistoryError::Many { what: "sales", found: 2_000, .. })
    ));
    let none = sold(1, "a", "b", 1, 0);
    let error = History::new("m", vec![none], Vec::new(), Vec::new()).unwrap_err();
    assert!(error.to_string().contains("an hour at least"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_a_history_does_not_count(sales in Just(market(60, 7)).prop_shuffle()) {
        let shuffled = history(sales);
        let history = history(market(60, 7));
        prop_assert_eq!(shuffled.cid(), history.cid());
        prop_assert_eq!(reference(&shuffled, &asked()), reference(&history, &asked()));
        prop_assert_eq!(History::from_bytes(&history.to_bytes()).unwrap(), history);
    }

    #[test]
    fn no_history_panics(
        sales in prop::collection::vec((any::<u64>(), 0..6_u8, 0..9_u8, any::<u128>(), 1_u64.., any::<u64>(), any::<u64>()), 0..60),
        at_ms: u64,
        age_hours: u64,
        volume: u64,
    ) {
        let sales = sales.into_iter().map(|(at_ms, owner, buyer, paid, hours, age_hours, volume)| {
            let (owner, buyer) = (format!("o{owner}"), format!("b{buyer}"));
            Sold { at_ms, owner, buyer, paid: Amount(paid), hours, age_hours, volume }
        });
        let history = History::new("m", sales.collect(), offers(), Vec::new()).unwrap();
        if let Ok(found) = reference(&history, &Asked { at_ms, age_hours, volume }) {
            prop_assert!(found.model.bounds.0 <= found.per_hour && found.per_hour <= found.model.bounds.1);
        }
    }
}
