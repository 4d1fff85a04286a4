//! Memory, speed and opening time with few and with many metrics.
//!
//! ```text
//! cargo bench --bench metrics_memory                    # 1,000, 10,000 and 1,000,000 metrics
//! cargo bench --bench metrics_memory -- 10000 200000    # other numbers of metrics
//! ```
//!
//! Ten metrics a device. Every number of metrics is measured in processes of its own, since what
//! is asked for is the peak of a process: one that defines the metrics and writes, one that opens
//! what the first left behind after a kill (its log is replayed), one that opens it sealed. The
//! same number of records is written for every number of metrics, in batches of 1,000, each
//! metric in turn.

#![allow(clippy::unwrap_used, reason = "a measurement that fails says where")]
#![allow(missing_docs, reason = "a program")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use chronolith_engine::{
    Db, Definition, Durability, Kind, Maintenance, Metric, MetricId, Options, SealScope, Selector,
};
use cpu_time::ProcessTime;

/// How many records are written: `CHRONOLITH_RECORDS`, or 3 million.
fn records() -> usize {
    std::env::var("CHRONOLITH_RECORDS").map_or(3_000_000, |text| text.parse().unwrap())
}

const BATCH: usize = 1_000;
const START_NS: i64 = 1_767_225_600_000_000_000;

/// A line of `/proc/self/status` in bytes: `VmRSS` is the memory now, `VmHWM` the peak.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    let kib: u64 = line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

fn options() -> Options {
    Options { maintenance: Maintenance::Manual, ..Options::default() }
}

struct Clock(ProcessTime, Instant);

impl Clock {
    fn start() -> Self {
        Self(ProcessTime::now(), Instant::now())
    }

    fn cpu(&self) -> Duration {
        self.0.elapsed()
    }
}

fn print(phase: &str, count: usize, what: &str, clock: &Clock, before: u64) {
    let (now, peak) = (memory("VmRSS"), memory("VmHWM"));
    println!(
        "{count:>9}  {phase:<28}{what:>18}  {:>8.1} ms CPU {:>8.1} ms  {:>7.1} MiB now {:>7.1} MiB \
         peak {:>6.0} B/metric",
        clock.cpu().as_secs_f64() * 1e3,
        clock.1.elapsed().as_secs_f64() * 1e3,
        now as f64 / 1048576.0,
        peak as f64 / 1048576.0,
        now.saturating_sub(before) as f64 / count as f64,
    );
}

fn rate(count: usize, clock: &Clock) -> String {
    format!("{:.2} M/CPU s", count as f64 / clock.cpu().as_secs_f64() / 1e6)
}

fn define(db: &Db, count: usize) -> Vec<MetricId> {
    let one = |number: usize| {
        let metric = Metric::new(format!("car-{:06}", number / 10), format!("m{}", number % 10));
        db.define(Definition::new(metric.tag("class", "fleet"), Kind::F64)).unwrap()
    };
    (0..count).map(one).collect()
}

fn write(db: &Db, metrics: &[MetricId]) {
    let mut batch = db.batch();
    for record in 0..records() {
        let (turn, metric) = (record / metrics.len(), record % metrics.len());
        let time_ns = START_NS + turn as i64 * 1_000_000_000;
        batch.push(metrics[metric], time_ns, ((metric + turn) % 1000) as f64 * 0.01).unwrap();
        if batch.len() == BATCH {
            db.write(&batch, Durability::Buffered).unwrap();
            batch.clear();
        }
    }
    db.write(&batch, Durability::Buffered).unwrap();
}

/// Defines, writes, syncs, and ends as a killed process does.
fn phase_write(directory: &Path, count: usize) {
    let db = Db::open(directory, options()).unwrap();
    let before = memory("VmRSS");
    let clock = Clock::start();
    let metrics = define(&db, count);
    db.sync().unwrap();
    print("define", count, &rate(count, &clock), &clock, before);
    let clock = Clock::start();
    write(&db, &metrics);
    print("write, buffered", count, &rate(records(), &clock), &clock, before);
    db.sync().unwrap();
    std::process::exit(0);
}

/// Opens with a log to replay, then seals everything.
fn phase_replay(directory: &Path, count: usize) {
    let before = memory("VmRSS");
    let clock = Clock::start();
    let db = Db::open(directory, options()).unwrap();
    print("open, log replayed", count, "", &clock, before);
    let clock = Clock::start();
    db.seal(SealScope::All).unwrap();
    print("seal", count, &rate(records(), &clock), &clock, before);
    let clock = Clock::start();
    db.compact().unwrap();
    print("compact", count, "", &clock, before);
    db.close().unwrap();
}

/// Opens what is sealed, and finds one metric.
fn phase_open(directory: &Path, count: usize) {
    let before = memory("VmRSS");
    let clock = Clock::start();
    let db = Db::open(directory, options()).unwrap();
    print("open, all sealed", count, "", &clock, before);
    let clock = Clock::start();
    let found = db.select(&Selector::all().name("m7")).unwrap();
    let latest = found.iter().take(1_000).filter(|id| db.latest(**id).unwrap().is_some());
    let text = format!("{} found", latest.count());
    print("select one in ten, 1,000 latest", count, &text, &clock, before);
}

/// What is measured in the database of a directory with so many metrics.
type Phase = fn(&Path, usize);

/// Each in a process of its own, one after the other in one directory.
const PHASES: [(&str, Phase); 3] =
    [("phase-write", phase_write), ("phase-replay", phase_replay), ("phase-open", phase_open)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [phase, directory, count] = &arguments[..]
        && let Some(phase) = PHASES.iter().find(|(name, _)| name == phase)
    {
        return phase.1(Path::new(directory), count.parse().unwrap());
    }
    // What `cargo bench` says, and a test run over all targets does not.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("not measured: run it by cargo bench --bench metrics_memory");
        return;
    }
    let mut counts: Vec<usize> = arguments.iter().filter_map(|text| text.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![1_000, 10_000, 1_000_000];
    }
    let program = std::env::current_exe().unwrap();
    for count in counts {
        let directory = tempfile::tempdir().unwrap();
        for (phase, _) in PHASES {
            let mut command = Command::new(&program);
            command.arg(phase).arg(directory.path()).arg(count.to_string());
            assert!(command.status().unwrap().success(), "{phase} failed");
        }
    }
}
