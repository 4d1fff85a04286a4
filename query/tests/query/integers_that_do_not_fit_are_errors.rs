//! Sums, differences and products of integers are exact, or errors that show the expression.

use chronolith_engine::{Db, Durability, Kind, Maintenance, Metric, Options};
use chronolith_query::Sql;

use crate::fixture::{SECOND_NS, START_NS, rows};

/// Two counters: the least and the greatest that there are.
fn extremes() -> (tempfile::TempDir, Sql) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(directory.path().join("db"), options).unwrap();
    let signed = db.metric(Metric::new("a", "signed"), Kind::I64).unwrap();
    let unsigned = db.metric(Metric::new("a", "unsigned"), Kind::U64).unwrap();
    let mut batch = db.batch();
    for (second, value) in [(0, i64::MIN), (1, -1), (2, 7), (3, i64::MAX)] {
        batch.push(signed, START_NS + second * SECOND_NS, value).unwrap();
    }
    for (second, value) in [(0, 0), (1, 7), (2, u64::MAX)] {
        batch.push(unsigned, START_NS + second * SECOND_NS, value).unwrap();
    }
    db.write(&batch, Durability::Buffered).unwrap();
    (directory, Sql::new(db).unwrap())
}

/// Symptom: `SELECT value + 1 FROM signed` answered -9223372036854775808 for the greatest value.
/// Loss: none, but sums that were wrong without a word. Cause: DataFusion's operators wrap around.
/// Fix: a rewrite puts checked functions in their place.
#[test]
fn what_does_not_fit_names_the_expression() {
    let (_directory, sql) = extremes();
    for (expression, table, shown) in [
        ("value + 1", "signed", "signed.value + 1 does not fit Int64: 9223372036854775807 + 1"),
        ("value - 1", "signed", "signed.value - 1 does not fit Int64"),
        ("value * 2", "signed", "signed.value * 2 does not fit Int64"),
        ("2 * (value + 3)", "signed", "signed.value + 3 does not fit Int64"),
        ("-value", "signed", "-signed.value does not fit Int64"),
        ("value * value", "unsigned", "does not fit UInt64"),
        ("9223372036854775807 + 1", "signed", "9223372036854775807 + 1 does not fit Int64"),
        ("sum(value * 3)", "signed", "signed.value * 3 does not fit Int64"),
        ("max(value) + 1", "signed", "max(signed.value) + 1 does not fit Int64"),
    ] {
        let text = format!("SELECT {expression} FROM {table}");
        let problem = rows(&sql, &text).map(|rows| panic!("{text}: {rows:?}")).unwrap_err();
        let problem = problem.to_string();
        assert!(problem.contains(shown) && problem.contains("CAST"), "{text}: {problem}");
    }
    let text = "SELECT time FROM signed WHERE value + 1 > 0";
    let problem = rows(&sql, text).unwrap_err().to_string();
    assert!(problem.contains("signed.value + 1 does not fit"), "{problem}");
}

#[test]
fn what_fits_is_exact_and_columns_keep_their_names() {
    let (_directory, sql) = extremes();
    for (expression, table, expected) in [
        ("max(value) - 1 + 1", "signed", "9223372036854775807"),
        ("min(value) + max(value)", "signed", "-1"),
        ("max(CASE WHEN value < 100 AND value > 0 THEN value * 3 END)", "signed", "21"),
        ("max(value) + NULL", "signed", ""),
        ("sum(value + 0)", "unsigned", "18446744073709551622"),
        ("max(CAST(value AS DECIMAL(38, 0)) * 10)", "signed", "92233720368547758070"),
        ("-min(value + 1)", "signed", "9223372036854775807"),
    ] {
        let text = format!(
            "SELECT {expression} FROM {table} WHERE value <> 0 AND NOT (value = {0})",
            if expression.starts_with("-min") { i64::MAX } else { 0 }
        );
        assert_eq!(rows(&sql, &text).unwrap(), [[expected]], "{text}");
    }
    let names = |text: &str| -> Vec<String> {
        let schema = sql.columns(text).unwrap();
        schema.fields().iter().map(|field| field.name().clone()).collect()
    };
    let text = "SELECT value + 1, (value + 1) * 2, -value, max(value + 1) OVER () FROM signed";
    assert_eq!(
        names(text)[..3],
        ["signed.value + Int64(1)", "signed.value + Int64(1) * Int64(2)", "(- signed.value)"]
    );
    // What is grouped by is found again.
    let text = "SELECT value % 2 + 1, count(*) FROM signed GROUP BY value % 2 + 1 ORDER BY 1";
    assert_eq!(rows(&sql, text).unwrap(), [["0", "1"], ["1", "1"], ["2", "2"]]);
    // Other types are DataFusion's, as they were.
    let text = "SELECT 1.5 + 1, DATE '2026-01-01' + INTERVAL '1 day', 7 / 2, 7 % 4";
    assert_eq!(rows(&sql, text).unwrap(), [["2.5", "2026-01-02", "3", "3"]]);
}
