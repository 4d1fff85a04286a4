//! Writes the fleet data set into one embeddable store and prints what that cost, as JSON.
//!
//! ```text
//! compare-embedded fjall|redb|tsink DIRECTORY VEHICLES SECONDS
//! ```
//!
//! Every store gets the same batches: the records of one second, nothing synced before the end.
//! The key-value stores get what a careful user would give them: twelve bytes of key (the number
//! of the series and the time, both big-endian, so that a scan of a key range is a scan of time)
//! and eight bytes of value.

#![forbid(unsafe_code)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use serde_json::json;

#[path = "../../../../src/fleet.rs"]
#[allow(dead_code, unreachable_pub, reason = "the generator of the root package, used in part")]
mod fleet;
#[path = "../../../../src/random.rs"]
#[allow(dead_code, reason = "what the generator draws from")]
mod random;

use fleet::{Fleet, FleetOptions, METRICS, Row};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A store that takes the records of the fleet.
trait Store {
    /// Writes the rows of one second as one batch.
    fn write(&mut self, rows: &[Row]) -> Outcome<()>;
    /// Brings everything to disk, compacts, and closes.
    fn finish(self: Box<Self>) -> Outcome<()>;
}

fn key(series: usize, time_ns: i64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&(series as u32).to_be_bytes());
    key[4..].copy_from_slice(&time_ns.to_be_bytes());
    key
}

fn records(row: &Row) -> impl Iterator<Item = ([u8; 12], [u8; 8])> + '_ {
    let first = row.vehicle as usize * METRICS;
    let pairs = row.times_ns.iter().zip(&row.values).enumerate();
    pairs.map(move |(index, (time_ns, value))| (key(first + index, *time_ns), value.to_le_bytes()))
}

struct Fjall {
    database: fjall::Database,
    records: fjall::Keyspace,
}

impl Fjall {
    fn open(directory: &Path) -> Outcome<Self> {
        let database = fjall::Database::builder(directory).open()?;
        let records = database.keyspace("records", fjall::KeyspaceCreateOptions::default)?;
        Ok(Self { database, records })
    }
}

impl Store for Fjall {
    fn write(&mut self, rows: &[Row]) -> Outcome<()> {
        let mut batch = self.database.batch();
        for (key, value) in rows.iter().flat_map(records) {
            batch.insert(&self.records, key, value);
        }
        Ok(batch.commit()?)
    }

    fn finish(self: Box<Self>) -> Outcome<()> {
        self.database.persist(fjall::PersistMode::SyncAll)?;
        self.records.rotate_memtable_and_wait()?;
        Ok(self.records.major_compact()?)
    }
}

const TABLE: redb::TableDefinition<'_, [u8; 12], [u8; 8]> = redb::TableDefinition::new("records");

struct Redb {
    database: redb::Database,
}

impl Redb {
    fn open(directory: &Path) -> Outcome<Self> {
        Ok(Self { database: redb::Database::create(directory.join("records.redb"))? })
    }
}

impl Store for Redb {
    fn write(&mut self, rows: &[Row]) -> Outcome<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(redb::Durability::None)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in rows.iter().flat_map(records) {
                table.insert(key, value)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn finish(mut self: Box<Self>) -> Outcome<()> {
        self.database.begin_write()?.commit()?;
        while self.database.compact()? {}
        Ok(())
    }
}

struct Tsink {
    storage: std::sync::Arc<dyn tsink::Storage>,
    devices: Vec<String>,
    names: &'static [&'static str; METRICS],
}

impl Tsink {
    fn open(directory: &Path, fleet: &Fleet) -> Outcome<Self> {
        let storage = tsink::StorageBuilder::new()
            .with_data_path(directory)
            .with_timestamp_precision(tsink::TimestampPrecision::Nanoseconds)
            .with_retention_enforced(false)
            .with_wal_sync_mode(tsink::WalSyncMode::Periodic(Duration::from_secs(1)))
            .build()?;
        let devices = (0..fleet.options().vehicles).map(|vehicle| fleet.device_name(vehicle));
        Ok(Self { storage, devices: devices.collect(), names: fleet.metric_names() })
    }
}

impl Store for Tsink {
    fn write(&mut self, rows: &[Row]) -> Outcome<()> {
        let mut batch = Vec::with_capacity(rows.len() * METRICS);
        for row in rows {
            let device = &self.devices[row.vehicle as usize];
            for (name, (time_ns, value)) in
                self.names.iter().zip(row.times_ns.iter().zip(&row.values))
            {
                let labels = vec![tsink::Label::new("device", device.as_str())];
                let point = tsink::DataPoint::new(*time_ns, *value);
                batch.push(tsink::Row::with_labels(*name, labels, point));
            }
        }
        Ok(self.storage.insert_rows(&batch)?)
    }

    fn finish(self: Box<Self>) -> Outcome<()> {
        Ok(self.storage.close()?)
    }
}

fn directory_bytes(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { directory_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, directory, vehicles, seconds] = &arguments[..] else {
        return Err("usage: compare-embedded fjall|redb|tsink DIRECTORY VEHICLES SECONDS".into());
    };
    let directory = PathBuf::from(directory);
    std::fs::create_dir_all(&directory)?;
    let (vehicles, seconds) = (vehicles.parse()?, seconds.parse()?);
    let fleet = Fleet::new(FleetOptions { vehicles, seconds, seed: 1 });
    // Made before the clock starts.
    let rows: Vec<Row> = fleet.rows().collect();
    let mut store: Box<dyn Store> = match name.as_str() {
        "fjall" => Box::new(Fjall::open(&directory)?),
        "redb" => Box::new(Redb::open(&directory)?),
        "tsink" => Box::new(Tsink::open(&directory, &fleet)?),
        other => return Err(format!("{other} is none of fjall, redb, tsink").into()),
    };
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    for rows in rows.chunks(vehicles as usize) {
        store.write(rows)?;
    }
    let (ingest_cpu, ingest_wall) = (cpu.elapsed(), wall.elapsed());
    store.finish()?;
    let result = json!({
        "records": fleet.record_count(),
        "ingest_cpu_seconds": ingest_cpu.as_secs_f64(),
        "ingest_wall_seconds": ingest_wall.as_secs_f64(),
        "finish_cpu_seconds": (cpu.elapsed() - ingest_cpu).as_secs_f64(),
        "bytes_on_disk": directory_bytes(&directory)?,
    });
    println!("{result}");
    Ok(())
}
