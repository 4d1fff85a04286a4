//! Which metrics a selector chooses is what a look at every one of them says, before and after the
//! database is opened again.

use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::{Db, Kind, Match, Metric, Selector};
use regex::Regex;

use crate::crash_script::Random;
use crate::oracle::options;

const TEXTS: [&str; 6] = ["", "a", "ab", "b", "ä", "10"];
const PATTERNS: [&str; 6] = ["", "a.*", ".+", "a|b", "[^0-9]*", "ä"];
const LABELS: [&str; 5] = ["device", "name", "place", "class", "absent"];

fn text(random: &mut Random) -> String {
    TEXTS[random.below(TEXTS.len() as u64) as usize].to_owned()
}

fn metric(random: &mut Random) -> Metric {
    // Devices and names are not empty.
    let mut metric = Metric::new(format!("d{}", random.below(4)), format!("n{}", text(random)));
    for key in ["place", "class"] {
        let value = text(random);
        if !value.is_empty() {
            metric = metric.tag(key, value);
        }
    }
    metric
}

fn condition(random: &mut Random, label: &str) -> Match {
    let first = match label {
        "device" => "d",
        "name" => "n",
        _ => "",
    };
    let value = |random: &mut Random| format!("{first}{}", text(random));
    let pattern = PATTERNS[random.below(PATTERNS.len() as u64) as usize];
    match random.below(6) {
        0 => Match::Equal(value(random)),
        1 => Match::NotEqual(value(random)),
        2 => Match::OneOf((0..random.below(3)).map(|_| value(random)).collect()),
        3 => Match::Prefix(value(random)),
        4 => Match::Pattern(format!("{first}(?:{pattern})")),
        _ => Match::NotPattern(format!("{first}(?:{pattern})")),
    }
}

fn holds(condition: &Match, value: &str) -> bool {
    let whole = |pattern: &str| Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(value);
    match condition {
        Match::Equal(text) => value == text,
        Match::NotEqual(text) => value != text,
        Match::OneOf(texts) => texts.iter().any(|text| value == text),
        Match::Prefix(text) => value.starts_with(text),
        Match::Pattern(pattern) => whole(pattern),
        Match::NotPattern(pattern) => !whole(pattern),
        other => panic!("a condition that this test does not know: {other:?}"),
    }
}

fn value_of<'a>(metric: &'a Metric, label: &str) -> &'a str {
    match label {
        "device" => metric.device(),
        "name" => metric.name(),
        _ => metric.tags().iter().find(|(key, _)| key.as_str() == label).map_or("", |(_, v)| v),
    }
}

#[test]
fn selectors_equal_a_look_at_every_metric() {
    let mut random = Random(7);
    let disk = SimDisk::new();
    let mut db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    let mut metrics: Vec<Metric> = Vec::new();
    let mut chosen = 0;
    for round in 0..300 {
        let new = metric(&mut random);
        db.metric(new.clone(), Kind::F64).unwrap();
        if !metrics.contains(&new) {
            metrics.push(new);
        }
        if round % 100 == 50 {
            db.close().unwrap();
            db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
        }
        let mut selector = Selector::all();
        let mut conditions = Vec::new();
        for _ in 0..random.below(4) {
            let label = LABELS[random.below(LABELS.len() as u64) as usize];
            let condition = condition(&mut random, label);
            selector = selector.label(label, condition.clone());
            conditions.push((label, condition));
        }
        let fits = |metric: &&Metric| {
            conditions.iter().all(|(label, condition)| holds(condition, value_of(metric, label)))
        };
        let expected: Vec<&Metric> = metrics.iter().filter(fits).collect();
        let found = db.select(&selector).unwrap();
        let numbers: Vec<u32> = found.iter().map(|id| id.index()).collect();
        let places: Vec<u32> = expected
            .iter()
            .map(|metric| metrics.iter().position(|m| m == *metric).unwrap() as u32)
            .collect();
        assert_eq!(numbers, places, "{conditions:?}");
        chosen += found.len();
    }
    assert!(chosen > 1_000, "the conditions choose something");
}
