//! Whatever a tag is called, an export of it comes back with the same name and value.

use std::fs;

use chronolith_engine::{Db, Definition, Durability, Kind, Metric, Options, ValueRef};

use crate::run::expect;

#[test]
fn names_that_look_like_columns_units_or_blanks_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let db = Db::open(at.join("a"), Options::default()).unwrap();
    let keys = [
        "timestamp",
        "datetime",
        "time",
        "device",
        "metric",
        "value",
        "kind",
        "tag:kind",
        "a(b)",
        "c[d]",
        " blank ",
        "a;b;c;d;e;f;g;h;i;j;k;l;m;n",
        "new\nline",
        "unit",
        "quo\"te",
        "NUL\0",
    ];
    for device in ["", " d ", "NA", "x\0"] {
        for (index, key) in keys.iter().enumerate() {
            let metric = Metric::new(device, " m ").tag(*key, format!(" {key} "));
            for (kind, value) in [
                (Kind::F64, ValueRef::F64(f64::from_bits(0xfff8_0000_0000_0001))),
                (Kind::Text, ValueRef::Text(" NA ")),
                (Kind::Bytes, ValueRef::Bytes(&[])),
                (Kind::U64, ValueRef::U64(u64::MAX)),
            ] {
                let metric = metric.clone().tag("of", kind.name());
                let id = db.define(Definition::new(metric, kind).unit("km/h")).unwrap();
                let mut batch = db.batch();
                batch.push(id, index as i64, value).unwrap();
                db.write(&batch, Durability::Buffered).unwrap();
            }
        }
    }
    db.close().unwrap();
    for format in ["csv", "jsonl"] {
        let exported = expect(at, 0, &["export", "--db", "a", "--format", format]);
        assert!(exported.contains("NaN:fff8000000000001"));
        assert_eq!(format == "jsonl", exported.contains("\"unit\":\"km/h\""));
        let file = format!("out.{format}");
        fs::write(at.join(&file), &exported).unwrap();
        expect(at, 0, &["ingest", "--db", format, &file]);
        let again = expect(at, 0, &["export", "--db", format, "--format", format]);
        assert_eq!(again, exported, "{format}");
    }
}
