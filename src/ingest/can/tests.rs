#![allow(clippy::unwrap_used, reason = "tests")]

use crate::ingest::IngestOptions;
use crate::ingest::tests::support::{error, options, read};

fn lines(name: &str, args: &[&str], text: &str) -> Vec<String> {
    let outcome = read(name, text, &options(args));
    assert_eq!(outcome.rejections(), [""; 0], "{text}");
    outcome.sink.lines()
}

/// Options with a DBC file of this text.
fn with_dbc(folder: &tempfile::TempDir, text: &str, args: &[&str]) -> IngestOptions {
    let path = folder.path().join("test.dbc");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    options(&[args, &["--dbc", &path]].concat())
}

#[test]
fn candump_is_read_in_all_its_forms() {
    let text = "(1.5) can0 123#0011\n\
                (2.000000001) vcan0 12345678#\n\
                (3) can0 001##1AABB\n\
                (4) can0 123#R\n\
                (5) can0 20000080#0000000000000000\n\
                (6) can0 123#00.11.22 T\n\
                \x20(7.0)  can1  7FF   [2]  0A 0B   '..'\n\
                (8.0)  can1  TX B -  1ABCDEF0  [03]  0A 0B 0C\n\
                (9.0)  can1  123  [0]  remote request\n\
                \n# comment\n";
    let outcome = read("f.log", text, &options(&[]));
    assert_eq!(
        outcome.sink.lines(),
        [
            "/frame{bus=can0,id=123} 1500000000 [00, 11]",
            "/frame{bus=vcan0,id=12345678} 2000000001 []",
            "/frame{bus=can0,id=001} 3000000000 [aa, bb]",
            "/frame{bus=can0,id=123} 6000000000 [00, 11, 22]",
            "/frame{bus=can1,id=7FF} 7000000000 [0a, 0b]",
            "/frame{bus=can1,id=1ABCDEF0} 8000000000 [0a, 0b, 0c]",
        ]
    );
    assert_eq!(outcome.rejections(), [""; 0]);
}

#[test]
fn a_bad_frame_is_named_and_the_rest_goes_on() {
    let text = "(1) can0 12#00\n(x) can0 123#00\n(2) can0 123#0\n(3) can0 12G#00\n(4) can0 123\n\
                (5) can0 123#00zz\nhello\n(6) can0 800#00\n(7) can0 123  [2] 00\n";
    let outcome = read("f.log", text, &options(&["--format", "candump"]));
    assert_eq!(outcome.summary.accepted, 1);
    let places: Vec<String> = outcome
        .rejections()
        .iter()
        .map(|line| line.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        places,
        [
            "f.log:2:2",
            "f.log:3:14",
            "f.log:4:10",
            "f.log:5:10",
            "f.log:6:16",
            "f.log:7:1",
            "f.log:8:10",
            "f.log:9:15"
        ]
    );
}

const DBC: &str = "VERSION \"\"\n\nNS_ :\n\nBS_:\n\nBU_: A\n\n\
    BO_ 291 Engine: 8 A\n \
    SG_ Speed : 0|16@1+ (0.01,-10) [0|0] \"km/h\" A\n \
    SG_ Torque : 23|12@0- (1,0) [0|0] \"Nm\" A\n \
    SG_ Ratio : 32|32@1- (1,0) [0|0] \"\" A\n\n\
    BO_ 2566844693 Muxed: 3 A\n \
    SG_ Page M : 0|8@1+ (1,0) [0|0] \"\" A\n \
    SG_ First m0 : 8|8@1+ (1,0) [0|0] \"\" A\n \
    SG_ Second m1 : 8|16@1+ (1,0) [0|0] \"\" A\n\n\
    SIG_VALTYPE_ 291 Ratio : 1;\n";

#[test]
fn signals_are_physical_values_with_units_and_tags() {
    let folder = tempfile::tempdir().unwrap();
    let ratio: String = 1.5f32.to_le_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    let text = format!(
        "(1) can0 123#E803FFF0{ratio}\n(2) can0 18FEF115#0005\n(3) can0 18FEF115#010203\n\
         (4) can0 18FEF115#0203\n(5) can0 777#00\n(6) can0 123#E803FF\n"
    );
    let outcome = read("f.log", &text, &with_dbc(&folder, DBC, &["--device", "car"]));
    assert_eq!(
        outcome.sink.lines(),
        [
            "car/Speed{bus=can0,message=Engine} 1000000000 0.0",
            "car/Torque{bus=can0,message=Engine} 1000000000 -1.0",
            "car/Ratio{bus=can0,message=Engine} 1000000000 1.5",
            "car/Page{bus=can0,message=Muxed} 2000000000 0.0",
            "car/First{bus=can0,message=Muxed} 2000000000 5.0",
            "car/Page{bus=can0,message=Muxed} 3000000000 1.0",
            "car/Second{bus=can0,message=Muxed} 3000000000 770.0",
            "car/Page{bus=can0,message=Muxed} 4000000000 2.0",
            "car/Speed{bus=can0,message=Engine} 6000000000 0.0",
        ]
    );
    assert_eq!(outcome.sink.metrics[0].2, "km/h");
    assert_eq!((outcome.summary.rejected, outcome.summary.rows_skipped), (2, 1));
    let rejection = &outcome.rejections()[0];
    assert!(
        rejection.starts_with("f.log:6:14 (Engine): message Engine has 8 bytes"),
        "{rejection}"
    );
    assert!(rejection.contains("Torque, Ratio is not in it"), "{rejection}");
    assert!(outcome.summary.notes[0].contains("1 frames of 1 ids"), "{:?}", outcome.summary.notes);

    let kept = read("f.log", "(5) can0 777#01\n", &with_dbc(&folder, DBC, &["--keep-unknown"]));
    assert_eq!(kept.sink.lines(), ["/frame{bus=can0,id=777} 5000000000 [01]"]);
    let padded =
        read("f.log", "(6) can0 123#E803FF\n", &with_dbc(&folder, DBC, &["--pad-payload"]));
    assert_eq!((padded.summary.accepted, padded.summary.rejected), (3, 0));
}

#[test]
fn extended_multiplexing_follows_its_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let dbc = "VERSION \"\"\n\nNS_ :\n\nBS_:\n\nBU_: A\n\nBO_ 256 M: 3 A\n \
        SG_ Top M : 0|8@1+ (1,0) [0|0] \"\" A\n \
        SG_ Inner m3M : 8|8@1+ (1,0) [0|0] \"\" A\n \
        SG_ Leaf m2 : 16|8@1+ (1,0) [0|0] \"\" A\n\n\
        SG_MUL_VAL_ 256 Inner Top 3-3, 5-6;\nSG_MUL_VAL_ 256 Leaf Inner 2-4;\n";
    let text = "(1) a 100#030309\n(2) a 100#060509\n(3) a 100#040309\n";
    let outcome = read("f.log", text, &with_dbc(&folder, dbc, &["--format", "candump"]));
    let names: Vec<String> =
        outcome.sink.lines().iter().map(|line| line.replace("{bus=a,message=M}", "")).collect();
    assert_eq!(
        names,
        [
            "/Top 1000000000 3.0",
            "/Inner 1000000000 3.0",
            "/Leaf 1000000000 9.0",
            "/Top 2000000000 6.0",
            "/Inner 2000000000 5.0",
            "/Top 3000000000 4.0"
        ]
    );
}

#[test]
fn a_vector_log_is_read_with_its_head() {
    let text = "date Wed Apr 16 09:21:13.081 am 2014\r\nbase dec  timestamps relative\r\n\
        // version 8.0.0\r\nBegin Triggerblock\r\n\
        0.500000 1  291             Rx   d 2 10 255 Length = 1 BitCount = 2\r\n\
        0.250000 1  Statistic: D 0 R 0\r\n\
        0.250000 2  419361045x       Tx   d 1 7\r\n\
        0.000000 1  ErrorFrame\r\n\
        1.000000 CANFD   1 Rx        5  Engine  1 0 9 3 1 2 3 130000 130 0\r\n\
        1.000000 1  291             Rx   r\r\nEnd TriggerBlock\r\n";
    let outcome = read("f.asc", text, &options(&["--zone", "Europe/Berlin"]));
    assert_eq!(outcome.rejections(), [""; 0]);
    let start: jiff::Timestamp = "2014-04-16T07:21:13.081Z".parse().unwrap();
    let start = i64::try_from(start.as_nanosecond()).unwrap();
    assert_eq!(
        outcome.sink.lines(),
        [
            format!("/frame{{bus=1,id=123}} {} [0a, ff]", start + 500_000_000),
            format!("/frame{{bus=2,id=18FEF115}} {} [07]", start + 1_000_000_000),
            format!("/frame{{bus=1,id=005}} {} [01, 02, 03]", start + 2_000_000_000),
        ]
    );
    let undated = error("f.asc", "base hex timestamps absolute\n0.1 1 1 Rx d 0\n", &options(&[]));
    assert!(undated.contains("--start"), "{undated}");
}

#[test]
fn logs_of_gvret_need_their_start() {
    let text = "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2\n1500000,00000123,false,Rx,0,2,0A,FF,\n";
    assert!(error("f.csv", text, &options(&[])).contains("--start TIME"));
    assert_eq!(
        lines("f.csv", &["--start", "1970-01-01T00:00:01Z"], text),
        ["/frame{bus=0,id=123} 2500000000 [0a, ff]"]
    );
}

#[test]
fn a_dbc_file_that_does_not_parse_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let options = with_dbc(&folder, "this is no dbc", &["--format", "candump"]);
    let problem = error("f.log", "(1) can0 123#00\n", &options);
    assert!(problem.contains("test.dbc cannot be used as a DBC file"), "{problem}");
}

/// Counters and serial numbers of 64 bits came out rounded to the nearest float.
#[test]
fn integers_beyond_2_to_the_53_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let dbc = "VERSION \"\"\n\nNS_ :\n\nBS_:\n\nBU_:\n\n\
               BO_ 291 M: 8 X\n SG_ serial : 0|64@1+ (1,0) [0|0] \"\" X\n\
               \nBO_ 292 N: 8 X\n SG_ low : 0|53@1+ (1,0) [0|0] \"\" X\n\
               \nBO_ 293 O: 8 X\n SG_ odometer : 0|64@1- (10,0) [0|0] \"\" X\n\
               \nBO_ 294 P: 8 X\n SG_ signed : 0|64@1- (1,0) [0|0] \"\" X\n";
    let options = with_dbc(&folder, dbc, &[]);
    let text = "(1) a 123#FFFFFFFFFFFFFFFF\n(2) a 124#FFFFFFFFFFFF1F00\n\
                (3) a 125#FFFFFFFFFFFFFFFF\n(4) a 126#0100000000000080\n";
    let outcome = read("f.log", text, &options);
    assert_eq!(outcome.rejections(), [""; 0]);
    assert_eq!(
        outcome.sink.lines(),
        [
            "/serial{bus=a,message=M} 1000000000 18446744073709551615u",
            "/low{bus=a,message=N} 2000000000 9007199254740991.0",
            "/odometer{bus=a,message=O} 3000000000 -10.0",
            "/signed{bus=a,message=P} 4000000000 -9223372036854775807i",
        ]
    );
    // A metric that held floats before takes those that it can hold, and says so of the rest.
    use crate::ingest::RecordSink;
    use chronolith_engine::{Kind, Metric};
    let mut sink = crate::ingest::tests::support::Kept::default();
    let metric = Metric::new("", "serial").tag("message", "M").tag("bus", "a");
    sink.metric(&metric, Kind::F64, "").unwrap();
    let text = "(1) a 123#0100000000000000\n(2) a 123#FFFFFFFFFFFFFFFF\n";
    let read_into = crate::ingest::tests::support::read_into;
    let outcome = read_into(sink, "f.log", text.as_bytes(), &options).unwrap();
    outcome.check();
    assert_eq!(outcome.sink.lines(), ["/serial{bus=a,message=M} 1000000000 1.0"]);
    assert!(outcome.rejections()[0].contains("holds f64 values, and 18446744073709551615"));
}
