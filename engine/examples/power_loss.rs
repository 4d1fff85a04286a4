//! A load for real power cuts, and what must be left after one: `testing/ext4-shutdown.sh` runs both.
//!
//! `power_loss write DIR` writes batches without end, and flushes, seals and compacts between
//! them; it prints the number of each batch that is acknowledged as synced, and ends with the first
//! error. `power_loss check DIR ACKNOWLEDGED` opens what is left, verifies it, and compares it with
//! the batches: all up to some number are there, which is not lower than the acknowledged one, and
//! nothing else is. It prints that number.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use chronolith_disk::{Disk, RealDisk};
use chronolith_engine::{
    Db, Definition, Durability, Kind, Metric, MetricId, Options, SealScope, Value, verify,
};

const SECOND_NS: i64 = 1_000_000_000;
const METRICS: u64 = 4;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn options() -> Options {
    Options { default_window_ns: 60 * SECOND_NS, memtable_bytes: 64 * 1024, ..Options::default() }
}

fn open(folder: &str) -> Outcome<(Db, Vec<MetricId>)> {
    let db = Db::open(folder, options())?;
    let metric = |number: u64| {
        let kind = if number.is_multiple_of(2) { Kind::F64 } else { Kind::Text };
        let definition = Definition::new(Metric::new("car-1", format!("metric-{number}")), kind);
        db.define(definition.window_ns(60 * SECOND_NS))
    };
    let metrics: Result<Vec<MetricId>, _> = (0..METRICS).map(metric).collect();
    Ok((db, metrics?))
}

/// Splitmix64 of a number.
const fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The time of a batch's record: late in every fifth batch, and again where two share one.
const fn time_ns(batch: u64) -> i64 {
    let late = if batch % 5 == 4 { mixed(batch) % 200 } else { 0 };
    batch.saturating_sub(late) as i64 * SECOND_NS
}

fn value(kind: Kind, batch: u64, metric: u64) -> Value {
    let number = mixed(batch * METRICS + metric);
    match kind {
        Kind::Text => Value::Text("x".repeat((number % 200) as usize) + &batch.to_string()),
        _ => Value::F64(number as f64),
    }
}

/// The batch that the store stands at, which it keeps as state in the same batch.
fn stands_at(db: &Db) -> u64 {
    let state = db.state("load", b"batch");
    state.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn write(folder: &str) -> Outcome<()> {
    let (db, metrics) = open(folder)?;
    let mut out = std::io::stdout().lock();
    for number in stands_at(&db) + 1.. {
        let mut batch = db.batch();
        for (metric, id) in (0..).zip(&metrics) {
            batch.push(*id, time_ns(number), value(id.kind(), number, metric).as_ref())?;
        }
        batch.put_state("load", b"batch", &number.to_le_bytes());
        db.write(&batch, Durability::Synced)?;
        writeln!(out, "{number}")?;
        out.flush()?;
        match mixed(number) % 64 {
            0..4 => db.flush()?,
            4..6 => drop(db.seal(SealScope::ClosedAt(time_ns(number)))?),
            6 => drop(db.compact()?),
            _ => {}
        }
    }
    Ok(())
}

/// What the batches up to one make of a metric, by time.
fn expected(metric: u64, kind: Kind, last: u64) -> std::collections::BTreeMap<i64, Value> {
    (1..=last).map(|batch| (time_ns(batch), value(kind, batch, metric))).collect()
}

fn check(folder: &str, acknowledged: u64) -> Outcome<u64> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::existing(Path::new(folder))?);
    let faults = verify(&disk, &options()).faults;
    if !faults.is_empty() {
        return Err(format!("verifying found {faults:?}").into());
    }
    let (db, metrics) = open(folder)?;
    let last = stands_at(&db);
    if last < acknowledged {
        return Err(format!("batch {acknowledged} was acknowledged, {last} is the last").into());
    }
    for (metric, id) in (0..).zip(&metrics) {
        let mut found = std::collections::BTreeMap::new();
        for block in db.scan(*id, ..)? {
            found.extend(block?.iter().map(|(time_ns, value)| (time_ns, value.to_value())));
        }
        if found != expected(metric, id.kind(), last) {
            return Err(format!("metric {metric} is not what {last} batches made of it").into());
        }
    }
    db.close()?;
    let faults = verify(&disk, &options()).faults;
    if faults.is_empty() { Ok(last) } else { Err(format!("after closing: {faults:?}").into()) }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder] => write(folder),
        ["check", folder, acknowledged] => acknowledged
            .parse()
            .map_err(Into::into)
            .and_then(|acknowledged| check(folder, acknowledged))
            .map(|last| println!("{last}")),
        _ => Err("usage: power_loss write DIR | power_loss check DIR ACKNOWLEDGED".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
