//! Hostile SQL gives an error or an answer, never a panic.

use std::time::Duration;

use chronolith_query::{Limits, Sql};

use crate::fixture::{Random, fixture, rows};

/// The outcome of a query within limits: how many rows it has, or its error.
fn outcome(sql: &Sql, text: &str, time: Duration) -> Result<usize, String> {
    let limits = Limits { rows: Some(100_000), time: Some(time), memory_bytes: 64 << 20 };
    let mut rows = 0;
    for batch in sql.query(text, &limits).map_err(|error| error.to_string())? {
        rows += batch.map_err(|error| error.to_string())?.num_rows();
    }
    Ok(rows)
}

/// What ends a query that has no end of its own.
const LIMITED: &[&str] = &["took longer than", "bytes of memory", "more than 100000 rows"];

#[test]
fn a_walk_of_hostile_queries_ends_in_clear_errors_or_answers() {
    let fixture = fixture(31);
    let nested = |before: &str, within: &str, behind: &str, times: usize| {
        format!("SELECT {}{within}{}", before.repeat(times), behind.repeat(times))
    };
    let subqueries = |times: usize| {
        let tables = "(SELECT * FROM ".repeat(times);
        format!("SELECT count(*) FROM {tables}speed{}", ")".repeat(times))
    };
    let list = |items: usize| {
        format!("SELECT count(*) FROM speed WHERE value IN (0{})", ", 1.5".repeat(items))
    };
    let columns: Vec<String> = (0..600).map(|at| format!("1 AS c{at}")).collect();
    let answers: Vec<(&str, String)> = vec![
        ("brackets", nested("(", "1", ")", 40)),
        (
            "many conditions",
            format!("SELECT value FROM speed WHERE true{}", " AND value > 1".repeat(400)),
        ),
        (
            "many alternatives",
            format!("SELECT value FROM speed WHERE device = 'x'{}", " OR device = 'x'".repeat(400)),
        ),
        ("a long union", format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(100))),
        ("a long list", list(20_000)),
        ("a long literal", format!("SELECT length('{}')", "x".repeat(900_000))),
        ("a long sum", format!("SELECT 1{}", " + 1".repeat(950))),
        ("a long sum of columns", format!("SELECT value{} FROM rpm", " * 1 + 1".repeat(450))),
        ("a number of 400 digits", format!("SELECT {}", "9".repeat(400))),
        ("a number beyond floats", "SELECT 1e400 > 1".to_owned()),
        ("many columns", format!("SELECT {}", columns.join(", "))),
        (
            "many keys",
            format!("SELECT count(*) FROM speed GROUP BY value{}", ", value + 1.5".repeat(300)),
        ),
        ("subqueries in subqueries", subqueries(20)),
        (
            "a recursion that ends",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < \
             50) SELECT max(n) FROM r"
                .to_owned(),
        ),
        (
            "a pattern that others try for ever",
            "SELECT count(*) FROM speed WHERE repeat('a', 5000) || device ~ '^(a+)+$'".to_owned(),
        ),
        ("a large limit", "SELECT time FROM speed LIMIT 9223372036854775807".to_owned()),
        ("a large offset", "SELECT time FROM speed LIMIT 1 OFFSET 9223372036854775807".to_owned()),
        (
            "a large limit of an order",
            "SELECT time FROM speed ORDER BY value LIMIT 9223372036854775807".to_owned(),
        ),
        (
            "letters of other alphabets",
            "SELECT value AS \"größe\", device AS \"устройство\", 1 AS \"車\", 2 AS \"🚗\" \
             FROM speed"
                .to_owned(),
        ),
        ("letters that turn the line", "SELECT 1 AS \"a\u{202e}b\u{2066}\"".to_owned()),
        (
            "a NUL in a literal",
            "SELECT 'a\0b' = 'ab', length('a\0b'), count(*) FROM speed WHERE device = \
             'car-1\0'"
                .to_owned(),
        ),
        (
            "buckets of a nanosecond",
            "SELECT count(*) FROM (SELECT time_bucket('1ns', time) AS b, count(*) FROM \
             speed GROUP BY b)"
                .to_owned(),
        ),
    ];
    let mut wrong = String::new();
    for (name, text) in &answers {
        if let Err(problem) = outcome(&fixture.sql, text, Duration::from_secs(60)) {
            wrong.push_str(&format!("{name}: {problem}\n"));
        }
    }
    let errors: Vec<(&str, String, &[&str])> = vec![
        ("brackets without end", nested("(", "1", ")", 100_000), &["words"]),
        ("deep brackets", nested("(", "1", ")", 900), &["recursion limit"]),
        ("open brackets", "(".repeat(100_000), &["words"]),
        ("a long sum", format!("SELECT 1{}", " + 1".repeat(100_000)), &["words"]),
        ("negations", nested("NOT ", "true", "", 1_500), &["cannot be read"]),
        ("signs", nested("- ", "1", "", 1_900), &["recursion limit"]),
        (
            "choices in choices",
            nested("CASE WHEN true THEN ", "1", " END", 300),
            &["cannot be read"],
        ),
        ("calls in calls", nested("abs(", "1", ")", 500), &["recursion limit"]),
        ("subqueries without end", subqueries(400), &["words"]),
        ("a list without end", list(300_000), &["bytes, more than"]),
        (
            "an interval beyond time",
            "SELECT time + INTERVAL '99999999999 years' FROM speed".to_owned(),
            &["Unable to represent 99999999999 years"],
        ),
        (
            "a time beyond time",
            "SELECT count(*) FROM speed WHERE time > '99999-01-01'".to_owned(),
            &["\"99999-01-01\" is no time"],
        ),
        (
            "a time below a clock",
            "SELECT TIMESTAMP '2026-13-45T99:99:99Z'".to_owned(),
            &["is no time"],
        ),
        (
            "a recursion without end",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT \
             count(*) FROM r"
                .to_owned(),
            LIMITED,
        ),
        (
            "a recursion that doubles",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r CROSS JOIN \
             (VALUES (1), (2)) v) SELECT count(*) FROM r"
                .to_owned(),
            LIMITED,
        ),
        (
            "a recursion that overflows",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n * 1000 FROM r) SELECT \
             max(n) FROM r"
                .to_owned(),
            &["does not fit Int64"],
        ),
        (
            "a cross join",
            "SELECT count(*) FROM records a, records b, records c, records d WHERE \
             a.value_f64 < d.value_f64"
                .to_owned(),
            LIMITED,
        ),
        (
            "rows of a cross join",
            "SELECT a.time FROM records a, records b, records c".to_owned(),
            LIMITED,
        ),
        (
            "a series",
            "SELECT value FROM generate_series(1, 9223372036854775807) AS s(value)".to_owned(),
            LIMITED,
        ),
        (
            "a sorted series",
            "SELECT value FROM generate_series(1, 9223372036854775807) AS s(value) ORDER \
             BY value % 7"
                .to_owned(),
            LIMITED,
        ),
        (
            "a pattern that grows",
            "SELECT count(*) FROM speed WHERE device ~ \
             '((((a{1000}){1000}){1000}){1000})'"
                .to_owned(),
            &["a regular expression cannot be used: it would take more than"],
        ),
        (
            "a pattern of brackets",
            format!("SELECT count(*) FROM speed WHERE device ~ '{}'", "(".repeat(100_000)),
            &["regex parse error"],
        ),
        ("a text that grows", "SELECT repeat('x', 2000000000)".to_owned(), &["bytes of memory"]),
        (
            "a limit beyond integers",
            "SELECT time FROM speed LIMIT 18446744073709551616".to_owned(),
            &["Expected LIMIT to be an integer"],
        ),
        (
            "a limit below nothing",
            "SELECT time FROM speed LIMIT -1".to_owned(),
            &["LIMIT must be >= 0"],
        ),
        (
            "an offset below nothing",
            "SELECT time FROM speed OFFSET -5".to_owned(),
            &["OFFSET must be >=0"],
        ),
        (
            "a limit that is none",
            "SELECT time FROM speed LIMIT (SELECT max(value) FROM speed)".to_owned(),
            &["Expected LIMIT to be an integer"],
        ),
        (
            "a table of another alphabet",
            "SELECT * FROM \"скорость\"".to_owned(),
            &["there is no table скорость"],
        ),
        (
            "a column of signs",
            "SELECT \"🚗\" FROM speed".to_owned(),
            &["there is no column \"🚗\""],
        ),
        ("a NUL between words", "SELECT\0value FROM speed".to_owned(), &["cannot be read"]),
        ("a NUL in a name", "SELECT * FROM \"spe\0ed\"".to_owned(), &["there is no table"]),
        (
            "a name that is long",
            format!("SELECT {} FROM speed", "a".repeat(100_000)),
            &["there is no column"],
        ),
        (
            "gaps without end",
            "SELECT time_bucket_gapfill('1ns', time) AS b, count(*) FROM speed WHERE \
             time > '2000-01-01' AND time < '2026-03-01' GROUP BY b"
                .to_owned(),
            &["more than 10000000 rows", "bytes of memory"],
        ),
        (
            "a histogram without end",
            "SELECT histogram(value, 0, 1, 9223372036854775807) FROM speed".to_owned(),
            &["histogram"],
        ),
        (
            "the least by minus one",
            "SELECT min(value) / -1 FROM (VALUES (-9223372036854775808)) AS v(value)".to_owned(),
            &["verflow"],
        ),
        (
            "division by nothing",
            "SELECT 1 / (value - value) FROM rpm".to_owned(),
            &["ivide by zero"],
        ),
    ];
    for (name, text, says) in &errors {
        let outcome = outcome(&fixture.sql, text, Duration::from_secs(3));
        let is_told =
            matches!(&outcome, Err(problem) if says.iter().any(|word| problem.contains(word)));
        if !is_told {
            let shown: String = format!("{outcome:?}").chars().take(300).collect();
            wrong.push_str(&format!("{name}: {shown}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn arguments_without_sense_are_errors() {
    let fixture = fixture(32);
    for sql in [
        "",
        ";",
        "SELECT",
        "SELECT 1; SELECT 2",
        "SELECT time_bucket('0s', time) FROM speed",
        "SELECT time_bucket(INTERVAL '-1 hour', time) FROM speed",
        "SELECT time_bucket(INTERVAL '1 month 1 day', time) FROM speed",
        "SELECT time_bucket('1h', time, 'Mars/Olympus') FROM speed",
        "SELECT time_bucket('1h') FROM speed",
        "SELECT time_bucket('1h', value) FROM speed",
        "SELECT time_bucket('5 lightyears', time) FROM speed",
        "SELECT time_bucket(NULL, time) FROM speed",
        "SELECT histogram(value, 1, 0, 5) FROM speed",
        "SELECT histogram(value, 0, 1, 1000000000) FROM speed",
        "SELECT histogram(value, value, 1, 5) FROM speed",
        "SELECT first(value) FROM speed",
        "SELECT rate(value, device) FROM speed",
        "SELECT sum(device) FROM speed",
        "SELECT sum(DISTINCT note.value) FROM note",
        "SELECT device FROM speed WHERE device ~ '('",
        "SELECT value FROM speed WHERE time > 'yesterday'",
        "SELECT 1/0 FROM speed",
        "CREATE TABLE x (a INT)",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "INSERT INTO speed VALUES (1)",
        "DROP TABLE speed",
        "SET datafusion.execution.batch_size = 0",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "EXPLAIN DELETE FROM speed",
        "SELECT \u{0} FROM speed",
    ] {
        assert!(rows(&fixture.sql, sql).is_err(), "{sql:?} has an answer");
    }
}

#[test]
fn random_words_never_panic() {
    let fixture = fixture(33);
    let words = [
        "SELECT",
        "FROM",
        "speed",
        "fleet",
        "records",
        "system.metrics",
        "WHERE",
        "time",
        "value",
        "device",
        "(",
        ")",
        ",",
        "*",
        "=",
        "<",
        "'car-1'",
        "1",
        "-1",
        "NULL",
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "count(*)",
        "time_bucket('5m', time)",
        "AND",
        "OR",
        "NOT",
        "IN",
        "LIKE",
        "'%'",
        "INTERVAL '1 hour'",
        "AS",
        "x",
        "OVER ()",
        "sum(value)",
        "JOIN",
        "ON",
        "UNION",
        "EXPLAIN",
        "9223372036854775807",
        "1e308",
        "''",
        "::",
        "TIMESTAMP",
        "DISTINCT",
        "HAVING",
        "~",
        ".",
    ];
    let mut random = Random(9);
    for _ in 0..3_000 {
        let length = 1 + random.below(14);
        let mut sql = String::from(if random.below(4) > 0 { "SELECT" } else { "" });
        for _ in 0..length {
            sql.push(' ');
            let word: &&str = random.choose(&words);
            sql.push_str(word);
        }
        if sql.contains("JOIN") || sql.matches(',').count() > 2 {
            continue;
        }
        let _ = rows(&fixture.sql, &sql);
    }
}
