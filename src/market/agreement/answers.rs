//! The queries of a contract, asked of the data that was delivered.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_contract::data::Extent;
use chronolith_contract::rule::Value as Answer;
use chronolith_contract::{AnswerKind, Compiled};
use chronolith_engine::{Db, MetricId, Selector};
use serde_json::Value;

use super::AgreementError;
use crate::market::asking::ask;

/// The answers to a contract's queries, by their names. A query that has none, as the largest of no records or of a
/// metric that was not delivered, is left out, and a condition that needs it does not hold.
///
/// # Errors
/// Where a query fails, or gives something else than the contract says.
pub fn answers(
    db: &Db,
    compiled: &Compiled,
    extent: &Extent,
) -> Result<BTreeMap<String, Answer>, AgreementError> {
    let contract = compiled.contract();
    let is_of_contract = |id: MetricId| {
        let known = db.definition(id);
        known.is_some_and(|known| {
            contract.metrics.iter().any(|metric| metric.name == known.metric.name())
        })
    };
    let all = db.select(&Selector::all()).map_err(AgreementError::Read)?;
    let names = all.iter().filter_map(|id| Some(db.definition(*id)?.metric.name().to_owned()));
    let delivered: BTreeSet<String> = names.collect();
    let mut found = BTreeMap::new();
    for query in &contract.queries {
        if !contract.read_by(&query.sql).iter().all(|name| delivered.contains(*name)) {
            continue;
        }
        let sql = contract.sql_over(&query.sql, extent);
        let asked = ask(db, is_of_contract, &sql);
        let (columns, rows) =
            asked.map_err(|reason| AgreementError::Query { name: query.name.clone(), reason })?;
        let cell = match (columns.len(), rows.as_slice()) {
            (1, [row]) => row.first().cloned().unwrap_or_default(),
            (columns, rows) => {
                let found = format!("{} rows of {columns} columns", rows.len());
                return Err(wrong(&query.name, query.answer, found));
            }
        };
        if cell.is_null() {
            continue;
        }
        let answer = read(&cell, query.answer);
        let answer = answer.ok_or_else(|| wrong(&query.name, query.answer, cell.to_string()))?;
        found.insert(query.name.clone(), answer);
    }
    Ok(found)
}

fn read(cell: &Value, kind: AnswerKind) -> Option<Answer> {
    match kind {
        AnswerKind::Integer => cell.as_i64().map(Answer::Integer),
        AnswerKind::Boolean => cell.as_bool().map(Answer::Boolean),
        AnswerKind::Text => cell.as_str().map(Answer::from),
    }
}

fn wrong(name: &str, kind: AnswerKind, found: String) -> AgreementError {
    let expected = match kind {
        AnswerKind::Integer => "a whole number",
        AnswerKind::Boolean => "yes or no",
        AnswerKind::Text => "a text",
    };
    AgreementError::Answer { name: name.to_owned(), found, expected }
}

#[cfg(all(test, feature = "sql"))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    #![expect(clippy::cast_possible_truncation, reason = "tenths of miles an hour are small")]

    use std::io::Read as _;

    use chronolith_contract::template::builtin;
    use chronolith_engine::{Definition, Durability, Kind, Metric, Options};

    use super::*;

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
            let answers = answers(&db, &compiled, extent).unwrap();
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
        assert_eq!(answers(&db, &compiled, &one).unwrap(), BTreeMap::new());
        // Of no records there is no largest, and no answer; how many there are is one.
        let template = builtin("bounty").unwrap().unwrap();
        let given = BTreeMap::from([("metric".to_owned(), "speed_mph".to_owned())]);
        let compiled = template.instantiate(&given).unwrap();
        let nothing = Extent { devices: vec!["nobody".to_owned()], ..Extent::default() };
        let answers = answers(&db, &compiled, &nothing).unwrap();
        assert_eq!(answers, BTreeMap::from([("records".to_owned(), Answer::Integer(0))]));
    }
}
