//! What the benches share: a small fleet, and databases with it in.

#![allow(dead_code, reason = "every bench uses a part of it")]

pub(crate) mod cpu;

use std::path::Path;

use chronolith::fleet::{Fleet, FleetOptions, METRICS, Row};
use chronolith_engine::{
    Batch, Db, Definition, Durability, Kind, Maintenance, Metric, MetricId, Options, SealScope,
};
use tempfile::TempDir;

/// Ten vehicles for two hours: 720,000 records, two windows of each metric.
pub(crate) const FLEET: FleetOptions = FleetOptions { vehicles: 10, seconds: 7_200, seed: 1 };

/// A new database; it is removed from disk with the value.
pub(crate) struct Database {
    pub(crate) db: Db,
    pub(crate) metrics: Vec<MetricId>,
    pub(crate) directory: TempDir,
}

pub(crate) fn options() -> Options {
    Options { maintenance: Maintenance::Manual, ..Options::default() }
}

pub(crate) fn rows() -> Vec<Row> {
    Fleet::new(FLEET).rows().collect()
}

/// A database with all metrics of the fleet and no records.
pub(crate) fn empty(options: Options) -> Database {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path(), options).unwrap();
    let metrics = define(&db);
    Database { db, metrics, directory }
}

/// A database with the records of the fleet, none of them sealed.
pub(crate) fn written(options: Options, rows: &[Row]) -> Database {
    let database = empty(options);
    write(&database.db, &database.metrics, rows, Durability::Buffered);
    database.db.sync().unwrap();
    database
}

/// A database with the records of the fleet in sealed chunks only.
pub(crate) fn sealed(options: Options, rows: &[Row]) -> Database {
    let database = written(options, rows);
    database.db.seal(SealScope::All).unwrap();
    database.db.compact().unwrap();
    database
}

fn define(db: &Db) -> Vec<MetricId> {
    let fleet = Fleet::new(FLEET);
    let vehicles = (0..FLEET.vehicles).map(|vehicle| fleet.device_name(vehicle));
    let metrics = vehicles.flat_map(|device| {
        let metric = move |name: &&str| Metric::new(device.clone(), *name).tag("class", "fleet");
        fleet.metric_names().iter().map(metric)
    });
    metrics.map(|metric| db.define(Definition::new(metric, Kind::F64)).unwrap()).collect()
}

/// Adds the records of some rows to a batch.
pub(crate) fn push(batch: &mut Batch, metrics: &[MetricId], rows: &[Row]) {
    for row in rows {
        let ids = &metrics[row.vehicle as usize * METRICS..][..METRICS];
        for (id, (time_ns, value)) in ids.iter().zip(row.times_ns.iter().zip(&row.values)) {
            batch.push(*id, *time_ns, *value).unwrap();
        }
    }
}

/// Writes rows in batches of 1,000 records.
pub(crate) fn write(db: &Db, metrics: &[MetricId], rows: &[Row], durability: Durability) {
    let mut batch = db.batch();
    for rows in rows.chunks(1_000 / METRICS) {
        push(&mut batch, metrics, rows);
        db.write(&batch, durability).unwrap();
        batch.clear();
    }
}

/// Copies the files of a database, as a kill would leave them.
pub(crate) fn copy(from: &Path) -> TempDir {
    let target = tempfile::tempdir().unwrap();
    copy_into(from, target.path());
    target
}

fn copy_into(from: &Path, target: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copied = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&copied).unwrap();
            copy_into(&entry.path(), &copied);
        } else {
            std::fs::copy(entry.path(), copied).unwrap();
        }
    }
}
