#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::header::Header;
use super::split::{Cut, Row, Splitter};
use crate::ingest::tests::support::{Kept, error, options, read, read_into};
use chronolith_engine::{Kind, Metric};

fn lines(args: &[&str], text: &str) -> Vec<String> {
    let outcome = read("f.csv", text, &options(args));
    assert_eq!(outcome.rejections(), [""; 0], "{text}");
    outcome.sink.lines()
}

#[test]
fn headers_lose_their_units_and_stay_apart() {
    let names = |text: &str| {
        let headers: Vec<String> = text.split(',').map(str::to_owned).collect();
        let columns = Header::new(&headers).columns;
        let pair = |column: super::header::Column| format!("{}|{}", column.name, column.unit);
        columns.into_iter().map(pair).collect::<Vec<_>>()
    };
    assert_eq!(
        names("ENGINE_RPM (),Speed(m/s), speed (km/h) ,t [degC],f(x) y"),
        ["ENGINE_RPM|", "Speed|m/s", "speed|km/h", "t|degC", "f(x) y|"]
    );
    assert_eq!(
        names("Step,Step (Sec),a,a,,(x)"),
        ["Step|", "Step (Sec)|Sec", "a|", "a_2|", "column_5|", "(x)|"]
    );
}

#[test]
fn a_messy_file_gives_all_that_is_in_it() {
    let text = "\u{feff}timestamp , speed (km/h),rpm (),state,on,\r\n\
                2020-01-01 00:00:00, 61.5 ,NA,Drive, true,\r\n\
                \r\n\
                2020-01-01T00:00:01Z,nan,1200,,FALSE,\r\n\
                2020-01-01T01:00:02+01:00,-inf,null,\"a, \"\"b\"\"\",-\r\n\
                2020-01-01 00:00:02.5,1";
    let outcome = read("f.csv", text, &options(&["--device", "car"]));
    let second = 1_577_836_800;
    assert_eq!(
        outcome.sink.lines(),
        [
            format!("car/speed {second}000000000 61.5"),
            format!("car/state {second}000000000 \"Drive\""),
            format!("car/on {second}000000000 true"),
            format!("car/speed {}000000000 NaN", second + 1),
            format!("car/rpm {}000000000 1200.0", second + 1),
            format!("car/on {}000000000 false", second + 1),
            format!("car/speed {}000000000 -inf", second + 2),
            format!("car/state {}000000000 \"a, \\\"b\\\"\"", second + 2),
            format!("car/speed {}500000000 1.0", second + 2),
        ]
    );
    assert_eq!(outcome.rejections(), [""; 0]);
    assert_eq!((outcome.summary.rows, outcome.summary.rows_skipped), (5, 1));
    // Five value columns (the last has no name) in four rows.
    assert_eq!(outcome.summary.accepted + outcome.summary.empty, 20);
}

#[test]
fn a_bad_cell_is_named_and_the_rest_of_its_row_is_kept() {
    let text = "time,a,b\n2020-01-01,x,1\n2020-01-02,2,9007199254740993\n2020-01-03,3,4,5\n";
    let outcome = read("f.csv", text, &options(&["--type", "a=f64"]));
    let day = 86_400_000_000_000i64;
    let first = 18_262 * day;
    assert_eq!(
        outcome.sink.lines(),
        [
            format!("/b {first} 1.0"),
            format!("/a {} 2.0", first + day),
            format!("/a {} 3.0", first + 2 * day),
            format!("/b {} 4.0", first + 2 * day),
        ]
    );
    assert_eq!(
        outcome.rejections(),
        [
            "f.csv:2:12 (a): \"x\" is not a f64 value",
            "f.csv:3:14 (b): f64 cannot hold 9007199254740993 exactly; give --type b=i64 or u64",
            "f.csv:4:16: not CSV: the row has more values than the header has names",
        ]
    );
}

#[test]
fn a_row_without_a_readable_time_is_rejected_with_all_its_values() {
    let text = "time,a,b\n2020-01-01,1,\nyesterday,1,2\n,3,\n,,\n2020-13-01,,\n";
    let outcome = read("f.csv", text, &options(&[]));
    assert_eq!((outcome.summary.accepted, outcome.summary.rejected), (1, 3));
    assert_eq!(outcome.summary.empty, 1 + 1 + 2 + 2);
    assert_eq!(outcome.summary.rows_rejected, 3);
    assert_eq!(outcome.rejections()[1], "f.csv:4:1 (time): the row has no time");
}

#[test]
fn untyped_numbers_are_floats_and_types_are_kept() {
    assert_eq!(
        lines(&["--type", "n=i64"], "time,n,m\n2020-01-01,9007199254740993,7\n"),
        ["/n 1577836800000000000 9007199254740993i", "/m 1577836800000000000 7.0"]
    );
    let missing = error("f.csv", "time,rpm\n", &options(&["--type", "rpn=i64"]));
    assert!(missing.contains("did you mean \"rpm\"?"), "{missing}");
}

#[test]
fn numeric_times_need_to_be_told() {
    let text = "time,v\n12.5,1\n";
    let problem = error("f.csv", text, &options(&[]));
    assert!(problem.contains("--time-format s") && problem.contains("--start"), "{problem}");
    assert_eq!(lines(&["--time-format", "s"], text), ["/v 12500000000 1.0"]);
    assert_eq!(lines(&["--start", "1970-01-01T00:00:01Z"], text), ["/v 13500000000 1.0"]);
    let problem = error("f.csv", "time,v\n24-May-2019 18:11,1\n", &options(&[]));
    assert!(problem.contains("pattern"), "{problem}");
    let problem = error("f.csv", "when,v\n1,1\n", &options(&["--time", "wen"]));
    assert!(problem.contains("did you mean \"when\"?"), "{problem}");
    let problem = error("f.csv", "when,v\n1,1\n", &options(&[]));
    assert!(problem.contains("--time COLUMN; columns are \"when\", \"v\""), "{problem}");
}

#[test]
fn the_iso_column_is_found_among_others() {
    assert_eq!(
        lines(&[], "t,Date_time,v\n3,2020-01-01 00:00:01,5\n"),
        ["/t 1577836801000000000 3.0", "/v 1577836801000000000 5.0"]
    );
    let two = "Date,Time,v\n2020-01-01,00:00:01,5\n";
    assert_eq!(lines(&["--time", "Date+Time"], two), ["/v 1577836801000000000 5.0"]);
    let problem = error("f.csv", two, &options(&[]));
    assert!(problem.contains("--time DATE+TIME"), "{problem}");
}

#[test]
fn devices_and_tags_come_from_columns() {
    let text = "time;device;site;v\n2020-01-01;a;x;1\n2020-01-01;b;x;2\n2020-01-02;a;x;3\n";
    let outcome = read("f.csv", text, &options(&["--tag-column", "site", "--tag", "k=v"]));
    assert_eq!(
        outcome.sink.lines(),
        [
            "a/v{k=v,site=x} 1577836800000000000 1.0",
            "b/v{k=v,site=x} 1577836800000000000 2.0",
            "a/v{k=v,site=x} 1577923200000000000 3.0"
        ]
    );
    assert_eq!(outcome.summary.equal_times, 1);
    assert!(error("f.csv", text, &options(&["--device-tag", "x"])).contains("--device-column"));
}

#[test]
fn our_own_export_comes_back_without_flags() {
    let text = "time,device,metric,value,unit\n\
                1577836800000000000,car,speed,61.2,km/h\n\
                1577836800000000001,car,speed,-0.0,km/h\n\
                1577836800000000000,car,note,\"12, \"\"ok\"\"\",\n\
                1577836800000000001,car,note,\"\",\n\
                1577836800000000000,car,door,true,\n";
    let expected = [
        "car/speed{unit=km/h} 1577836800000000000 61.2",
        "car/speed{unit=km/h} 1577836800000000001 -0.0",
        "car/note 1577836800000000000 \"12, \\\"ok\\\"\"",
        "car/note 1577836800000000001 \"\"",
        "car/door 1577836800000000000 true",
    ];
    assert_eq!(lines(&[], text), expected);
    let kinds = "time,device,metric,value,kind\n5,car,n,7,i64\n5,car,b,00ff,bytes\n5,car,f,7,f64\n";
    assert_eq!(lines(&[], kinds), ["car/n 5 7i", "car/b 5 [00, ff]", "car/f 5 7.0"]);
}

#[test]
fn a_metric_that_exists_gives_untyped_numbers_its_kind() {
    use crate::ingest::RecordSink;
    let mut sink = Kept::default();
    sink.metric(&Metric::new("", "n"), Kind::I64, "").unwrap();
    let text = "time,n\n2020-01-01,7\n2020-01-02,7.5\n";
    let outcome = read_into(sink, "f.csv", text.as_bytes(), &options(&[])).unwrap();
    outcome.check();
    assert_eq!(outcome.sink.lines(), ["/n 1577836800000000000 7i"]);
    assert_eq!(outcome.rejections(), ["f.csv:3:12 (n): \"7.5\" is not a i64 value"]);
}

#[test]
fn an_open_quote_costs_one_row() {
    let text = "time,s\n2020-01-01,\"a\nb\"\n2020-01-02,\"open\n2020-01-03,c\n";
    let outcome = read("f.csv", text, &options(&[]));
    assert_eq!(
        outcome.sink.lines(),
        ["/s 1577836800000000000 \"a\\nb\"", "/s 1578009600000000000 \"c\""]
    );
    assert_eq!(outcome.rejections(), ["f.csv:4:12: not CSV: a quote is opened and not closed"]);
}

/// The rows of a text as the `csv` crate cuts them.
fn oracle(text: &str) -> Vec<Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let records = reader.records().map(|record| record.unwrap());
    records.map(|record| record.iter().map(str::to_owned).collect()).collect()
}

fn ours(text: &str) -> Vec<Vec<String>> {
    let mut splitter = Splitter::new(b',');
    let (mut rest, mut rows) = (text.as_bytes(), Vec::new());
    while let Cut::Row { bytes, .. } = splitter.cut(rest) {
        let row = Row::new(rest, bytes, 1, &splitter).unwrap();
        if !row.is_blank() {
            rows.push(row.cells().map(|cell| cell.text.to_owned()).collect());
        }
        rest = &rest[bytes..];
    }
    assert!(rest.is_empty());
    rows
}

proptest! {
    #[test]
    fn rows_and_cells_are_those_of_the_csv_crate(
        rows in prop::collection::vec(prop::collection::vec("[a-z0-9,\"\n]{0,6}", 1..5), 1..6)
    ) {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        for row in rows {
            writer.write_record(&row).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let blank = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
            rows.into_iter().filter(|row| row.iter().any(|cell| !cell.is_empty())).collect()
        };
        prop_assert_eq!(blank(ours(&text)), blank(oracle(&text)));
    }
}
