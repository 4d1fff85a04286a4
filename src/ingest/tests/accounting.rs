//! What holds of every format: counts that add up, reports, bounds, packing.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use super::support::{Kept, error, options, read, read_into};
use crate::ingest::{IngestOptions, Report, ingest_reader};

const CSV: &str = "time,a,b\n2020-01-01,1,2\nx,3,4\n2020-01-02,5,y\n";

/// A writer whose bytes a test can look at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Gives one byte at a time.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
        into[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

#[test]
fn each_rejected_row_is_one_json_object() {
    let written = Shared::default();
    let mut report = Report::new(1).with_errors(written.clone());
    let text = "time,a,b\n2020-01-01,1,2\nx,3,4\n2020-01-02,y,z\n";
    let options = options(&["--type", "a=f64"]);
    let (mut sink, mut progress) = (Kept::default(), |_| {});
    let summary =
        ingest_reader(text.as_bytes(), "f.csv", &options, &mut sink, &mut report, &mut progress)
            .unwrap();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let objects: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len() as u64, summary.rows_rejected);
    assert_eq!(objects[0]["file"], "f.csv");
    assert_eq!((&objects[0]["line"], &objects[0]["column"]), (&3.into(), &1.into()));
    assert_eq!(objects[0]["records"], 2);
    assert_eq!(objects[0]["column_name"], "time");
    assert_eq!(objects[1]["more"][0]["column_name"], "b");
    assert_eq!((report.sample().len(), report.rejected_rows()), (1, 2));
}

#[test]
fn an_input_in_pieces_or_packed_gives_the_same() {
    let plain = read("f.csv", CSV, &options(&[]));
    let dripped = read_into(Kept::default(), "f.csv", Drip(CSV.as_bytes()), &options(&[])).unwrap();
    assert_eq!(dripped.sink.lines(), plain.sink.lines());
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(CSV.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let twice = [&packed[..], &packed[..]].concat();
    let unpacked = read_into(Kept::default(), "-", &packed[..], &options(&[])).unwrap();
    assert_eq!(unpacked.sink.lines(), plain.sink.lines());
    assert_eq!(unpacked.summary.bytes, packed.len() as u64);
    let members = read_into(Kept::default(), "-", &twice[..], &options(&[])).unwrap();
    assert_eq!(members.summary.rows, 2 * plain.summary.rows + 1);
    let cut = read_into(
        Kept::default(),
        "f.gz",
        &packed[..packed.len() - 9],
        &options(&["--format", "csv"]),
    );
    let problem = cut.err().unwrap().to_string();
    assert!(
        problem.contains("f.gz: reading failed at byte") && problem.contains("the 3 rows"),
        "{problem}"
    );
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

/// Files of old Macs were one long header.
#[test]
fn carriage_returns_alone_end_lines() {
    for (name, text) in [
        ("f.csv", CSV),
        ("f.lp", "m v=1 1\nm v=2 2\n"),
        ("f.candump", "(1) a 123#00\n(2) a 123#00\n"),
    ] {
        let (text, old) = (text, text.replace('\n', "\r"));
        let outcome = read(name, &old, &options(&[]));
        assert_eq!(outcome.sink.lines(), read(name, text, &options(&[])).sink.lines(), "{name}");
        assert!(outcome.summary.notes[0].contains("carriage returns"), "{name}");
    }
}

/// Gzip files with padding behind them failed after their last row, and damaged ones lost what
/// had been unpacked before.
#[test]
fn padding_behind_gzip_is_passed_over_and_damage_costs_what_lies_behind_it() {
    let rows: String = (0..20_000).map(|n| format!("m v={} {n}\n", n * 7919 % 10_007)).collect();
    let whole = packed(&rows);
    let read = |bytes: &[u8]| {
        let (mut sink, mut report) = (Kept::default(), Report::new(1));
        let options = options(&[]);
        let read = ingest_reader(bytes, "f.lp.gz", &options, &mut sink, &mut report, &mut |_| {});
        (sink.records.len(), read)
    };
    let padded = [&whole[..], &[0; 10_240][..], &packed("m v=1 20000\n")[..], &[0; 3]].concat();
    let (records, outcome) = read(&padded);
    assert_eq!((records, outcome.is_ok()), (20_001, true));

    let (records, outcome) = read(&[&whole[..], b"garbage"].concat());
    let problem = outcome.err().unwrap().to_string();
    assert_eq!(records, 20_000);
    assert!(problem.contains("what follows the compressed data is not gzip"), "{problem}");
    assert!(problem.contains("the 20000 rows before it were taken"), "{problem}");
    assert!(problem.contains(&format!("at byte {}", whole.len())), "{problem}");

    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    for bytes in [&damaged[..], &whole[..middle]] {
        let (records, outcome) = read(bytes);
        let broken = outcome.err().unwrap();
        assert!((5_000..15_000).contains(&records), "{records}");
        // What unpacks wrongly before the damage is found may be rows that are rejected.
        let summary = broken.summary.unwrap();
        assert_eq!(summary.accepted, records as u64);
        assert!(broken.error.to_string().contains(&format!("after line {}", summary.rows)));
    }
    // The checksum tells of damage that unpacks: it comes last.
    let mut flipped = whole.clone();
    let end = flipped.len();
    flipped[end - 6] ^= 1;
    let (records, outcome) = read(&flipped);
    assert_eq!((records, outcome.is_err()), (20_000, true));
}

/// Sets a flag when it has given so many bytes.
struct Stopping<'a> {
    text: &'a [u8],
    after: usize,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Read for Stopping<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let given = into.len().min(100).min(self.text.len());
        into[..given].copy_from_slice(&self.text[..given]);
        self.text = &self.text[given..];
        self.after = self.after.saturating_sub(given);
        if self.after == 0 {
            self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(given)
    }
}

#[test]
fn a_stop_ends_between_two_rows_and_counts_what_was_read() {
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let options = IngestOptions { stop: Some(Arc::clone(&stop)), ..options(&[]) };
    let text: String = (0..1000).map(|n| format!("m a={n},b={n} {n}\n")).collect();
    let input = Stopping { text: text.as_bytes(), after: 5000, stop };
    let (mut sink, mut report) = (Kept::default(), Report::new(1));
    let read = ingest_reader(input, "f.lp", &options, &mut sink, &mut report, &mut |_| {});
    let broken = read.err().unwrap();
    let rows = sink.rows.len() as u64;
    assert!(rows > 100 && rows < 500, "{rows}");
    assert!(broken.error.to_string().contains(&format!("stopped after line {rows}")));
    assert_eq!(broken.summary.unwrap().accepted, 2 * rows);
    assert_eq!(sink.records.len() as u64, 2 * rows);
}

#[test]
fn a_row_beyond_the_bound_is_rejected_and_the_rest_goes_on() {
    let long = "9".repeat(5_000_000);
    let options = |args: &[&str]| IngestOptions { max_row_bytes: 1000, ..options(args) };
    for (name, text) in [
        ("f.csv", format!("time,a\n2020-01-01,{long}\n2020-01-02,2\n2020-01-03,3")),
        ("f.lp", format!("m v=1 1\nm v={long} 2\nm v=3 3\nm v=\"{long}\n")),
        (
            "f.jsonl",
            format!(
                "{{\"time\":\"2020-01-01\",\"v\":{long}}}\n{{\"time\":\"2020-01-01\",\"v\":1}}\n{{\"time\":\"2020-01-01\",\"v\":1}}\n"
            ),
        ),
        ("f.candump", format!("(1) a 123#{long}\n(2) a 123#00\n(3) a 123#00\n")),
    ] {
        let outcome = read(name, &text, &options(&[]));
        assert_eq!(outcome.summary.accepted, 2, "{name} {:?}", outcome.summary);
        assert!(outcome.summary.rows_rejected >= 1, "{name}");
    }
    let rejected = read("f.csv", &format!("time,a\n2020-01-01,{long}\n"), &options(&[]));
    assert!(rejected.rejections()[0].contains("longer than 1000 bytes"));
}

#[test]
fn what_the_sink_refuses_is_counted_with_its_place() {
    let mut sink = Kept::default();
    sink.refused_time = Some(1_577_836_800_000_000_000);
    let outcome = read_into(sink, "f.csv", CSV.as_bytes(), &options(&[])).unwrap();
    outcome.check();
    assert_eq!(outcome.summary.rejected, 2 + 2 + 1);
    assert!(outcome.rejections()[0].starts_with("f.csv:2:12 (a): this time is refused"));
}

#[test]
fn nul_bytes_and_bad_utf8_cost_their_row_alone() {
    let bytes = b"time,a\n2020-01-01,\0\n2020-01-02,\xff\n2020-01-03,3\n";
    let outcome =
        read_into(Kept::default(), "f.csv", &bytes[..], &options(&["--type", "a=f64"])).unwrap();
    outcome.check();
    assert_eq!((outcome.summary.accepted, outcome.summary.rejected), (1, 2));
    assert!(outcome.rejections()[1].starts_with("f.csv:3:12: the row is not UTF-8"));
}

#[test]
fn utf16_is_named() {
    for bytes in [&b"\xff\xfet\0i\0m\0e\0"[..], b"t\0i\0m\0e\0", b"\0t\0i\0m\0e"] {
        let problem = read_into(Kept::default(), "f.csv", bytes, &options(&[])).err().unwrap();
        assert!(problem.to_string().contains("iconv"), "{problem}");
    }
    assert!(error("f.csv", "", &options(&["--device-tag", "x"])).contains("--device-column"));
}
