//! Random histories of a database: written in order, late, twice, deleted, sealed, compacted.

use std::collections::BTreeMap;

use chronolith_engine::{Block, Column, Db, Durability, Kind, Metric, MetricId, SealScope};

use crate::oracle::SECOND_NS;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn signed(&mut self, bound: i64) -> i64 {
        self.below(2 * bound as u64 + 1) as i64 - bound
    }
}

/// Two series of one device, and one of another.
pub(crate) fn metrics(db: &Db) -> Vec<MetricId> {
    let metric = |device: &str, axle: &str| Metric::new(device, "speed").tag("axle", axle);
    let metrics = [metric("car-1", "front"), metric("car-1", "rear"), metric("car-2", "front")];
    metrics.into_iter().map(|metric| db.metric(metric, Kind::F64).unwrap()).collect()
}

/// Metrics of a class: speeds, of one device two, and doors, of which one device has nothing else.
pub(crate) fn metrics_of_a_class(db: &Db) -> Vec<MetricId> {
    let metric = |device: &str, name: &str| Metric::new(device, name).tag("class", "cars");
    let metrics = [
        metric("car-1", "speed").tag("axle", "front"),
        metric("car-1", "speed").tag("axle", "rear"),
        metric("car-2", "speed"),
        metric("car-1", "door"),
        metric("car-2", "door"),
        metric("car-3", "door"),
    ];
    metrics.into_iter().map(|metric| db.metric(metric, Kind::F64).unwrap()).collect()
}

/// One writer of random records.
pub(crate) struct Player {
    pub(crate) random: Random,
    /// Where event time is.
    pub(crate) now_ns: i64,
    /// How far it goes at once: nanoseconds.
    pub(crate) stride_ns: i64,
    /// Whether some records come from clocks that are far ahead.
    pub(crate) strays: bool,
}

impl Player {
    pub(crate) fn new(seed: u64, stride_ns: i64) -> Self {
        // The night before clocks go forward in Europe.
        let now_ns = 1_711_840_000 * SECOND_NS;
        Self { random: Random(seed), now_ns, stride_ns, strays: false }
    }

    fn value(&mut self) -> f64 {
        self.random.signed(1_000_000) as f64 / 64.0 + 3.0e4
    }

    /// Does something.
    pub(crate) fn act(&mut self, db: &Db, metrics: &[MetricId]) {
        let metric = |random: &mut Random| metrics[random.below(metrics.len() as u64) as usize];
        match self.random.below(20) {
            0..=11 => self.write(db, metrics),
            12 => {
                let from_ns = self.now_ns - self.random.below(40) as i64 * self.stride_ns;
                let to_ns = from_ns + self.random.below(8) as i64 * self.stride_ns;
                let id = metric(&mut self.random);
                db.delete(&[id], from_ns..=to_ns).unwrap();
            }
            13 => db.flush().unwrap(),
            14 => drop(db.seal(SealScope::ClosedAt(self.now_ns)).unwrap()),
            15 => drop(db.compact().unwrap()),
            // A long pause, and perhaps an hour that the clock skips or repeats.
            16 => self.now_ns += self.stride_ns * self.random.below(30) as i64,
            17 if self.strays => self.stray(db, metrics),
            _ => self.backfill(db, metrics),
        }
    }

    /// A run of records of a device whose clock is hours or decades ahead.
    fn stray(&mut self, db: &Db, metrics: &[MetricId]) {
        let id = metrics[self.random.below(metrics.len() as u64) as usize];
        let ahead = [2 * 3_600, 400 * 86_400, 2_400_000_000][self.random.below(3) as usize];
        // Some in the same windows as others before.
        let mut time_ns = self.now_ns / (20 * self.stride_ns) * 20 * self.stride_ns;
        time_ns += ahead * SECOND_NS;
        let mut batch = db.batch();
        for _ in 0..=self.random.below(5) {
            time_ns += self.random.below(self.stride_ns as u64) as i64;
            let value = self.value();
            batch.push(id, time_ns, value).unwrap();
        }
        db.write(&batch, Durability::Buffered).unwrap();
    }

    /// Mostly in order, some out of it, some at a time that has a record.
    fn write(&mut self, db: &Db, metrics: &[MetricId]) {
        let mut batch = db.batch();
        for _ in 0..=self.random.below(12) {
            let id = metrics[self.random.below(metrics.len() as u64) as usize];
            self.now_ns += self.random.below(self.stride_ns as u64) as i64;
            let time_ns = match self.random.below(10) {
                0 => self.now_ns - self.random.below(20) as i64 * self.stride_ns,
                1 => self.now_ns / self.stride_ns * self.stride_ns,
                _ => self.now_ns,
            };
            let value = self.value();
            batch.push(id, time_ns, value).unwrap();
        }
        db.write(&batch, Durability::Buffered).unwrap();
    }

    /// A run of old records, as a batch or a bulk load.
    fn backfill(&mut self, db: &Db, metrics: &[MetricId]) {
        let id = metrics[self.random.below(metrics.len() as u64) as usize];
        let mut time_ns = self.now_ns - self.random.below(200) as i64 * self.stride_ns;
        let mut records = BTreeMap::new();
        for _ in 0..self.random.below(20) {
            time_ns += self.random.below(self.stride_ns as u64) as i64;
            records.insert(time_ns.min(self.now_ns), self.value());
        }
        if self.random.below(2) == 0 {
            let (times, values) = records.into_iter().unzip();
            let mut load = db.bulk_load();
            load.push(id, &Block::of_columns(times, Column::F64(values)).unwrap()).unwrap();
            load.finish().unwrap();
            return;
        }
        let mut batch = db.batch();
        for (time_ns, value) in records {
            batch.push(id, time_ns, value).unwrap();
        }
        db.write(&batch, Durability::Buffered).unwrap();
    }
}
