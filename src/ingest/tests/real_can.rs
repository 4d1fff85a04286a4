//! Real CAN logs with their DBC files.

use std::collections::HashMap;

use chronolith_engine::Value;

use super::support::{data, float, read_file, text_of};

#[test]
fn the_wheel_speeds_of_the_rav4_are_those_of_its_own_log() {
    let Some(folder) = data("can-comma2k19") else { return };
    let dbc = folder.join("_toyota_2017.dbc");
    let log = folder.join("rav4_60s_candump.log.gz");
    let dbc = format!("can0={}", dbc.display());
    let outcome = read_file(&log, &["--dbc", &dbc, "--pad-payload", "--device", "rav4"]);
    assert_eq!(outcome.summary.rows, 135_348);
    assert_eq!(outcome.summary.rejected, 0, "{:?}", outcome.rejections());
    let expected = text_of(&folder.join("wheel_speed.csv.gz"));
    let expected: Vec<Vec<f64>> = expected
        .lines()
        .skip(1)
        .map(|line| line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect())
        .collect();
    let names = ["WHEEL_SPEED_FL", "WHEEL_SPEED_FR", "WHEEL_SPEED_RL", "WHEEL_SPEED_RR"];
    for (wheel, name) in names.iter().enumerate() {
        let speeds = outcome.sink.of(name);
        assert_eq!(speeds.len(), 4_974, "{name}");
        for ((_, kmh), row) in speeds.iter().zip(&expected) {
            assert!((kmh / 3.6 - row[wheel]).abs() < 1e-12, "{name} {kmh} {}", row[wheel]);
        }
    }
    let (metric, _, unit) =
        outcome.sink.metrics.iter().find(|(metric, ..)| metric.name() == "WHEEL_SPEED_FL").unwrap();
    assert_eq!(metric.tag_value("message"), Some("WHEEL_SPEEDS"));
    assert_eq!(metric.tag_value("bus"), Some("can0"));
    assert_eq!(unit, "km/h");
}

#[test]
fn without_padding_the_signals_within_the_payload_are_kept_and_the_rest_is_named() {
    let Some(folder) = data("can-comma2k19") else { return };
    let dbc = folder.join("_toyota_2017.dbc").display().to_string();
    let outcome = read_file(&folder.join("rav4_60s_candump.log.gz"), &["--dbc", &dbc]);
    assert!(outcome.summary.rejected > 0);
    let rejection = &outcome.rejections()[0];
    assert!(rejection.contains("--pad-payload"), "{rejection}");
}

#[test]
fn without_a_dbc_every_frame_is_kept_as_bytes() {
    let Some(folder) = data("can-nmea2000") else { return };
    let log = folder.join("nmea2000_part1_candump.log.gz");
    let outcome = read_file(&log, &[]);
    let text = text_of(&log);
    assert_eq!(outcome.summary.accepted, 6_821);
    assert_eq!(outcome.summary.rejected, 0);
    for ((metric, time, value), line) in outcome.sink.records.iter().zip(text.lines()) {
        let (stamp, rest) = line[1..].split_once(") can0 ").unwrap();
        let (id, payload) = rest.split_once('#').unwrap();
        let (seconds, micros) = stamp.split_once('.').unwrap();
        let micros: i64 = format!("{seconds}{micros}").parse().unwrap();
        assert_eq!(*time, micros * 1000);
        assert_eq!(outcome.sink.metrics[*metric as usize].0.tag_value("id"), Some(id));
        let Value::Bytes(bytes) = value else { panic!("{value:?}") };
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex, payload);
    }
}

#[test]
fn every_frame_of_the_kona_is_decoded_skipped_or_named() {
    let Some(folder) = data("can-kona") else { return };
    let dbc = format!("0={}", folder.join("pcan.dbc").display());
    let log = folder.join("230112-7-2019-pcan-ccan-power-off-on-ready-off.csv.gz");
    let outcome = read_file(&log, &["--dbc", &dbc, "--start", "2023-01-12T00:00:00Z"]);
    let summary = &outcome.summary;
    assert_eq!(summary.rows, 39_546 + 1, "the header is a row that is skipped");
    assert!(summary.notes.iter().any(|note| note.contains("BU_")), "{:?}", summary.notes);
    // 282 of 24,262 known frames of bus 0 lack their last byte.
    assert!(summary.rows_rejected <= 282, "{}", summary.rows_rejected);
    assert!(outcome.rejections().iter().all(|line| line.contains("has 8 bytes and the frame 7")));
    // One signal against a reading by hand: VCU_200 byte 0, little end.
    let text = text_of(&log);
    let by_hand: Vec<f64> = text
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim().split(',').collect();
            let known = cells[1] == "00000200" && cells[3] == "0";
            known.then(|| f64::from(u8::from_str_radix(cells[5], 16).unwrap()))
        })
        .collect();
    let values: Vec<f64> =
        outcome.sink.of("RangeAdditionalClimateOff").iter().map(|(_, value)| *value).collect();
    assert!(!values.is_empty());
    assert_eq!(values, by_hand);
}

#[test]
fn every_other_log_of_the_kona_is_kept_as_bytes() {
    let Some(folder) = data("can-kona") else { return };
    let logs = [
        ("221210-1-2021-dcan-car-scanner-elm327.csv.gz", 1_845),
        ("230606-1-2021-epcu-control-board-only.csv.gz", 9_473),
    ];
    for (log, rows) in logs {
        let outcome = read_file(&folder.join(log), &["--start", "2023-01-12T00:00:00Z"]);
        assert_eq!((outcome.summary.accepted, outcome.summary.rejected), (rows, 0));
    }
}

#[test]
fn a_vector_log_gives_every_frame_from_the_date_of_its_head() {
    let Some(folder) = data("can-kona") else { return };
    let log = folder.join("bms-idle-30sec.asc.gz");
    let outcome = read_file(&log, &[]);
    let text = text_of(&log);
    let frames: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() > 5 && words[4] == "d")
        .collect();
    assert_eq!((outcome.summary.accepted, outcome.summary.rejected), (5_934, 0));
    let start: jiff::Timestamp = "2023-11-09T20:36:33Z".parse().unwrap();
    let start = start.as_nanosecond();
    for ((_, time, value), words) in outcome.sink.records.iter().zip(&frames) {
        let since: f64 = words[0].parse().unwrap();
        assert!(((i128::from(*time) - start) as f64 / 1e9 - since).abs() < 1e-9);
        let Value::Bytes(bytes) = value else { panic!("{value:?}") };
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex, words[6..]);
    }
}

#[test]
fn every_dbc_file_of_the_data_is_read() {
    let names = ["pcan.dbc", "ccan.dbc", "comp_can.dbc"];
    for path in names.iter().filter_map(|name| data(&format!("can-kona/{name}"))) {
        let text = std::fs::read_to_string(&path).unwrap();
        let (dbc, repair) = crate::ingest::can::parse_dbc(&text).unwrap();
        assert_eq!(
            dbc.messages.len(),
            text.matches("\nBO_ ").count() + usize::from(text.starts_with("BO_ "))
        );
        let signals: usize = dbc.messages.iter().map(|message| message.signals.len()).sum();
        assert_eq!(signals, text.matches(" SG_ ").count() - text.matches("CM_ SG_ ").count());
        assert!(repair.is_some(), "{}", path.display());
    }
}

#[test]
fn the_values_of_the_radar_tracks_are_those_of_a_reading_bit_by_bit() {
    let Some(folder) = data("can-comma2k19") else { return };
    let dbc = format!("can1={}", folder.join("toyota_adas.dbc").display());
    let log = folder.join("rav4_60s_candump.log.gz");
    let outcome = read_file(&log, &["--dbc", &dbc, "--pad-payload"]);
    // TRACK_A_0 (0x210): SG_ LONG_DIST : 15|13@0+ (0.04,0).
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let text = text_of(&log);
    let by_hand = text.lines().filter_map(|line| {
        let payload = line.split_once(" can1 210#")?.1;
        let byte = |at: usize| payload.get(2 * at..2 * at + 2);
        let byte = |at: usize| byte(at).map_or(0, |hex| u32::from_str_radix(hex, 16).unwrap());
        Some(f64::from((byte(1) << 8 | byte(2)) >> 3) * 0.04)
    });
    let tracks: Vec<f64> = outcome
        .sink
        .records
        .iter()
        .filter(|(metric, ..)| {
            let metric = &outcome.sink.metrics[*metric as usize].0;
            metric.name() == "LONG_DIST" && metric.tag_value("message") == Some("TRACK_A_0")
        })
        .map(|(_, _, value)| float(value))
        .collect();
    let by_hand: Vec<f64> = by_hand.collect();
    *counts.entry("tracks").or_default() += tracks.len();
    assert!(!tracks.is_empty());
    assert_eq!(tracks, by_hand);
}
