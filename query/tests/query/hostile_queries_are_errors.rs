//! Hostile SQL gives an error or an answer, never a panic.

use crate::fixture::{Random, fixture, rows};

#[test]
fn deep_and_long_queries_are_refused_or_answered() {
    let fixture = fixture(31);
    let deep = [
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}1{}", "(".repeat(900), ")".repeat(900)),
        format!("SELECT 1{}", " + 1".repeat(100_000)),
        format!("SELECT 1{}", " + 1".repeat(950)),
        format!("SELECT {}true", "NOT ".repeat(1_500)),
        format!("SELECT - {} 1", "- ".repeat(1_900)),
        format!("SELECT value FROM speed WHERE true{}", " AND value > 1".repeat(400)),
        format!("SELECT value FROM speed WHERE device = 'x'{}", " OR device = 'x'".repeat(400)),
        format!("SELECT * FROM speed{}", " UNION ALL SELECT * FROM speed".repeat(100)),
        format!("SELECT value FROM speed WHERE device IN ('x'{})", ", 'y'".repeat(20_000)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(300), " END".repeat(300)),
        "SELECT * FROM speed, speed b, speed c, speed d, speed e LIMIT 1".to_owned(),
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 50) \
         SELECT max(n) FROM r"
            .to_owned(),
    ];
    for sql in &deep {
        let _ = rows(&fixture.sql, sql);
    }
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
