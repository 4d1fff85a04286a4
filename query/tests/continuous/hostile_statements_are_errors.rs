//! Whatever is stated, the answer is a query or an error that says what is possible.

use chronolith_engine::{Db, Options};
use chronolith_query::continuous::{Continuous, ContinuousError, is_statement};
use proptest::prelude::*;

fn queries() -> (tempfile::TempDir, Continuous) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path(), Options::default()).unwrap();
    (directory, Continuous::open(db).unwrap())
}

const SHAPES: [(&str, &str); 44] = [
    ("", "CREATE CONTINUOUS QUERY"),
    ("SELECT 1", "CREATE CONTINUOUS QUERY"),
    ("CREATE CONTINUOUS QUERY", "the name"),
    ("CREATE CONTINUOUS QUERY q", "AS should stand"),
    ("CREATE CONTINUOUS QUERY q AS", "SELECT"),
    ("CREATE CONTINUOUS QUERY q AS SELECT count(*) FROM m", "no window"),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time) FROM m GROUP BY 1",
        "no aggregate",
    ),
    ("CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m", "GROUP BY"),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM q GROUP BY 1",
        "reads what it writes|would read",
    ),
    ("CREATE CONTINUOUS QUERY q AS SELECT *, count(*) FROM m GROUP BY 1", "cannot be selected"),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m GROUP BY 1 LIMIT 3",
        "LIMIT",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m GROUP BY 1 ORDER BY 1",
        "ORDER BY",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT DISTINCT time_bucket('5m', time), count(*) FROM m GROUP BY 1",
        "DISTINCT",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(DISTINCT value) FROM m GROUP BY 1",
        "DISTINCT",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m, n GROUP BY 1",
        "one table",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m JOIN n ON true GROUP BY 1",
        "JOIN",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM (SELECT 1) GROUP BY 1",
        "cannot be followed",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM a.b.c GROUP BY 1",
        "no table of records",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), median(value) FROM m GROUP BY 1",
        "there are count",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), avg(speed) FROM m GROUP BY 1",
        "column value",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), avg(value) + 1 FROM m GROUP BY 1",
        "cannot be kept up to date",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('-5m', time), count(*) FROM m GROUP BY 1",
        "length",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('0s', time), count(*) FROM m GROUP BY 1",
        "wider|length|made",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time, 'Mars/Base'), count(*) FROM m GROUP BY 1",
        "time zone",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m'), count(*) FROM m GROUP BY 1",
        "width and the time",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT hop('1m', '5m', time), count(*) FROM m GROUP BY 1",
        "shorter",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT hop('1d', '1s', time), count(*) FROM m GROUP BY 1",
        "more than 1000",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT hop('1mo', '1d', time), count(*) FROM m GROUP BY 1",
        "mix",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT session('1mo', time), count(*) FROM m GROUP BY 1",
        "same length",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT session('0s', time), count(*) FROM m GROUP BY 1",
        "longer than 0",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), time_bucket('1m', time) b, count(*) FROM m GROUP BY 1, 2",
        "two windows",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*), count(value) FROM m GROUP BY 1",
        "two columns",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m WHERE value + 1 > 3 GROUP BY 1",
        "WHERE knows",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m WHERE device = 'a' OR device = 'b' GROUP BY 1",
        "WHERE knows",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m WHERE time > 'yesterday' GROUP BY 1",
        "not a time",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m WHERE device ~ '(' GROUP BY 1",
        "not a regular expression",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m GROUP BY 1 WITH (latenes = '1m')",
        "no option",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m GROUP BY 1 WITH (max_ahead = 'far')",
        "length|width",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m GROUP BY 1 WITH (emit = 'never')",
        "updates",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m GROUP BY 1 WITH (keep_changes = 0)",
        "1000000",
    ),
    (
        "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m GROUP BY 1 WITH (late = 'count', late = 'count')",
        "twice",
    ),
    ("DROP CONTINUOUS QUERY nobody", "there are none"),
    ("REFRESH CONTINUOUS QUERY q FROM 'x'", "not a time"),
    ("PAUSE CONTINUOUS QUERY q NOW", "should end"),
];

#[test]
fn what_cannot_be_kept_up_to_date_is_told_what_can() {
    let (_directory, queries) = queries();
    for (statement, hint) in SHAPES {
        let problem = match queries.execute(statement) {
            Err(error) => error.to_string(),
            Ok(done) => panic!("{statement}: {done:?}"),
        };
        let told = hint.split('|').any(|hint| problem.contains(hint));
        assert!(told && problem.len() < 600, "{statement}\n  {problem}\n  lacks {hint}");
    }
    assert!(queries.names().is_empty());
}

#[test]
fn depth_and_length_are_bounded() {
    let (_directory, queries) = queries();
    let deep = "(".repeat(20_000) + "1" + &")".repeat(20_000);
    let long = format!("device = '{}'", "x".repeat(100_000));
    for condition in [deep, long] {
        let statement = format!(
            "CREATE CONTINUOUS QUERY q AS SELECT time_bucket('5m', time), count(*) FROM m \
             WHERE value > {condition} GROUP BY 1"
        );
        assert!(matches!(queries.execute(&statement), Err(ContinuousError::Statement(_))));
    }
}

proptest! {
    #[test]
    fn random_texts_are_no_panic(text in "\\PC{0,120}") {
        let (_directory, queries) = queries();
        let _ = queries.execute(&text);
        let _ = queries.execute(&format!("CREATE CONTINUOUS QUERY q AS {text}"));
        let _ = is_statement(&text);
    }

    #[test]
    fn pieces_of_statements_in_any_order_are_no_panic(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "CREATE", "CONTINUOUS", "QUERY", "q", "INTO", "AS", "SELECT", "device", ",", "(", ")",
            "time_bucket", "'5m'", "time", "count", "*", "FROM", "speed", "WHERE", "value", ">", "3",
            "GROUP", "BY", "1", "WITH", "lateness", "=", "hop", "session", "INTERVAL", ";", "'", "\"",
        ]), 0..40))
    {
        let (_directory, queries) = queries();
        let _ = queries.execute(&format!("CREATE CONTINUOUS QUERY q AS {}", pieces.join(" ")));
        let _ = queries.execute(&pieces.join(" "));
    }
}
