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
}

/// A file with a date and a time of day in two columns was read by its dates alone: all its rows
/// had the time of midnight.
#[test]
fn a_date_and_a_time_of_day_are_read_together() {
    for (row, time) in [
        ("2020-01-01,00:00:01", "1577836801000000000"),
        ("2020-01-01,0:00:01.5", "1577836801500000000"),
        ("01/31/2020,12:00:01 AM", "1580428801000000000"),
        ("31.01.2020,24:00", "1580515200000000000"),
    ] {
        let text = format!("Date,Time,v\n{row},5\n");
        if row.contains("24:00") {
            let outcome = read("f.csv", &text, &options(&[]));
            assert_eq!(outcome.summary.rejected, 1, "a pattern reads no 24:00");
            continue;
        }
        assert_eq!(lines(&[], &text), [format!("/v {time} 5.0")], "{row}");
    }
    let halves = "Date,Time,v\n2020-01-01,00:00:01,5\n2020-01-02,,6\n,00:00:03,7\n,,\n";
    let outcome = read("f.csv", halves, &options(&[]));
    assert_eq!(outcome.sink.lines(), ["/v 1577836801000000000 5.0"]);
    assert_eq!(
        outcome.rejections(),
        [
            "f.csv:3:12 (Time): the row has only half of its time, \"2020-01-02\"",
            "f.csv:4:1 (Date): the row has only half of its time, \"00:00:03\"",
        ]
    );
    assert_eq!(outcome.summary.notes, ["times are \"Date\" and \"Time\" together"]);
}

#[test]
fn dates_are_not_read_alone_where_a_time_of_day_may_be_beside_them() {
    for (text, hint) in [
        ("Date,Time,v\n2020-01-01,93000,5\n", "give --time Date+Time"),
        ("Date,Time,v\n2020-01-01,,5\n", "and Time (\"\") may hold the time of day"),
        ("Date,Opened,v\n2020-01-01,09:30,5\n", "give --time Date+Opened"),
        ("Date,Time,v\n05/04/2020,09:30,5\n", "--time-format \"%d/%m/%Y %H:%M\" or"),
        ("Date,v\n05/04/2020,5\n", "--time-format \"%d/%m/%Y\" or \"%m/%d/%Y\""),
        ("Day,Time,v\n2020-01-01,09:30,5\n", "give --time Day+Time for the date in \"Day\""),
        ("Time,v\n09:30,5\n", "no column holds the date; give --start DATE"),
        ("when,v\n,1\n", "no column has a usual name"),
    ] {
        let problem = error("f.csv", text, &options(&[]));
        assert!(problem.contains(hint), "{text}: {problem}");
    }
    let numbers = "Date,Time,v\n2020-01-01,093000,5\n";
    let pattern = ["--time", "Date+Time", "--time-format", "%Y-%m-%d %H%M%S"];
    assert_eq!(lines(&pattern, numbers), ["/v 1577871000000000000 5.0"]);
    let slashes = "Date,Time,v\n05/04/2020,09:30,5\n";
    let day_first = ["--time-format", "%d/%m/%Y %H:%M"];
    assert_eq!(lines(&day_first, slashes), ["/v 1586079000000000000 5.0"]);
    let midnight = ["--time", "Date"];
    let with_time = "Date,Time,v\n2020-01-01,93000,5\n";
    assert_eq!(lines(&midnight, with_time)[1], "/v 1577836800000000000 5.0");
    assert_eq!(lines(&[], "date,v\n2020-01-01,5\n"), ["/v 1577836800000000000 5.0"]);
    assert_eq!(
        lines(&["--start", "2020-01-01"], "date,time,v\n2020-01-01,1.5,5\n")[1],
        "/v 1577836801500000000 5.0"
    );
}

#[test]
fn times_of_day_count_from_the_start_through_midnight_and_its_zone() {
    let text = "time,v\n23:59:59,1\n00:00:01,2\n11:00,3\n23:00,4\n10:00,5\n";
    let zone = ["--start", "2020-06-01", "--zone", "Europe/Paris"];
    let first = 1_591_048_799_000_000_000i64;
    let outcome = read("f.csv", text, &options(&zone));
    let times: Vec<i64> =
        outcome.sink.of("v").iter().map(|(time, _)| (time - first) / 1_000_000_000).collect();
    assert_eq!(times, [0, 2, 39_601, 82_801, 122_401]);
}

/// Numbers with a decimal comma were taken for text, and `1.234` of the same file for 1.234.
#[test]
fn decimal_commas_are_read_and_never_guessed_against_the_file() {
    let text = "time;v;n\n2020-01-01;1,5;a\n2020-01-02;1.234,5;\n2020-01-03;1.234;b\n";
    let outcome = read("f.csv", text, &options(&[]));
    let values: Vec<f64> = outcome.sink.of("v").iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [1.5, 1234.5, 1234.0]);
    assert_eq!(outcome.summary.notes, ["numbers such as 1,5 are read with a decimal comma"]);
    let point = read("f.csv", text, &options(&["--decimal", "point"]));
    assert_eq!(point.sink.lines()[0], "/v 1577836800000000000 \"1,5\"");
    assert!(point.summary.notes[0].contains("\"1,5\" was taken for text; --decimal comma"));
    let mixed = error("f.csv", "time;v;w\n2020-01-01;1,5;2.5\n", &options(&[]));
    assert!(mixed.contains("(1,5)") && mixed.contains("(2.5)") && mixed.contains("--decimal"));
    let later = read("f.csv", "time;v\n2020-01-01;1,5\n2020-01-02;2.5\n", &{
        options(&["--decimal", "comma"])
    });
    assert_eq!(later.rejections(), ["f.csv:3:12 (v): \"2.5\" is not a f64 value"]);
    let thousands = read("f.csv", "time,v\n2020-01-01,\"1,234\"\n", &options(&[]));
    assert!(thousands.summary.notes[0].contains("was taken for text"));
    let epoch = ["--time-format", "s"];
    assert_eq!(lines(&epoch, "time;v\n1,5;2,5\n"), ["/v 1500000000 2.5"]);
}

#[test]
fn comments_before_the_header_may_hold_it_and_its_units() {
    let expected = ["/v 1577836800000000000 5.0", "/w 1577836800000000000 6.0"];
    let row = "2020-01-01,5,6\n";
    for head in [
        "# by \"x\n\n# of, many, words and more\ntime,v,w\n",
        "#time,v,w\n# units: s, km/h, V\n",
        "#units,s,km/h,V\n# time, v, w\n",
        "sep=,\ntime,v,w\n",
    ] {
        let text = format!("{head}{row}# the \"end\n");
        let outcome = read("f.csv", &text, &options(&[]));
        assert_eq!(outcome.sink.lines(), expected, "{head}");
        let units = if head.contains("units") { ["km/h", "V"] } else { ["", ""] };
        let found: Vec<&str> =
            outcome.sink.metrics.iter().map(|(.., unit)| unit.as_str()).collect();
        assert_eq!(found, units, "{head}");
        let is_comment = head.contains('#');
        assert_eq!(outcome.summary.rows_skipped, u64::from(is_comment) + u64::from(!is_comment));
    }
    let outcome = read("f.csv", "# only\n# comments\n", &options(&[]));
    assert_eq!(outcome.summary.notes, ["the file is empty"]);
}

#[test]
fn a_row_of_units_below_the_header_is_no_row() {
    let text = "time\tspeed\tstate\ns\tkm/h\t-\n0.5\t5\tD\n";
    let outcome = read("f.tsv", text, &options(&["--start", "1970-01-01"]));
    assert_eq!(outcome.sink.lines(), ["/speed 500000000 5.0", "/state 500000000 \"D\""]);
    assert_eq!(outcome.sink.metrics[0].2, "km/h");
    assert_eq!((outcome.summary.rows, outcome.summary.rows_skipped), (2, 1));
    // A row of data is none of units, whatever words it has.
    let problem = error("f.csv", "time,v\nsoon,a\n", &options(&[]));
    assert!(problem.contains("holds \"soon\""), "{problem}");
}

#[test]
fn words_for_no_value_are_empty_cells_unless_the_column_is_declared_as_text() {
    let text =
        "time,s\n2020-01-01,a\n2020-01-02,NA\n2020-01-03,-\n2020-01-04,\"NA\"\n2020-01-05,\n";
    let outcome = read("f.csv", text, &options(&[]));
    assert_eq!((outcome.summary.accepted, outcome.summary.empty), (2, 3));
    assert!(outcome.summary.notes[0].starts_with("2 cells of text columns hold NA"));
    let declared = read("f.csv", text, &options(&["--type", "s=text"]));
    assert_eq!((declared.summary.accepted, declared.summary.empty), (4, 1));
    assert_eq!(declared.summary.notes, [""; 0]);
}

#[test]
fn columns_of_one_name_are_told_apart_and_said() {
    let outcome = read("f.csv", "time,a,a\n2020-01-01,1,2\n", &options(&[]));
    assert_eq!(outcome.sink.metrics[1].0.name(), "a_2");
    let note = "several columns are called \"a\"; column 3 is the metric \"a_2\"";
    assert_eq!(outcome.summary.notes, [note]);
}

#[test]
fn units_of_an_export_come_back() {
    let text = "time,device,metric,value,kind,unit,unit\n5,car,v,7,f64,km/h,tag\n";
    let outcome = read("f.csv", text, &options(&[]));
    assert_eq!(outcome.sink.lines(), ["car/v{unit=tag} 5 7.0"]);
    assert_eq!(outcome.sink.metrics[0].2, "km/h");
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

/// Each value column is compared with all that may be the time: a header of nothing but `time` kept a writer
/// for minutes.
#[test]
fn so_many_columns_may_be_the_time_and_no_more() {
    let names = vec!["time".to_owned(); 10_000];
    assert_eq!(Header::new(&names).time_candidates(), (0..64).collect::<Vec<_>>());
}
