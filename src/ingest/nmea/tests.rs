#![allow(clippy::unwrap_used, reason = "tests")]

use crate::ingest::tests::support::{options, read};

/// A sentence with its checksum.
fn sentence(body: &str) -> String {
    format!("${body}*{:02X}\r\n", body.bytes().fold(0, |sum, byte| sum ^ byte))
}

const DAY: i64 = 86_400_000_000_000;

#[test]
fn positions_speeds_and_courses_are_in_the_units_of_their_metrics() {
    let text = sentence("GPRMC,123519,A,4807.038,N,01131.000,W,022.4,084.4,230394,003.1,W")
        + &sentence("GPGGA,123519.5,4807.038,S,01131.000,E,1,08,0.9,545.4,M,46.9,M,,")
        + &sentence("GPVTG,054.7,T,034.4,M,,N,036.0,K")
        + &sentence("GPHDT,12.5,T");
    let outcome = read("f.nmea", &text, &options(&["--device", "boat"]));
    let first = 8_847 * DAY + (12 * 3600 + 35 * 60 + 19) * 1_000_000_000;
    let half = first + 500_000_000;
    assert_eq!(
        outcome.sink.lines(),
        [
            format!("boat/latitude {first} {:?}", 48.0 + 7.038 / 60.0),
            format!("boat/longitude {first} {:?}", -(11.0 + 31.0 / 60.0)),
            format!("boat/speed {first} {:?}", 22.4 * (1852.0 / 3600.0)),
            format!("boat/course {first} 84.4"),
            format!("boat/latitude {half} {:?}", -(48.0 + 7.038 / 60.0)),
            format!("boat/longitude {half} {:?}", 11.0 + 31.0 / 60.0),
            format!("boat/satellites {half} 8.0"),
            format!("boat/hdop {half} 0.9"),
            format!("boat/altitude {half} 545.4"),
            format!("boat/course {half} 54.7"),
            format!("boat/speed {half} 10.0"),
            format!("boat/heading {half} 12.5"),
        ]
    );
}

#[test]
fn midnight_is_passed_and_what_comes_before_the_date_waits_for_it() {
    let text = sentence("GPGLL,4807.038,N,01131.000,E,235958,A")
        + &sentence("GPZDA,235959,31,12,2019,,")
        + &sentence("GPGLL,4807.038,N,01131.000,E,000001,A");
    let outcome = read("f.nmea", &text, &options(&[]));
    let midnight = 18_262 * DAY;
    let times: Vec<i64> = outcome.sink.of("latitude").iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [midnight - 2_000_000_000, midnight + 1_000_000_000]);
}

/// A log without RMC and ZDA was rejected whole, and nothing helped.
#[test]
fn the_start_dates_a_log_that_states_none() {
    let text = sentence("GPGLL,4807.038,N,01131.000,E,235958,A")
        + &sentence("GPGLL,4807.038,N,01131.000,E,000001,A");
    let outcome = read("f.nmea", &text, &options(&["--start", "2019-12-31T12:00:00Z"]));
    let midnight = 18_262 * DAY;
    let times: Vec<i64> = outcome.sink.of("latitude").iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [midnight - 2_000_000_000, midnight + 1_000_000_000]);
    assert!(outcome.summary.notes[0].contains("that of --start"), "{:?}", outcome.summary.notes);
    let undated = read("f.nmea", &text, &options(&[]));
    assert!(undated.rejections()[0].ends_with("give --start DATE"));
    // A date that is stated later counts more than the start.
    let dated = text + &sentence("GPZDA,000002,02,01,2020,,");
    let outcome = read("f.nmea", &dated, &options(&["--start", "2010-01-01"]));
    assert_eq!(outcome.sink.of("latitude")[0].0, midnight + DAY - 2_000_000_000);
    // More sentences than are held.
    let many = sentence("GPGLL,4807.038,N,01131.000,E,000001,A").repeat(3000);
    let outcome = read("f.nmea", &many, &options(&["--start", "2010-01-01"]));
    assert_eq!((outcome.summary.accepted, outcome.summary.notes.len()), (6000, 1));
}

#[test]
fn damaged_and_undated_sentences_are_rejected() {
    let text = "$GPGLL,4807.038,N,01131.000,E,235958,A*00\r\nhello\n$GPRMC,1\n".to_owned()
        + &sentence("GPGLL,4807.038,N,01131.000,E,235958,A")
        + &sentence("GPRMC,993519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W")
        + &sentence("GPRMC,123519,A,4807.038,X,01131.000,E,022.4,084.4,230394,003.1,W")
        + &sentence("GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,310294,003.1,W")
        + &sentence("GPGSV,1,1,00")
        + "!AIVDM,1,1,,A,14eG;o@034o8sd<L9i:a;WF>062D,0*7D\n";
    let outcome = read("f.nmea", &text, &options(&["--format", "nmea"]));
    let rejections = outcome.rejections();
    for (line, part) in rejections.iter().zip([
        "f.nmea:1:40: not NMEA 0183: the checksum does not fit",
        "f.nmea:2:1: not NMEA 0183: a sentence starts with $",
        "f.nmea:3:9: not NMEA 0183: the sentence has no checksum",
        "f.nmea:5:8: not NMEA 0183: the time is not hhmmss",
        "f.nmea:6:26: not NMEA 0183: the hemisphere",
        "f.nmea:7:52: not NMEA 0183: the date does not exist",
        "f.nmea:4:1: no sentence has said the date yet",
    ]) {
        assert!(line.starts_with(part), "{line}");
    }
    assert_eq!((outcome.summary.rows_rejected, outcome.summary.rows_skipped), (7, 2));
}
