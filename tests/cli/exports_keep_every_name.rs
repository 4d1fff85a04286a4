//! Whatever a tag is called, an export of it comes back with the same name, value and unit.
//!
//! Re-ingesting an export took a tag named `timestamp` for the time, dropped blanks at the ends of
//! names, took a tag named `kind` for kinds and units off tag keys, and refused its own NaN.

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
    for (copy, format, units) in
        [("csv", "csv", None), ("units", "csv", Some("--units")), ("jsonl", "jsonl", None)]
    {
        let mut arguments = vec!["export", "--format", format, "--db"];
        arguments.extend(units);
        arguments.insert(4, "a");
        let exported = expect(at, 0, &arguments);
        assert!(exported.contains("NaN:fff8000000000001"));
        assert_eq!(copy != "csv", exported.contains("km/h"));
        let file = format!("out-{copy}.{format}");
        fs::write(at.join(&file), &exported).unwrap();
        expect(at, 0, &["ingest", "--db", copy, &file]);
        arguments[4] = copy;
        assert_eq!(expect(at, 0, &arguments), exported, "{copy}");
    }
}

/// With kinds, a tag named `unit` in the first place is told from units by standing behind them.
#[test]
fn a_tag_named_unit_is_no_unit() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("in.lp"), "m,unit=x,class2=y n=1i 1\n").unwrap();
    fs::write(at.join("only.csv"), "time,device,metric,value,kind,zone\n1,d,n,1,i64,x\n").unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp", "only.csv"]);
    let db = Db::open(at.join("b"), Options::default()).unwrap();
    let metric = Metric::new("d", "n").tag("unit", "tag");
    let id = db.define(Definition::new(metric, Kind::I64).unit("V")).unwrap();
    let mut batch = db.batch();
    batch.push(id, 5, ValueRef::I64(7)).unwrap();
    db.write(&batch, Durability::Buffered).unwrap();
    db.close().unwrap();
    for db in ["a", "b"] {
        let exported = expect(at, 0, &["export", "--db", db]);
        fs::write(at.join("out.csv"), &exported).unwrap();
        let copy = format!("copy-{db}");
        expect(at, 0, &["ingest", "--db", &copy, "out.csv"]);
        assert_eq!(expect(at, 0, &["export", "--db", &copy]), exported);
    }
}
