//! PromQL over the fleet: each query parsed, read and evaluated anew.
//!
//! With `CHRONOLITH_FLEET` set to a database that `chronolith bench fleet --db` made, its records
//! are read; else those of the small fleet of all benches. `benches/compare/promql.py` asks peers
//! the same.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use chronolith_engine::{Db, Options, Selector};
use chronolith_query::promql::{Data, DatabaseSource, Limits, Query};
use common::cpu::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};

const SECOND: i64 = 1_000_000_000;

/// Queries and their steps in seconds; 0 for one time, the last.
const QUERIES: [(&str, i64); 8] = [
    ("rate(odometer[5m])", 60),
    ("sum(speed)", 60),
    ("avg_over_time(speed[5m])", 300),
    ("avg_over_time(speed[5m])", 60),
    ("quantile_over_time(0.95, speed[5m])", 60),
    ("quantile(0.95, speed)", 60),
    ("topk(5, speed)", 60),
    ("max_over_time(speed[3h])", 0),
];

fn fleet(criterion: &mut Criterion<CpuTime>) {
    let (db, _database) = match std::env::var_os("CHRONOLITH_FLEET") {
        Some(path) => (Db::open(path, Options::read_only()).unwrap(), None),
        None => {
            let database = common::sealed(common::options(), &common::rows());
            (database.db.clone(), Some(database))
        }
    };
    let speed = db.select(&Selector::all().name("speed")).unwrap();
    let reach = speed.iter().map(|id| db.metric_statistics(*id).unwrap());
    let last_ns = reach.filter_map(|statistics| statistics.last_ns).max().unwrap();
    let end_ns = last_ns / SECOND * SECOND;
    let start_ns = end_ns - (10_800 - 300) * SECOND;
    let mut group = criterion.benchmark_group("promql");
    group.sample_size(20);
    for (text, step_s) in QUERIES {
        let name = if step_s == 0 { text.to_owned() } else { format!("{text} step {step_s}s") };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let source = DatabaseSource::new(&db);
                let (query, limits) = (Query::parse(text).unwrap(), Limits::default());
                let answer = match step_s {
                    0 => query.instant(&source, end_ns, &limits),
                    _ => query.range(&source, start_ns, end_ns, step_s * SECOND, &limits),
                };
                match answer.unwrap().data {
                    Data::Vector(samples) => assert_eq!(samples.len(), speed.len()),
                    Data::Matrix(series) => assert!(!series.is_empty()),
                    other => unreachable!("{other:?}"),
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = fleet
}
criterion_main!(benches);
