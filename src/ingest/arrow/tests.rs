#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use chronolith_engine::Kind;
use chronolith_query::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Float64Array, Int32Array, Int64Array, ListArray, NullArray, RecordBatch,
    RunArray, StringArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use chronolith_query::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use chronolith_query::arrow::ipc::CompressionType;
use chronolith_query::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;

use crate::ingest::tests::support::Kept;
use crate::ingest::{
    DeviceSource, Format, IngestError, IngestOptions, Report, Summary, TimeFormat, TimeUnit,
    ingest_file, ingest_reader,
};

/// How a batch is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stored {
    Parquet,
    File,
    Stream,
}

const ALL: [Stored; 3] = [Stored::Parquet, Stored::File, Stored::Stream];

fn columns(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn bytes(stored: Stored, batches: &[RecordBatch]) -> Vec<u8> {
    let (schema, mut out) = (batches[0].schema(), Vec::new());
    match stored {
        Stored::Parquet => {
            let mut writer = ArrowWriter::try_new(&mut out, schema, None).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.close().unwrap();
        }
        Stored::File => {
            let mut writer = FileWriter::try_new(&mut out, &schema).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        Stored::Stream => {
            let mut writer = StreamWriter::try_new(&mut out, &schema).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
    }
    out
}

struct Read {
    kept: Kept,
    report: Report,
    outcome: Result<Summary, IngestError>,
}

fn read_bytes(bytes: &[u8], options: &IngestOptions) -> Read {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("input");
    std::fs::write(&path, bytes).unwrap();
    let (mut kept, mut report) = (Kept::default(), Report::default());
    let outcome = ingest_file(&path, options, &mut kept, &mut report, &mut |_| {})
        .map_err(|broken| broken.error);
    Read { kept, report, outcome }
}

fn read(stored: Stored, batch: &RecordBatch, options: &IngestOptions) -> Read {
    read_bytes(&bytes(stored, std::slice::from_ref(batch)), options)
}

/// 2026-01-01T00:00:00Z in seconds.
const START: i64 = 1_767_225_600;

fn seconds(count: usize) -> ArrayRef {
    let times = (0..count).map(|row| (START + row as i64) * 1_000_000_000);
    Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"))
}

#[test]
fn every_type_is_kept_exactly_in_every_container() {
    let dictionary: DictionaryArray<Int32Type> = ["P", "D"].into_iter().collect();
    let batch = columns(vec![
        ("time", seconds(2)),
        ("device", Arc::new(StringArray::from(vec!["car-1", "car-2"]))),
        ("narrow [m/s]", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
        ("wide", Arc::new(Float64Array::from(vec![-0.0, f64::MIN_POSITIVE]))),
        ("low", Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX]))),
        ("high", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("gear", Arc::new(dictionary)),
        ("raw", Arc::new(BinaryArray::from(vec![&[0, 255][..], &[]]))),
        ("day", Arc::new(Date32Array::from(vec![-1, 20_454]))),
    ]);
    for stored in ALL {
        let Read { kept, report, outcome } = read(stored, &batch, &IngestOptions::default());
        let summary = outcome.unwrap();
        assert_eq!((summary.rows, summary.accepted, summary.empty), (2, 14, 2), "{stored:?}");
        assert_eq!(report.rejected_rows(), 0);
        let is_parquet = stored == Stored::Parquet;
        assert_eq!(summary.format, if is_parquet { Format::Parquet } else { Format::Arrow });
        let first = START * 1_000_000_000;
        assert_eq!(
            kept.lines(),
            [
                format!("car-1/narrow {first} 0.10000000149011612"),
                format!("car-1/wide {first} -0.0"),
                format!("car-1/low {first} -9223372036854775808i"),
                format!("car-1/high {first} 18446744073709551615u"),
                format!("car-1/flag {first} true"),
                format!("car-1/gear {first} \"P\""),
                format!("car-1/raw {first} [00, ff]"),
                format!("car-1/day {first} -1i"),
                format!("car-2/wide {} 2.2250738585072014e-308", first + 1_000_000_000),
                format!("car-2/low {} 9223372036854775807i", first + 1_000_000_000),
                format!("car-2/high {} 0u", first + 1_000_000_000),
                format!("car-2/gear {} \"D\"", first + 1_000_000_000),
                format!("car-2/raw {} []", first + 1_000_000_000),
                format!("car-2/day {} 20454i", first + 1_000_000_000),
            ],
            "{stored:?}"
        );
        let unit =
            |name: &str| kept.metrics.iter().find(|(m, ..)| m.name() == name).unwrap().2.clone();
        assert_eq!((unit("narrow"), unit("day")), ("m/s".to_owned(), "d".to_owned()));
    }
}

#[test]
fn times_of_all_units_and_zones_are_the_same_moments() {
    let value = || -> ArrayRef { Arc::new(Float64Array::from(vec![1.0])) };
    let chicago = IngestOptions {
        zone: Some(jiff::tz::TimeZone::get("America/Chicago").unwrap()),
        ..IngestOptions::default()
    };
    let of = |time: ArrayRef, options: &IngestOptions| {
        let batch = columns(vec![("time", time), ("v", value())]);
        read(Stored::Parquet, &batch, options).kept.records.first().map(|(_, time_ns, _)| *time_ns)
    };
    let none = IngestOptions::default();
    let (ns, hours) = (START * 1_000_000_000, 6 * 3_600 * 1_000_000_000_i64);
    let times: [ArrayRef; 4] = [
        Arc::new(TimestampSecondArray::from(vec![START])),
        Arc::new(TimestampMillisecondArray::from(vec![START * 1_000])),
        Arc::new(TimestampMicrosecondArray::from(vec![START * 1_000_000])),
        Arc::new(TimestampNanosecondArray::from(vec![ns])),
    ];
    for time in times {
        // A wall clock is UTC, or that of the zone that is given.
        assert_eq!(of(Arc::clone(&time), &none), Some(ns));
        assert_eq!(of(time, &chicago), Some(ns + hours));
    }
    let zoned = TimestampMicrosecondArray::from(vec![START * 1_000_000]).with_timezone("-08:00");
    assert_eq!(of(Arc::new(zoned), &chicago), Some(ns));
    assert_eq!(of(Arc::new(Date32Array::from(vec![20_454])), &none), Some(ns));
    assert_eq!(of(Arc::new(StringArray::from(vec!["2026-01-01T01:00:00+01:00"])), &none), Some(ns));
    let counted = IngestOptions {
        time_format: Some(TimeFormat::Epoch(TimeUnit::Seconds)),
        ..IngestOptions::default()
    };
    assert_eq!(of(Arc::new(Int64Array::from(vec![START])), &counted), Some(ns));
    assert_eq!(
        of(Arc::new(Float64Array::from(vec![START as f64 + 0.5])), &counted),
        Some(ns + 500_000_000)
    );
    let batch = columns(vec![("time", Arc::new(Int64Array::from(vec![START]))), ("v", value())]);
    let problem = read(Stored::File, &batch, &none).outcome.unwrap_err().to_string();
    assert!(problem.contains("--time-format"), "{problem}");
}

#[test]
fn rejections_name_the_row_and_the_column() {
    let times =
        TimestampSecondArray::from(vec![Some(START), None, Some(i64::MAX), Some(START + 1)]);
    let batch = columns(vec![
        ("time", Arc::new(times)),
        ("rpm", Arc::new(Float64Array::from(vec![800.0, 801.0, 802.0, 802.5]))),
        ("count", Arc::new(Int64Array::from(vec![1 << 53, 2, 3, (1 << 53) + 1]))),
    ]);
    let options = IngestOptions {
        types: vec![("rpm".to_owned(), Kind::I64), ("count".to_owned(), Kind::F64)],
        device: DeviceSource::Named("car".to_owned()),
        ..IngestOptions::default()
    };
    for stored in ALL {
        let Read { kept, report, outcome } = read(stored, &batch, &options);
        assert_eq!(kept.records.len(), 2, "{stored:?}");
        let shown: Vec<String> = report.sample().iter().map(ToString::to_string).collect();
        let ends = [
            ":2:1 (time): the row has no time",
            ":3:1 (time): 9223372036854775807 times 1000000000 ns since 1970 is outside of the \
             years 1677 to 2262 that nanosecond times cover",
            ":4:2 (rpm): \"802.5\" is not a i64 value (and 1 more in this row)",
        ];
        for (shown, end) in shown.iter().zip(ends) {
            assert!(shown.ends_with(end), "{shown}");
        }
        let summary = outcome.unwrap();
        assert_eq!((shown.len(), summary.rejected, summary.rows), (3, 6, 4));
    }
}

#[test]
fn decimals_say_that_they_are_rounded_or_stay_text() {
    let decimals = Decimal128Array::from(vec![Some(123_456_789_012_345_678), None])
        .with_precision_and_scale(38, 17)
        .unwrap();
    let whole = Decimal128Array::from(vec![7, -7]).with_precision_and_scale(10, 0).unwrap();
    let batch = columns(vec![
        ("time", seconds(2)),
        ("price", Arc::new(decimals)),
        ("whole", Arc::new(whole)),
    ]);
    let Read { kept, outcome, .. } = read(Stored::Parquet, &batch, &IngestOptions::default());
    let first = START * 1_000_000_000;
    assert!(
        kept.lines().contains(&format!("/price {first} 1.2345678901234567")),
        "{:?}",
        kept.lines()
    );
    assert!(kept.lines().contains(&format!("/whole {first} 7i")));
    let notes = outcome.unwrap().notes;
    assert!(matches!(&notes[..], [note] if note.contains("--type price=text")), "{notes:?}");
    let types = vec![("price".to_owned(), Kind::Text)];
    let options = IngestOptions { types, ..IngestOptions::default() };
    let Read { kept, outcome, .. } = read(Stored::Parquet, &batch, &options);
    assert!(kept.lines().contains(&format!("/price {first} \"1.23456789012345678\"")));
    assert!(outcome.unwrap().notes.is_empty());
}

#[test]
fn structs_are_flattened_and_lists_are_left_out_with_a_note() {
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(2)]));
    let field = Arc::new(Field::new("rpm", DataType::Int32, true));
    let engine = StructArray::new(vec![field].into(), vec![inner], Some(vec![true, false].into()));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None]);
    let batch = columns(vec![
        ("time", seconds(2)),
        ("engine", Arc::new(engine)),
        ("wheels", Arc::new(list)),
    ]);
    for stored in ALL {
        let Read { kept, outcome, .. } = read(stored, &batch, &IngestOptions::default());
        assert_eq!(kept.lines(), [format!("/engine.rpm {} 1i", START * 1_000_000_000)]);
        let summary = outcome.unwrap();
        assert_eq!((summary.accepted, summary.skipped, summary.empty), (1, 1, 2));
        assert!(matches!(&summary.notes[..], [note] if note.contains("\"wheels\"")));
    }
    let options =
        IngestOptions { time_column: Some("wheels".to_owned()), ..IngestOptions::default() };
    let problem = read(Stored::File, &batch, &options).outcome.unwrap_err().to_string();
    assert!(problem.contains("no point in time"), "{problem}");
}

#[test]
fn a_row_may_be_one_record_with_a_metric_of_its_own() {
    let batch = columns(vec![
        ("at", seconds(3)),
        ("unit_id", Arc::new(Int32Array::from(vec![7, 7, 8]))),
        ("signal", Arc::new(StringArray::from(vec![Some("rpm"), Some("speed"), None]))),
        ("reading", Arc::new(Float64Array::from(vec![800.0, 61.5, 1.0]))),
        ("site", Arc::new(StringArray::from(vec!["north", "north", "south"]))),
    ]);
    let options = IngestOptions {
        device: DeviceSource::Column("unit_id".to_owned()),
        metric_column: Some("signal".to_owned()),
        value_column: Some("reading".to_owned()),
        ..IngestOptions::default()
    };
    let Read { kept, report, .. } = read(Stored::Stream, &batch, &options);
    let metrics: Vec<String> = kept.metrics.iter().map(|(metric, ..)| metric.to_string()).collect();
    assert_eq!(metrics.len(), 2, "{metrics:?}");
    assert!(metrics[0].starts_with("7/rpm") && metrics[0].contains("north"), "{metrics:?}");
    assert!(report.sample()[0].to_string().ends_with(":3:3 (signal): the row names no metric"));
}

#[test]
fn a_pipe_gives_arrow_and_says_why_it_gives_no_parquet() {
    let batch = columns(vec![("time", seconds(1)), ("v", Arc::new(Int64Array::from(vec![1])))]);
    let options = IngestOptions::default();
    for stored in ALL {
        let bytes = bytes(stored, std::slice::from_ref(&batch));
        let (mut kept, mut report) = (Kept::default(), Report::default());
        let outcome = ingest_reader(&bytes[..], "-", &options, &mut kept, &mut report, &mut |_| {});
        match stored {
            Stored::Parquet => assert!(outcome.unwrap_err().to_string().contains("not a pipe")),
            _ => assert_eq!(outcome.unwrap().accepted, 1),
        }
    }
}

/// Deterministic damage: cut anywhere, and with any byte exchanged, a file ends with an error or
/// with rows, never with a panic that reaches the caller.
#[test]
fn damaged_files_are_errors() {
    let values = (0..50).map(|row| format!("value {row}"));
    let batch = columns(vec![
        ("time", seconds(50)),
        ("v", Arc::new(Float64Array::from_iter_values((0..50).map(f64::from)))),
        ("t", Arc::new(StringArray::from_iter_values(values))),
    ]);
    for stored in ALL {
        let whole = bytes(stored, std::slice::from_ref(&batch));
        for at in (0..whole.len()).step_by(7) {
            let cut = read_bytes(&whole[..at], &IngestOptions::default());
            assert!(cut.kept.records.len() <= 100, "{stored:?} cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            let read = read_bytes(&changed, &IngestOptions::default());
            assert!(read.kept.records.len() <= 100 || read.outcome.is_ok(), "{stored:?} at {at}");
        }
        let problem = read_bytes(&whole[..whole.len() / 2], &IngestOptions::default()).outcome;
        assert!(matches!(problem, Err(IngestError::Batches { .. })), "{stored:?}: {problem:?}");
    }
}

#[test]
fn what_was_announced_is_not_allocated() {
    // A stream whose first message says that it is four gigabytes long.
    let mut bytes = vec![0xff; 4];
    bytes.extend(0xffff_fff0_u32.to_le_bytes());
    let options = IngestOptions { format: Some(Format::Arrow), ..IngestOptions::default() };
    let problem = read_bytes(&bytes, &options).outcome.unwrap_err().to_string();
    assert!(problem.contains("header of 4294967280 bytes"), "{problem}");
    let schema = Arc::new(Schema::new(vec![Field::new("time", DataType::Date32, true)]));
    let none = read_bytes(&bytes_of_schema(&schema), &IngestOptions::default());
    assert_eq!(none.outcome.unwrap().rows, 0);
}

fn bytes_of_schema(schema: &Arc<Schema>) -> Vec<u8> {
    let mut out = Vec::new();
    StreamWriter::try_new(&mut out, schema).unwrap().finish().unwrap();
    out
}

fn packed(batch: &RecordBatch) -> Vec<u8> {
    let options = IpcWriteOptions::default();
    let options = options.try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let mut out = Vec::new();
    let mut writer =
        StreamWriter::try_new_with_options(&mut out, &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    out
}

fn bounded(max_batch_bytes: usize) -> IngestOptions {
    let time_format = Some(TimeFormat::Epoch(TimeUnit::Nanos));
    IngestOptions { max_batch_bytes, time_format, ..IngestOptions::default() }
}

/// The decoder allocates what the prefix of a packed buffer says. A request of some hundred bytes that
/// said 2^62 ended the process, as no such memory is to be had.
#[test]
fn what_a_packed_buffer_says_that_it_holds_is_not_allocated() {
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; 1_000]));
    let whole = packed(&columns(vec![("time", seconds(1_000)), ("v", zeros)]));
    assert_eq!(read_bytes(&whole, &bounded(1 << 20)).outcome.unwrap().accepted, 1_000);
    let problem = read_bytes(&whole, &bounded(10_000)).outcome.unwrap_err().to_string();
    assert!(problem.contains("write batches of fewer rows"), "{problem}");
    let length = 8_000_u64.to_le_bytes();
    let places = (0..whole.len() - 8).filter(|at| whole[*at..*at + 8] == length);
    let mut lies = 0;
    for at in places {
        for lie in [1_u64 << 62, 1 << 45, u64::MAX - 1] {
            let mut bytes = whole.clone();
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            let read = read_bytes(&bytes, &bounded(1 << 20));
            lies += u32::from(read.outcome.is_err());
        }
    }
    assert!(lies >= 6, "the prefixes of both columns were found");
}

/// A batch of a hundred bytes had a billion rows: columns of runs and of nulls are as long as they say.
#[test]
fn rows_that_take_no_bytes_are_bounded() {
    let many = 1_i64 << 40;
    let runs = |ends: Vec<i64>, values: ArrayRef| -> ArrayRef {
        Arc::new(RunArray::<Int64Type>::try_new(&Int64Array::from(ends), &values).unwrap())
    };
    let times = runs(vec![many], Arc::new(Int64Array::from(vec![START])));
    let batch = columns(vec![("time", times), ("v", Arc::new(NullArray::new(many as usize)))]);
    let bytes = bytes(Stored::Stream, std::slice::from_ref(&batch));
    let problem = read_bytes(&bytes, &bounded(1 << 20)).outcome.unwrap_err().to_string();
    assert!(problem.contains("1099511627776 rows of 2 columns"), "{problem}");
    let times = runs(vec![2], Arc::new(Int64Array::from(vec![START])));
    let batch = columns(vec![("time", times), ("v", Arc::new(Int64Array::from(vec![1, 2])))]);
    assert_eq!(read(Stored::Stream, &batch, &bounded(1 << 20)).outcome.unwrap().accepted, 2);
}

/// One text of a dictionary, or of a run, was copied for each row that has it.
#[test]
fn texts_that_many_rows_have_are_bounded() {
    let text = "x".repeat(10_000);
    let dictionary: DictionaryArray<Int32Type> = (0..1_000).map(|_| text.as_str()).collect();
    let ends = Int64Array::from(vec![1_000]);
    let run = RunArray::<Int64Type>::try_new(&ends, &StringArray::from(vec![text.as_str()]));
    for device in [Arc::new(dictionary) as ArrayRef, Arc::new(run.unwrap())] {
        let value: ArrayRef = Arc::new(Int64Array::from(vec![1; 1_000]));
        let batch = columns(vec![("time", seconds(1_000)), ("device", device), ("v", value)]);
        let problem = read(Stored::Stream, &batch, &bounded(1 << 20)).outcome.unwrap_err();
        assert!(problem.to_string().contains("texts of 10000000 bytes"), "{problem}");
        let read = read(Stored::Stream, &batch, &bounded(1 << 24));
        assert_eq!(read.outcome.unwrap().rows, 1_000);
    }
}
