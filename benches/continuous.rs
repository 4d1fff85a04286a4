//! What continuous queries cost beside plain ingest: CPU of the whole process, with the thread that
//! moves them on.
//!
//! `CHRONOLITH_ROUNDS=5` takes the least of more rounds than the usual 3.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

use std::time::Duration;

use chronolith::fleet::{Fleet, FleetOptions, METRICS, Row};
use chronolith_engine::{Db, Definition, Durability, Kind, Maintenance, Metric, MetricId, Options};
use chronolith_query::continuous::Continuous;
use cpu_time::ProcessTime;

const FLEET: FleetOptions = FleetOptions { vehicles: 100, seconds: 3_600, seed: 1 };
/// Simple queries: one metric each, and what most dashboards show of it.
const METRICS_ASKED: usize = 10;

struct Round {
    cpu: Duration,
    changes: u64,
    records: u64,
}

/// Writes the fleet in batches of 1,000 records while so many queries follow it.
fn round(rows: &[Row], names: &[String], count: usize, options: &str) -> Round {
    let directory = tempfile::tempdir().unwrap();
    let options_of_db = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(directory.path(), options_of_db).unwrap();
    let fleet = Fleet::new(FLEET);
    let vehicles = (0..FLEET.vehicles).map(|vehicle| fleet.device_name(vehicle));
    let metrics: Vec<MetricId> = vehicles
        .flat_map(|device| {
            names.iter().map(move |name| Metric::new(device.as_str(), name.as_str()))
        })
        .map(|metric| db.define(Definition::new(metric, Kind::F64)).unwrap())
        .collect();
    let queries = (count > 0).then(|| Continuous::open(db.clone()).unwrap());
    for (number, name) in names.iter().enumerate().take(count) {
        queries
            .as_ref()
            .unwrap()
            .execute(&format!(
                "CREATE CONTINUOUS QUERY q{number} AS SELECT device, time_bucket('5m', time), \
                 avg(value), max(value) FROM \"{name}\" GROUP BY 1, 2 WITH ({options})"
            ))
            .unwrap();
    }
    let started = ProcessTime::now();
    let worker = queries.as_ref().map(|queries| queries.start().unwrap());
    let mut batch = db.batch();
    for rows in rows.chunks(1_000 / METRICS) {
        for row in rows {
            let ids = &metrics[row.vehicle as usize * METRICS..][..METRICS];
            for (id, (time_ns, value)) in ids.iter().zip(row.times_ns.iter().zip(&row.values)) {
                batch.push(*id, *time_ns, *value).unwrap();
            }
        }
        db.write(&batch, Durability::Buffered).unwrap();
        batch.clear();
    }
    drop(worker);
    if let Some(queries) = &queries {
        queries.settle().unwrap();
    }
    db.sync().unwrap();
    let cpu = started.elapsed();
    let status = queries.as_ref().map(Continuous::status).unwrap_or_default();
    assert!(status.iter().all(|status| status.lag == 0 && status.late_records == 0));
    let sum = |of: fn(&chronolith_query::continuous::Status) -> u64| status.iter().map(of).sum();
    Round { cpu, changes: sum(|status| status.cursor), records: sum(|status| status.records) }
}

fn main() {
    let rounds = std::env::var("CHRONOLITH_ROUNDS").ok().and_then(|text| text.parse().ok());
    let fleet = Fleet::new(FLEET);
    let rows: Vec<Row> = fleet.rows().collect();
    let names: Vec<String> = fleet.metric_names().iter().map(|name| (*name).to_owned()).collect();
    let records = (rows.len() * METRICS) as f64;
    let mut plain = Duration::MAX;
    let lateness = "lateness = '10s', emit =";
    let cases = [
        (0, ""),
        (1, "'final'"),
        (1, "'updates'"),
        (METRICS_ASKED, "'final'"),
        (METRICS_ASKED, "'updates'"),
    ];
    for (count, emit) in cases {
        let options = format!("{lateness} {emit}");
        let best = (0..rounds.unwrap_or(3))
            .map(|_| round(&rows, &names, count, &options))
            .min_by_key(|round| round.cpu)
            .unwrap();
        if count == 0 {
            plain = best.cpu;
        }
        let added = best.cpu.as_secs_f64() - plain.as_secs_f64();
        println!(
            "{count} queries {emit}: {:.3} s of CPU, {:.1} % more than ingest alone, {:.0} ns for each \
             record written, {} records taken, {} changes",
            best.cpu.as_secs_f64(),
            100.0 * added / plain.as_secs_f64(),
            1e9 * added / records,
            best.records,
            best.changes,
        );
    }
}
