//! Real CSV recordings, compared with a reading that only splits lines and cells.

use chronolith_engine::{Kind, Value};

use super::support::{Outcome, files, read_file, text_of};

/// The cells of a simple file, row by row, without header and time; none where empty.
fn cells(text: &str, delimiter: char, skip: usize, not_values: &[usize]) -> Vec<Option<String>> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text.lines().skip(skip);
    let width = lines.next().unwrap().trim_end_matches(delimiter).split(delimiter).count();
    let mut cells = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let row: Vec<&str> = line.split(delimiter).map(str::trim).collect();
        for column in (0..width).filter(|column| !not_values.contains(column)) {
            let cell = row.get(column).filter(|cell| !cell.is_empty() && **cell != "N/A");
            cells.push(cell.map(|cell| (*cell).to_owned()));
        }
    }
    cells
}

/// Compares every value with the simple reading, and the counts.
fn same_values(outcome: &Outcome, cells: &[Option<String>]) {
    let filled: Vec<&String> = cells.iter().flatten().collect();
    assert_eq!(outcome.summary.accepted, filled.len() as u64);
    assert_eq!(outcome.summary.empty, (cells.len() - filled.len()) as u64);
    for ((_, _, value), cell) in outcome.sink.records.iter().zip(filled) {
        match value {
            Value::F64(value) => {
                assert_eq!(value.to_bits(), cell.parse::<f64>().unwrap().to_bits(), "{cell}");
            }
            Value::Text(value) => assert_eq!(value, cell),
            other => panic!("{other:?} for {cell}"),
        }
    }
}

#[test]
fn every_row_of_the_drive_cycles_arrives() {
    let mut rows = 0;
    for path in files("drive-cycles", ".csv") {
        let args = ["--time", "cycSecs", "--time-format", "s", "--start", "2024-01-01T00:00:00Z"];
        let outcome = read_file(&path, &args);
        same_values(&outcome, &cells(&text_of(&path), ',', 0, &[0]));
        assert_eq!((outcome.summary.rejected, outcome.summary.rows_skipped), (0, 0));
        rows += outcome.summary.rows;
    }
    assert!(rows == 0 || rows == 89_456, "{rows}");
}

#[test]
fn every_row_of_the_chicago_drives_arrives_without_flags() {
    let mut rows = 0;
    for path in files("drives-cmap", ".csv.gz") {
        let outcome = read_file(&path, &[]);
        same_values(&outcome, &cells(&text_of(&path), ',', 0, &[0]));
        let first = text_of(&path).lines().nth(1).unwrap()[..19].replace(' ', "T") + "Z";
        let first: jiff::Timestamp = first.parse().unwrap();
        assert_eq!(i128::from(outcome.sink.records[0].1), first.as_nanosecond());
        assert_eq!(outcome.summary.rejected, 0);
        rows += outcome.summary.rows;
    }
    assert!(rows == 0 || rows == 181_206, "{rows}");
}

#[test]
fn every_row_of_the_obd_logs_is_accounted_for() {
    let mut rows = 0;
    for path in files("obd-carobd", ".csv.gz") {
        let args = ["--time", "ENGINE_RUN_TINE ()", "--start", "2017-01-01T00:00:00Z"];
        let outcome = read_file(&path, &args);
        let name = |index: usize| outcome.sink.metrics[index].0.name().to_owned();
        assert_eq!((name(0).as_str(), name(1).as_str()), ("ENGINE_RPM", "VEHICLE_SPEED"));
        assert_eq!(outcome.sink.metrics.len(), 26);
        same_values(&outcome, &cells(&text_of(&path), ',', 0, &[0]));
        assert_eq!(outcome.summary.rejected, 0);
        assert!(outcome.summary.equal_times > 0, "two rows share each second");
        // One file ends with a line of a blank.
        rows += outcome.summary.rows - outcome.summary.rows_skipped;
    }
    assert!(rows == 0 || rows == 41_737, "{rows}");
}

#[test]
fn every_row_of_the_wind_turbine_arrives_with_its_offsets() {
    for path in files("wind-lahauteborne", ".csv.gz") {
        let outcome = read_file(&path, &["--device-column", "Wind_turbine_name"]);
        same_values(&outcome, &cells(&text_of(&path), ',', 0, &[0, 1]));
        assert_eq!(outcome.summary.rows, 105_120);
        assert_eq!((outcome.summary.empty, outcome.summary.rejected), (3_325, 0));
        assert_eq!(outcome.summary.equal_times, 12);
        assert!(outcome.sink.metrics.iter().all(|(metric, ..)| metric.device() == "R80711"));
        let first: jiff::Timestamp = "2014-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(i128::from(outcome.sink.records[0].1), first.as_nanosecond());
    }
}

#[test]
fn every_row_of_the_anomaly_benchmark_arrives_without_flags() {
    let mut rows = 0;
    for path in files("nab", ".csv.gz") {
        let outcome = read_file(&path, &["--device", "nab"]);
        same_values(&outcome, &cells(&text_of(&path), ',', 0, &[0]));
        assert_eq!(outcome.summary.rejected, 0);
        rows += outcome.summary.rows;
    }
    // The data's page counts 91,471 rows.
    assert!(rows == 0 || rows == 91_471, "{rows}");
}

#[test]
fn every_row_of_the_battery_cycler_arrives() {
    let mut rows = 0;
    for path in files("battery-beep", ".txt.gz") {
        let args = [
            "--skip-lines",
            "1",
            "--time",
            "DPt Time",
            "--time-format",
            "%m/%d/%Y %H:%M:%S",
            "--zone",
            "America/Los_Angeles",
        ];
        let outcome = read_file(&path, &args);
        same_values(&outcome, &cells(&text_of(&path), '\t', 1, &[11]));
        assert_eq!(outcome.summary.rejected, 0);
        let (step, _, unit) = &outcome.sink.metrics[4 - 1];
        assert_eq!((step.name(), unit.as_str()), ("Test", "Sec"));
        assert!(
            outcome
                .sink
                .metrics
                .iter()
                .any(|(metric, kind, _)| { metric.name() == "State" && *kind == Kind::Text })
        );
        rows += outcome.summary.rows;
    }
    for path in files("battery-beep", "FastCharge") {
        let outcome = read_file(&path, &["--time", "DateTime", "--time-format", "s"]);
        same_values(&outcome, &cells(&text_of(&path), ',', 0, &[2]));
        rows += outcome.summary.rows;
    }
    assert!(rows == 0 || rows == 18_143, "{rows}");
}

#[test]
fn a_cycler_that_runs_through_the_end_of_daylight_saving_goes_on_rising() {
    for path in files("battery-beep", "tztest") {
        let args = [
            "--skip-lines",
            "1",
            "--time",
            "DPt Time",
            "--time-format",
            "%m/%d/%Y %H:%M:%S",
            "--zone",
            "America/Los_Angeles",
        ];
        let outcome = read_file(&path, &args);
        let elapsed = outcome.sink.of("Test");
        // The clock of the test and the wall clock drift by a few seconds in nine hours.
        let (first_time, first_test) = elapsed[0];
        for (time, test) in elapsed {
            let wall = (time - first_time) as f64 / 1e9;
            assert!((wall - (test - first_test)).abs() <= 10.0, "{wall} {test}");
        }
    }
}

#[test]
fn the_telephone_drive_arrives_with_text_among_numbers() {
    for path in files("phone-drive-ikhyd", "sample_trip") {
        let args = ["--time-format", "%d-%b-%Y %H:%M:%S%.f", "--zone", "America/Chicago"];
        let outcome = read_file(&path, &args);
        same_values(&outcome, &cells(&text_of(&path), ',', 0, &[0]));
        assert_eq!((outcome.summary.rows, outcome.summary.rejected), (4_776, 0));
        let unit = |name: &str| {
            let mut metrics = outcome.sink.metrics.iter();
            metrics.find(|(metric, ..)| metric.name() == name).unwrap().2.clone()
        };
        assert_eq!(unit("Speed"), "m/s");
        assert_eq!(unit("magX"), "µT");
    }
}

#[test]
fn an_event_log_without_a_header_arrives_as_long_rows() {
    for path in files("phone-drive-ikhyd", "trip_with_obd") {
        let args = [
            "--format",
            "csv",
            "--columns",
            "time,kind,value",
            "--metric-column",
            "kind",
            "--value-column",
            "value",
            "--time-format",
            "ms",
        ];
        let outcome = read_file(&path, &args);
        assert_eq!((outcome.summary.rows, outcome.summary.rejected), (12_727, 0));
        assert_eq!(outcome.sink.of("010D").len(), 11_579);
    }
}
