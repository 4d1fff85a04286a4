//! The queries of a contract, asked of the data that was delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chronolith_contract::data::Extent;
use chronolith_contract::rule::Value as Answer;
use chronolith_contract::{AnswerKind, Compiled, Query};
use chronolith_engine::{Db, MetricId, Selector};
use serde_json::Value;

use super::AgreementError;
use crate::market::asking::{Table, ask};
use crate::market::book::is_of;
use crate::market::question::QuestionError;

/// Answers to a contract's queries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// By the queries' names. One that has none, as the largest of no records or of a metric that was not delivered, is
    /// left out: a condition that needs it does not hold.
    pub given: BTreeMap<String, Answer>,
    /// Why queries have none that fail on this data, and always will.
    pub failed: BTreeMap<String, String>,
}

/// Asks a contract's queries of a database, all of them within a time.
///
/// # Errors
/// Where the database cannot be read, or there was not enough time or memory.
pub fn answers(
    db: &Db,
    compiled: &Compiled,
    extent: &Extent,
    within: Duration,
) -> Result<Answers, AgreementError> {
    let contract = compiled.contract();
    let is_of_contract = |id: MetricId| {
        let known = db.definition(id);
        known.is_some_and(|known| {
            contract.metrics.iter().any(|named| {
                let devices = extent.devices_of(named);
                let device = known.metric.device();
                let is_of_deal = devices.is_empty() || devices.iter().any(|one| one == device);
                is_of_deal && is_of(named, &known.metric)
            })
        })
    };
    let all = db.select(&Selector::all()).map_err(AgreementError::Read)?;
    let names = all.iter().filter_map(|id| Some(db.definition(*id)?.metric.name().to_owned()));
    let delivered: BTreeSet<String> = names.collect();
    let (begin, mut found) = (Instant::now(), Answers::default());
    for query in &contract.queries {
        if !contract.read_by(&query.sql).iter().all(|name| delivered.contains(*name)) {
            continue;
        }
        let sql = contract.sql_over(&query.sql, extent);
        let left = within.saturating_sub(begin.elapsed());
        let asked = ask(db, is_of_contract, &sql, left).and_then(|table| answer(table, query));
        match asked {
            Ok(Some(answer)) => drop(found.given.insert(query.name.clone(), answer)),
            Ok(None) => {}
            Err(reason) if reason.comes_again() => {
                found.failed.insert(query.name.clone(), reason.to_string());
            }
            Err(reason) => {
                return Err(AgreementError::Query { name: query.name.clone(), reason });
            }
        }
    }
    Ok(found)
}

/// The one cell of an answer, as the contract says; none where there is none.
fn answer((columns, rows): Table, query: &Query) -> Result<Option<Answer>, QuestionError> {
    let wrong = |found: String| QuestionError::Answer { found, expected: expected(query.answer) };
    let cell = match (columns.len(), rows.as_slice()) {
        (1, [row]) => row.first().cloned().unwrap_or_default(),
        (columns, rows) => return Err(wrong(format!("{} rows of {columns} columns", rows.len()))),
    };
    if cell.is_null() {
        return Ok(None);
    }
    read(&cell, query.answer).map(Some).ok_or_else(|| wrong(cell.to_string()))
}

fn read(cell: &Value, kind: AnswerKind) -> Option<Answer> {
    match kind {
        AnswerKind::Integer => cell.as_i64().map(Answer::Integer),
        AnswerKind::Boolean => cell.as_bool().map(Answer::Boolean),
        AnswerKind::Text => cell.as_str().map(Answer::from),
    }
}

const fn expected(kind: AnswerKind) -> &'static str {
    match kind {
        AnswerKind::Integer => "a whole number",
        AnswerKind::Boolean => "yes or no",
        AnswerKind::Text => "a text",
    }
}

#[cfg(all(test, feature = "sql"))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    #![expect(clippy::cast_possible_truncation, reason = "tenths of miles an hour are small")]

    use std::io::Read as _;

    use chronolith_contract::template::builtin;
    use chronolith_engine::{Definition, Durability, Kind, Metric, Options};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Seconds of a drive in the Chicago region, and its speed in miles an hour.
    fn drive() -> Vec<f64> {
        let place =
            concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/drives/4111928_1_2007-05-22.csv.gz");
        let mut text = String::new();
        let file = std::fs::File::open(place).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let mut lines = text.lines();
        let column = lines.next().unwrap().split(',').position(|name| name == "speed_mph").unwrap();
        lines.map(|line| line.split(',').nth(column).unwrap().parse().unwrap()).collect()
    }

    /// The queries of templates were read by a parser, and asked of nothing.
    #[test]
    fn the_queries_of_templates_are_answered_from_real_data() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("db"), Options::default()).unwrap();
        let speeds = drive();
        let mut batch = db.batch();
        for (device, factor) in [("car", 1.0), ("other", 3.0)] {
            let metric = Metric::new(device, "speed_mph");
            let id = db.define(Definition::new(metric, Kind::F64)).unwrap();
            for (second, speed) in (0..).zip(&speeds) {
                batch.push(id, second * 1_000_000_000, speed * factor).unwrap();
            }
        }
        db.write(&batch, Durability::Buffered).unwrap();
        let records = speeds.len() as i64;
        let peak_tenths = (speeds.iter().copied().fold(0.0, f64::max) * 10.0).round() as i64;
        let harsh = speeds.windows(2).filter(|two| two[1] - two[0] <= -7.0).count() as i64;
        let fast = speeds.iter().filter(|speed| **speed * 10.0 >= 650.0).count() as i64;
        let mean = speeds.iter().sum::<f64>() / speeds.len() as f64;
        let miles_tenths = (speeds.iter().sum::<f64>() / 360.0).floor() as i64;
        let one = Extent { devices: vec!["car".to_owned()], ..Extent::default() };
        let mut asked = 0;
        for (name, parameter, extent, expected) in [
            ("accident-evidence", "speed", &one, vec![("peak_tenths", peak_tenths)]),
            ("arbitrated-deal", "metric", &one, vec![("records", records)]),
            (
                "arbitrated-deal",
                "metric",
                &Extent { until: Some("1970-01-01T00:05:00Z".to_owned()), ..one.clone() },
                vec![("records", 300)],
            ),
            ("arbitrated-deal", "metric", &Extent::default(), vec![("records", 2 * records)]),
            ("bounty", "metric", &one, vec![("records", records)]),
            (
                "maintenance-history",
                "",
                &one,
                vec![("records", records), ("miles_tenths", miles_tenths)],
            ),
            (
                "pay-per-answer",
                "metric",
                &one,
                vec![("mean_tenths", (mean * 10.0).round() as i64), ("records", records)],
            ),
            (
                "usage-insurance",
                "metric",
                &one,
                vec![("fast_per_mille", fast * 1_000 / records), ("harsh", harsh)],
            ),
        ] {
            let template = builtin(name).unwrap().unwrap();
            let mut given: BTreeMap<String, String> = BTreeMap::new();
            for one in template.parameters() {
                given.insert(one.name.clone(), one.example.clone());
            }
            if !parameter.is_empty() {
                given.insert(parameter.to_owned(), "speed_mph".to_owned());
            }
            if name == "usage-insurance" {
                given.insert("fast_tenths".to_owned(), "650".to_owned());
            }
            let compiled = template.instantiate(&given).unwrap();
            let answers = answers(&db, &compiled, extent, LONG).unwrap().given;
            for (query, value) in expected {
                assert_eq!(answers.get(query), Some(&Answer::Integer(value)), "{name} {query}");
                asked += 1;
            }
            if name == "accident-evidence" {
                assert_eq!(answers.get("braked"), Some(&Answer::Boolean(harsh > 0)));
            }
        }
        assert_eq!(asked, 11);
        // Of a metric that was not delivered nothing is known.
        let template = builtin("cold-chain").unwrap().unwrap();
        let compiled = template.instantiate(&BTreeMap::new()).unwrap();
        assert_eq!(answers(&db, &compiled, &one, LONG).unwrap(), Answers::default());
        // Of no records there is no largest, and no answer; how many there are is one.
        let template = builtin("bounty").unwrap().unwrap();
        let given = BTreeMap::from([("metric".to_owned(), "speed_mph".to_owned())]);
        let compiled = template.instantiate(&given).unwrap();
        let nothing = Extent { devices: vec!["nobody".to_owned()], ..Extent::default() };
        let found = answers(&db, &compiled, &nothing, LONG).unwrap();
        assert_eq!(found.given, BTreeMap::from([("records".to_owned(), Answer::Integer(0))]));
        // One record that no whole number is of leaves its query without an answer, and the others with theirs.
        let metric = db.find_metric(&Metric::new("car", "speed_mph")).unwrap();
        let mut batch = db.batch();
        batch.push(metric, -1_000_000_000, f64::INFINITY).unwrap();
        db.write(&batch, Durability::Buffered).unwrap();
        let found = answers(&db, &compiled, &one, LONG).unwrap();
        assert_eq!(found.given["records"], Answer::Integer(records + 1));
        assert!(found.failed.contains_key("fastest_tenths"), "{found:?}");
        // What had no time is no answer.
        let late = answers(&db, &compiled, &one, Duration::ZERO).unwrap_err().to_string();
        assert!(late.contains("took longer than"), "{late}");
    }
}
