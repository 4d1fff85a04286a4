//! Damaged and random input: no panic, no endless run, and counts that add up.

use proptest::prelude::*;

use super::support::{Kept, options, read_into};
use crate::ingest::{Format, IngestOptions};

const SAMPLES: [(Format, &str); 7] = [
    (
        Format::Csv,
        "time,a (x),b\n2020-01-01 00:00:00,1.5,\"x,\n\"\"y\"\n2020-01-02T00:00:00Z,,true\n",
    ),
    (Format::Line, "m,device=a\\ b f=1.5,i=2i,s=\"x\\\"\ny\",b=t 5\n# c\nm f=-1e5 -6\n"),
    (
        Format::Jsonl,
        "{\"time\":\"2020-01-01T00:00:00Z\",\"a\":{\"b\":[1,2]},\"c\":\"\\u00e9\",\"d\":1e5}\n",
    ),
    (Format::Candump, "(1.5) can0 123#0011\n(2) can0 12345678##1AA\n (3) a 123 [2] 00 11\n"),
    (
        Format::Asc,
        "date Thu, 09 Nov 2023 20:36:33 GMT\nbase hex timestamps relative\n0.1 0 594 Rx d 2 34 21\n0.2 CANFD 1 Rx 5 N 1 0 9 3 1 2 3\n",
    ),
    (Format::Gvret, "Time Stamp,ID,Extended,Bus,LEN,D1,D2\n1500,00000123,false,0,2,0A,FF\n"),
    (
        Format::Nmea,
        "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\n$GPGGA,123520,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*4D\n",
    ),
];

/// Reads and checks the counts; an error of options or of the format is fine.
fn survives(format: Format, bytes: &[u8]) {
    let options = IngestOptions {
        format: Some(format),
        max_row_bytes: 200,
        ..options(&["--start", "2020-01-01T00:00:00Z", "--zone", "Europe/Paris"])
    };
    if let Ok(outcome) = read_into(Kept::default(), "f", bytes, &options) {
        outcome.check();
        let ends_line = |byte: &&u8| matches!(**byte, b'\n' | b'\r');
        let lines = bytes.iter().filter(ends_line).count() as u64 + 1;
        assert!(outcome.summary.rows <= lines, "{:?}", outcome.summary);
    }
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(512), failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn random_bytes_never_panic(which in 0..7usize, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        survives(SAMPLES[which].0, &bytes);
    }

    #[test]
    fn random_text_of_the_formats_signs_never_panics(
        which in 0..7usize,
        text in "[0-9a-fx,;=\"\\\\ \n\t(){}\\[\\]#$*:.éR\\-+]{0,200}",
    ) {
        survives(SAMPLES[which].0, text.as_bytes());
    }

    #[test]
    fn damaged_input_never_panics(
        which in 0..7usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..8),
        copies in 1..4usize,
    ) {
        let (format, sample) = SAMPLES[which];
        let mut bytes = sample.repeat(copies).into_bytes();
        for (at, byte, how) in damage {
            let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match how {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        survives(format, &bytes);
    }

    #[test]
    fn times_never_panic(text in "[0-9TZ:+. e\\-]{0,40}", pattern in "[%YmdHMSfzsabp .:-]{0,20}") {
        use crate::ingest::time::TimeReader;
        use crate::ingest::{TimeFormat, TimeUnit};
        for format in [TimeFormat::Iso, TimeFormat::Auto, TimeFormat::Epoch(TimeUnit::Seconds)] {
            let _ = TimeReader::new(format, Some(i64::MAX), None).read(&text);
        }
        let _ = TimeFormat::parse(&pattern);
        let _ = TimeReader::new(TimeFormat::Pattern(pattern), None, None).read(&text);
    }
}
