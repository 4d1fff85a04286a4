//! Search over the headers of a real database, and what keeping its index costs beside ingest.
//!
//! `CHRONOLITH_HEADERS=1000000` takes more headers than the usual 100,000.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

mod common;

use std::hint::black_box;
use std::path::Path;

use chronolith::fleet::{Fleet, FleetOptions, METRICS};
use chronolith_engine::{Db, Definition, Durability, Kind, Metric, MetricId, Options, SealScope};
use chronolith_query::search::{
    CatalogueSource, Facet, GeoBox, Request, SearchIndex, Sort, Target,
};
use common::cpu::CpuTime;
use cpu_time::ProcessTime;
use criterion::{Criterion, criterion_group, criterion_main};

const START_NS: i64 = 1_767_225_600_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;
/// How many windows each metric has.
const HOURS: i64 = 100;
const NAMES: [(&str, &str); 10] = [
    ("speed", "km/h"),
    ("rpm", "1/min"),
    ("fuel", "%"),
    ("temperature", "°C"),
    ("latitude", "°"),
    ("longitude", "°"),
    ("voltage", "V"),
    ("odometer", "km"),
    ("brake", ""),
    ("tyre_pressure", "kPa"),
];
const CLASSES: [&str; 4] = ["car", "van", "truck", "bus"];

/// A database of so many sealed chunks: ten metrics of each vehicle, two records in each hour.
fn database(path: &Path, headers: usize) -> Db {
    let options = Options { memtable_bytes: 256 << 20, ..common::options() };
    let db = Db::open(path, options).unwrap();
    let vehicles = headers / (NAMES.len() * HOURS as usize);
    for vehicle in 0..vehicles {
        let device = format!("vehicle-{vehicle:05}");
        let region = format!("region-{:02}", vehicle % 16);
        let mut batch = db.batch();
        for (name, unit) in NAMES {
            let metric = Metric::new(device.as_str(), name)
                .tag("class", CLASSES[vehicle % CLASSES.len()])
                .tag("region", region.as_str());
            let id = db.define(Definition::new(metric, Kind::F64).unit(unit)).unwrap();
            for hour in 0..HOURS {
                let place = (vehicle % 100) as f64 / 2.0 + hour as f64 / 100.0;
                for minute in [0, 30] {
                    let time_ns = START_NS + hour * HOUR_NS + minute * 60_000_000_000;
                    batch.push(id, time_ns, place).unwrap();
                }
            }
        }
        db.write(&batch, Durability::Buffered).unwrap();
    }
    db.seal(SealScope::All).unwrap();
    db
}

fn requests() -> Vec<(&'static str, Request)> {
    let labels = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let day = (START_NS + 20 * HOUR_NS, START_NS + 44 * HOUR_NS);
    let chunk = Request { target: Target::Chunk, ..Request::default() };
    let facets = labels(&[("class", "truck"), ("region", "region-02")]);
    let typical = Request {
        text: "pressure".into(),
        labels: facets,
        from_ns: day.0,
        to_ns: day.1,
        ..chunk.clone()
    };
    let wide = Request {
        text: "speed OR fuel OR temperature OR voltage".into(),
        labels: labels(&[("class", "truck"), ("type", "f64")]),
        from_ns: day.0,
        to_ns: day.1,
        ..chunk.clone()
    };
    let open = Request { from_ns: START_NS + 50 * HOUR_NS, to_ns: i64::MAX, ..typical.clone() };
    let newest = Request { sort: Sort::Freshness, ..typical.clone() };
    let counted = Request { counts: vec![Facet::Region, Facet::Unit], ..wide.clone() };
    let place =
        Request { place: Some(GeoBox::new(10.0, 10.0, 12.0, 12.0).unwrap()), ..wide.clone() };
    // Wide, and yet most vehicles are elsewhere.
    let wide_box = GeoBox::new(-90.0, 48.0, 90.0, -179.0).unwrap();
    let far = Request { place: Some(wide_box), ..wide.clone() };
    let metrics = Request { target: Target::Metric, ..typical.clone() };
    let everything = Request { sort: Sort::Freshness, ..chunk };
    vec![
        ("text, range, two facets", typical),
        ("text, open range, two facets", open),
        ("text, range, two facets, newest first", newest),
        ("a quarter of all, range, two facets", wide),
        ("a quarter of all, range, two facets, two counts", counted),
        ("a quarter of all, range, two facets, box", place),
        ("a quarter of all, range, two facets, box of 133 degrees", far),
        ("metrics by text, range, two facets", metrics),
        ("all chunks, newest first", everything),
    ]
}

fn search(criterion: &mut Criterion<CpuTime>) {
    let headers: usize = std::env::var("CHRONOLITH_HEADERS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100_000);
    let directory = tempfile::tempdir().unwrap();
    let db = database(&directory.path().join("db"), headers);
    let mut index = SearchIndex::open(directory.path().join("search")).unwrap();
    let started = ProcessTime::now();
    index.follow(&CatalogueSource::new(&db)).unwrap();
    let built = started.elapsed();
    let chunks = index.position().unwrap().chunks();
    assert_eq!(chunks as usize, headers / 1_000 * 1_000);
    let bytes: u64 = std::fs::read_dir(directory.path().join("search/index"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!("{chunks} headers: built in {built:.2?} of CPU, {bytes} bytes");
    let mut group = criterion.benchmark_group(format!("search {chunks} headers"));
    group.sample_size(20);
    for (name, request) in requests() {
        let answer = index.search(&request).unwrap();
        println!("{name}: {} found", answer.total);
        assert!(answer.total > 0);
        group.bench_function(name, |bencher| {
            bencher.iter(|| index.search(black_box(&request)).unwrap());
        });
    }
    group.bench_function("open, with all checksums", |bencher| {
        bencher.iter(|| SearchIndex::open(directory.path().join("search")).unwrap());
    });
    group.bench_function("follow, nothing new", |bencher| {
        bencher.iter(|| index.follow(&CatalogueSource::new(&db)).unwrap());
    });
    group.finish();
}

/// What following adds to ingest and sealing: hour by hour, as a database that runs does it.
fn beside_ingest(_: &mut Criterion<CpuTime>) {
    const VEHICLES: u32 = 100;
    let hours: u32 =
        std::env::var("CHRONOLITH_HOURS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let seconds = hours * 3_600;
    let fleet = Fleet::new(FleetOptions { vehicles: VEHICLES, seconds, seed: 1 });
    let rows: Vec<_> = fleet.rows().collect();
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path().join("db"), common::options()).unwrap();
    let ids: Vec<MetricId> = (0..VEHICLES)
        .flat_map(|vehicle| {
            let device = fleet.device_name(vehicle);
            fleet
                .metric_names()
                .map(|name| Metric::new(device.as_str(), name).tag("class", "fleet"))
        })
        .map(|metric| db.define(Definition::new(metric, Kind::F64)).unwrap())
        .collect();
    let mut index = SearchIndex::open(directory.path().join("db/search")).unwrap();
    let (mut ingest, mut follow) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    for hour in rows.chunks(100 * 3_600) {
        let started = ProcessTime::now();
        for rows in hour.chunks(1_000) {
            let mut batch = db.batch();
            for row in rows {
                for metric in 0..METRICS {
                    let id = ids[row.vehicle as usize * METRICS + metric];
                    batch.push(id, row.times_ns[metric], row.values[metric]).unwrap();
                }
            }
            db.write(&batch, Durability::Buffered).unwrap();
        }
        db.seal(SealScope::All).unwrap();
        ingest += started.elapsed();
        let started = ProcessTime::now();
        index.follow(&CatalogueSource::new(&db)).unwrap();
        follow += started.elapsed();
    }
    let started = ProcessTime::now();
    db.compact().unwrap();
    ingest += started.elapsed();
    let started = ProcessTime::now();
    index.follow(&CatalogueSource::new(&db)).unwrap();
    follow += started.elapsed();
    println!(
        "{hours} hours of 1,000 metrics at a record a second: ingest, seal, compact {ingest:.2?} of \
         CPU, following {follow:.2?}, {:.1} %",
        100.0 * follow.as_secs_f64() / ingest.as_secs_f64()
    );
}

criterion_group! {
    name = benches;
    config = common::cpu::criterion();
    targets = beside_ingest, search
}
criterion_main!(benches);
