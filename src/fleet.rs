//! The fleet data set: made from a seed, for measurement.
//!
//! Every vehicle reports ten metrics once a second. Half of them are sampled exactly on the
//! second; the other half carry the time of a sensor bus: 20 ms after the second, give or take a
//! few milliseconds, each with a jitter of its own. The values are random walks and noise of the
//! resolution that real sensors have, rounded to decimals as they arrive by line protocol:
//!
//! | metric | unit | decimals | made of | times |
//! |---|---|---|---|---|
//! | speed | km/h | 2 | random walk, pulled down while braking | exact |
//! | rpm | 1/min | 0 | 30 x speed + noise | jittered |
//! | fuel | % | 1 | falls with the distance | exact |
//! | temperature | °C | 1 | slow walk + noise | jittered |
//! | latitude | ° | 6 | heading and speed, own noise in each step | exact |
//! | longitude | ° | 7 | heading and speed, own noise in each step | jittered |
//! | voltage | V | 2 | noise around the charger's level | exact |
//! | odometer | km | 1 | distance | jittered |
//! | brake | flag | 0 | pressed now and then for some seconds | exact |
//! | tyre_pressure | kPa | 1 | slow walk + small noise | jittered |
//!
//! The entropy of jitter, steps and noise is about 0.84 bytes per record, times included
//! (`entropy_floor` in the tests computes it): no codec that looks at one metric at a time can
//! get below that.

use std::io::{self, Write};

use crate::random::Random;

/// How many metrics a vehicle has.
pub const METRICS: usize = 10;
/// 2026-01-01T00:00:00Z in nanoseconds: the first second of the data.
pub const START_NS: i64 = 1_767_225_600_000_000_000;

const NAMES: [&str; METRICS] = [
    "speed",
    "rpm",
    "fuel",
    "temperature",
    "latitude",
    "longitude",
    "voltage",
    "odometer",
    "brake",
    "tyre_pressure",
];
/// What the raw integer of a metric is divided by.
const SCALES: [f64; METRICS] = [100.0, 1.0, 10.0, 10.0, 1e6, 1e7, 100.0, 10.0, 1.0, 10.0];
const JITTERED: [bool; METRICS] = [false, true, false, true, false, true, false, true, false, true];
/// Standard deviation of the jitter: milliseconds.
const JITTER_MS: f64 = 6.0;
const BUS_DELAY_MS: f64 = 20.0;

/// The size of a fleet and the seed it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetOptions {
    /// How many vehicles; each has ten metrics.
    pub vehicles: u32,
    /// How long the recording is: seconds, one record per metric each.
    pub seconds: u32,
    /// Equal seeds give equal data.
    pub seed: u64,
}

/// 100 vehicles for three hours: 10.8 million records.
impl Default for FleetOptions {
    fn default() -> Self {
        Self { vehicles: 100, seconds: 10_800, seed: 1 }
    }
}

/// A fleet whose records are made on demand; see the module's description.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    options: FleetOptions,
}

/// What one vehicle reports in one second; metrics in the order of [`Fleet::metric_names`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The vehicle's number, from 0.
    pub vehicle: u32,
    /// The time of each metric's record: nanoseconds since the epoch.
    pub times_ns: [i64; METRICS],
    /// The value of each metric's record.
    pub values: [f64; METRICS],
}

/// The records of one metric: times in nanoseconds, and values.
pub type MetricColumns = (Vec<i64>, Vec<f64>);

impl Fleet {
    /// A fleet; nothing is made yet.
    #[must_use]
    pub const fn new(options: FleetOptions) -> Self {
        Self { options }
    }

    /// What it was made with.
    #[must_use]
    pub const fn options(&self) -> FleetOptions {
        self.options
    }

    /// The names of the metrics, in the order of rows.
    #[must_use]
    pub const fn metric_names(&self) -> &'static [&'static str; METRICS] {
        &NAMES
    }

    /// The device name of a vehicle: `car-0001` is vehicle 0.
    #[must_use]
    pub fn device_name(&self, vehicle: u32) -> String {
        format!("car-{:04}", u64::from(vehicle) + 1)
    }

    /// How many records there are in total.
    #[must_use]
    pub const fn record_count(&self) -> u64 {
        self.options.vehicles as u64 * self.options.seconds as u64 * METRICS as u64
    }

    /// All rows in the order of ingestion: by second, then by vehicle.
    pub fn rows(&self) -> impl Iterator<Item = Row> + use<> {
        let Self { options } = *self;
        let mut vehicles: Vec<_> =
            (0..options.vehicles).map(|vehicle| Vehicle::new(options.seed, vehicle)).collect();
        let seconds = 0..u64::from(options.seconds);
        let order = seconds.flat_map(move |_| 0..options.vehicles);
        order.map(move |vehicle| vehicles[vehicle as usize].next_row())
    }

    /// The rows of one vehicle, second by second; the same as its rows in [`Fleet::rows`].
    pub fn vehicle_rows(&self, vehicle: u32) -> impl Iterator<Item = Row> + use<> {
        let mut state = Vehicle::new(self.options.seed, vehicle);
        (0..self.options.seconds).map(move |_| state.next_row())
    }

    /// The records of all metrics of one vehicle, column-wise.
    #[must_use]
    pub fn vehicle_columns(&self, vehicle: u32) -> [MetricColumns; METRICS] {
        let capacity = self.options.seconds as usize;
        let mut columns: [MetricColumns; METRICS] =
            std::array::from_fn(|_| (Vec::with_capacity(capacity), Vec::with_capacity(capacity)));
        for row in self.vehicle_rows(vehicle) {
            for (metric, (times, values)) in columns.iter_mut().enumerate() {
                times.push(row.times_ns[metric]);
                values.push(row.values[metric]);
            }
        }
        columns
    }

    /// The records of one metric of one vehicle; empty where there is no such metric.
    #[must_use]
    pub fn metric_columns(&self, vehicle: u32, metric: usize) -> MetricColumns {
        if metric >= METRICS {
            return MetricColumns::default();
        }
        self.vehicle_rows(vehicle).map(|row| (row.times_ns[metric], row.values[metric])).unzip()
    }

    /// Writes all records as line protocol, in the order of ingestion.
    ///
    /// Metrics of one vehicle that share a time share a line: five fields on the second, then
    /// one line for each jittered metric.
    ///
    /// # Errors
    ///
    /// Where `out` refuses a write.
    pub fn write_line_protocol(&self, out: &mut impl Write) -> io::Result<()> {
        let devices: Vec<_> =
            (0..self.options.vehicles).map(|vehicle| self.device_name(vehicle)).collect();
        for row in self.rows() {
            write_row(&row, &devices[row.vehicle as usize], out)?;
        }
        Ok(())
    }
}

fn write_row(row: &Row, device: &str, out: &mut impl Write) -> io::Result<()> {
    let fields = || NAMES.iter().zip(&row.values).zip(&row.times_ns);
    for (first, time_ns) in row.times_ns.iter().enumerate() {
        if row.times_ns[..first].contains(time_ns) {
            continue;
        }
        write!(out, "fleet,device={device}")?;
        let shared = fields().filter(|(_, other)| *other == time_ns);
        for (index, ((name, value), _)) in shared.enumerate() {
            write!(out, "{}{name}={value}", if index == 0 { ' ' } else { ',' })?;
        }
        writeln!(out, " {time_ns}")?;
    }
    Ok(())
}

/// The state of one vehicle; integers are in the resolution of the metric.
struct Vehicle {
    number: u32,
    second: i64,
    random: Random,
    speed: f64,
    braking_s: u32,
    heading: f64,
    distance_km: f64,
    fuel: f64,
    coolant: f64,
    latitude: f64,
    longitude: f64,
    charger: f64,
    pressure: f64,
}

impl Vehicle {
    fn new(seed: u64, number: u32) -> Self {
        let mut random = Random(seed ^ (u64::from(number) << 32 | 0x5DEE_CE66));
        // Seeds that differ in one bit must not give related streams.
        random = Random(random.next() ^ random.next().rotate_left(17));
        let mut between = |low: f64, high: f64| low + (high - low) * random.unit();
        Self {
            number,
            second: 0,
            speed: between(2_000.0, 12_000.0),
            braking_s: 0,
            heading: between(0.0, std::f64::consts::TAU),
            distance_km: between(1_000.0, 200_000.0),
            fuel: between(40.0, 100.0),
            coolant: between(820.0, 950.0),
            latitude: between(46e6, 54e6),
            longitude: between(7e7, 14e7),
            charger: between(1_380.0, 1_430.0),
            pressure: between(2_200.0, 2_600.0),
            random,
        }
    }

    fn next_row(&mut self) -> Row {
        self.step();
        let noise = |random: &mut Random, sd: f64| random.normal() * sd;
        let random = &mut self.random;
        let raw = [
            self.speed,
            800.0 + self.speed * 0.3 + noise(random, 20.0),
            self.fuel * 10.0,
            self.coolant + noise(random, 1.2),
            self.latitude,
            self.longitude,
            self.charger + noise(random, 8.0),
            self.distance_km * 10.0,
            if self.braking_s > 0 { 1.0 } else { 0.0 },
            self.pressure + noise(random, 3.0),
        ];
        let base_ns = START_NS + self.second * 1_000_000_000;
        let times_ns = std::array::from_fn(|metric| {
            let jitter = if JITTERED[metric] {
                (BUS_DELAY_MS + self.random.normal() * JITTER_MS).round().clamp(0.0, 900.0)
            } else {
                0.0
            };
            base_ns + jitter as i64 * 1_000_000
        });
        self.second += 1;
        let values = std::array::from_fn(|metric| raw[metric].round() / SCALES[metric]);
        Row { vehicle: self.number, times_ns, values }
    }

    fn step(&mut self) {
        let random = &mut self.random;
        if self.braking_s > 0 {
            self.braking_s -= 1;
        } else if random.unit() < 0.02 {
            self.braking_s = 2 + (random.unit() * 8.0) as u32;
        }
        let pull = if self.braking_s > 0 { -120.0 } else { 18.0 };
        self.speed = (self.speed + pull + random.normal() * 100.0).abs();
        if self.speed > 16_000.0 {
            self.speed = 32_000.0 - self.speed;
        }
        self.heading += random.normal() * 0.02;
        let metres = self.speed / 360.0;
        // One degree of latitude is 111.32 km; the steps' own noise is in micro-degrees.
        let degrees = metres / 111_320.0;
        self.latitude += degrees * self.heading.cos() * 1e6 + random.normal() * 16.0;
        self.longitude += degrees * self.heading.sin() * 1.56e7 + random.normal() * 160.0;
        self.distance_km += metres / 1_000.0;
        self.fuel = if self.fuel < 5.0 { 100.0 } else { self.fuel - metres * 7e-5 };
        self.coolant += (880.0 - self.coolant) * 0.001 + random.normal() * 0.3;
        self.charger += (1_405.0 - self.charger) * 0.002 + random.normal() * 0.3;
        self.pressure += (2_400.0 - self.pressure) * 0.0005 + random.normal() * 0.2;
    }
}

#[cfg(test)]
#[path = "fleet/tests.rs"]
mod tests;
