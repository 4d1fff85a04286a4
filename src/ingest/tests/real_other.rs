//! Real NMEA and JSON recordings.

use chronolith_engine::Value;

use super::support::{files, read_file, text_of};

#[test]
fn every_sentence_of_the_receivers_is_accounted_for() {
    let mut rows = 0;
    for path in files("gps-nmea", ".nmea.gz") {
        let outcome = read_file(&path, &["--device", "gps"]);
        assert_eq!(outcome.summary.rejected, 0, "{:?}", outcome.rejections());
        let text = text_of(&path);
        // GGA by hand: degrees and minutes.
        let by_hand: Vec<f64> = text
            .lines()
            .filter(|line| line.contains("GGA,") && !line.contains("GGA,,"))
            .map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                let (degrees, minutes) = fields[2].split_at(2);
                degrees.parse::<f64>().unwrap() + minutes.parse::<f64>().unwrap() / 60.0
            })
            .collect();
        let latitudes: Vec<f64> =
            outcome.sink.of("latitude").iter().map(|(_, value)| *value).collect();
        assert!(!by_hand.is_empty());
        assert!(by_hand.iter().all(|latitude| latitudes.contains(latitude)));
        assert_eq!(outcome.sink.of("altitude").len(), by_hand.len());
        rows += outcome.summary.rows;
    }
    assert!(rows == 0 || rows == 271, "{rows}");
}

#[test]
fn sentences_before_the_first_date_get_the_date_that_follows() {
    for path in files("gps-nmea", "nl2008u") {
        let outcome = read_file(&path, &[]);
        let first = outcome.sink.records.iter().map(|(_, time, _)| *time).min().unwrap();
        let first = jiff::Timestamp::from_nanosecond(first.into()).unwrap().to_string();
        assert!(first.starts_with("2015-10-10T09:12:3"), "{first}");
    }
}

#[test]
fn every_message_between_vehicles_is_flattened() {
    for (part, rows) in [("bsmLog", 222), ("rxMsg", 243)] {
        for path in files("v2x", part) {
            if !path.to_string_lossy().ends_with(".json.gz") {
                continue;
            }
            let args =
                ["--time", "metadata.recordGeneratedAt", "--device", "obu", "--format", "jsonl"];
            let outcome = read_file(&path, &args);
            assert_eq!(outcome.summary.rows, rows);
            assert_eq!(outcome.summary.rejected, 0, "{:?}", outcome.rejections());
            let (text, sink) = (text_of(&path), &outcome.sink);
            let first: serde_json::Value =
                serde_json::from_str(text.lines().next().unwrap()).unwrap();
            for (metric, _, value) in sink.records.iter().take(20) {
                let name = sink.metrics[*metric as usize].0.name();
                let pointer = format!("/{}", name.replace('.', "/"));
                let expected = first.pointer(&pointer).unwrap();
                match value {
                    Value::F64(value) => assert_eq!(Some(*value), expected.as_f64()),
                    Value::Text(value) => assert_eq!(Some(value.as_str()), expected.as_str()),
                    Value::Bool(value) => assert_eq!(Some(*value), expected.as_bool()),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
