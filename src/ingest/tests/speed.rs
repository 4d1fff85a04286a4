//! How long the line-protocol parser takes, without a database. Run by hand:
//! `cargo test --release -p chronolith --lib -- --ignored --nocapture ingest::tests::speed`.

use std::fmt::Write;

use crate::ingest::{IngestOptions, NullSink, Report, ingest_reader};

const NAMES: [&str; 5] = ["speed", "rpm", "coolant_temperature", "battery_voltage", "throttle"];

/// Lines of a fleet: 100 vehicles take turns, each line with so many fields.
fn fleet(fields: usize, lines: usize) -> String {
    let mut text = String::new();
    let mut state = 1u64;
    for line in 0..lines {
        let vehicle = line % 100;
        write!(text, "telemetry,device=car-{vehicle:04},region=north,model=kona ").unwrap();
        for (index, name) in NAMES.iter().take(fields).enumerate() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (state >> 33) % 10_000;
            let comma = if index == 0 { "" } else { "," };
            match index {
                1 => write!(text, "{comma}{name}={number}i").unwrap(),
                _ => write!(text, "{comma}{name}={}.{}", number / 10, number % 10).unwrap(),
            }
        }
        let time = 1_700_000_000_000_000_000 + (line / 100) as u64 * 1_000_000_000;
        writeln!(text, " {time}").unwrap();
    }
    text
}

/// Nanoseconds that this thread has run on a processor (Linux).
fn cpu_ns() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "a measurement"]
fn nanoseconds_for_each_record_of_line_protocol() {
    for fields in [1, 2, 3, 5] {
        let text = fleet(fields, 1_000_000);
        let mut best = f64::MAX;
        for _ in 0..5 {
            let (mut sink, mut report) = (NullSink::default(), Report::default());
            let start = cpu_ns();
            let summary = ingest_reader(
                text.as_bytes(),
                "fleet.lp",
                &IngestOptions::default(),
                &mut sink,
                &mut report,
                &mut |_| {},
            )
            .unwrap();
            let nanoseconds = cpu_ns() - start;
            assert_eq!((summary.accepted, summary.rejected), (fields as u64 * 1_000_000, 0));
            best = best.min(nanoseconds / summary.accepted as f64);
        }
        let size = text.len() as f64 / (fields as f64 * 1e6);
        eprintln!("{fields} fields a line, {size:.1} bytes a record: {best:.1} ns of CPU a record");
    }
}
