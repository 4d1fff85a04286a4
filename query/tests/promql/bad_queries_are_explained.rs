//! Whatever is asked, the answer is a value or an error that says where and what to do.

use std::time::Instant;

use chronolith_query::promql::{Labels, Limits, MemorySource, PromqlError, Query};
use proptest::prelude::*;

#[test]
fn errors_of_the_text_have_a_line_and_a_column() {
    for (text, line, column, problem) in [
        ("sum(speed", 1, 10, "unexpected end of input"),
        ("speed +\n  rate(speed)", 2, 8, "expected type range vector"),
        ("speed[1e400]", 1, 6, ""),
        ("speed{a=~\"(\"}", 1, 10, "no valid regular expression"),
        ("nonsense(speed)", 1, 1, "unknown function"),
        ("", 1, 1, "no expression found"),
        ("{a=\"\"}", 1, 1, "non-empty matcher"),
    ] {
        match Query::parse(text) {
            Err(PromqlError::Parse { line: l, column: c, problem: p, .. }) => {
                assert_eq!((l, c), (line, column), "{text}: {p}");
                assert!(p.contains(problem), "{text}: {p}");
            }
            Ok(query) => {
                let answer = query.instant(&MemorySource::new(), 0, &Limits::default());
                assert!(answer.is_err(), "{text}");
            }
            Err(other) => panic!("{text}: {other}"),
        }
    }
}

#[test]
fn limits_end_what_is_too_much() {
    let mut source = MemorySource::new();
    let labels = Labels::new([("__name__", "speed")]);
    for time_ns in 0..1_000 {
        source.push(&labels, time_ns, 1.0);
    }
    let query = Query::parse("sum_over_time(speed[1h])").unwrap();
    let few = Limits { samples: 100, ..Limits::default() };
    assert!(matches!(
        query.instant(&source, 1_000, &few),
        Err(PromqlError::TooManySamples { limit: 100 })
    ));
    let late = Limits { deadline: Some(Instant::now()), ..Limits::default() };
    assert!(matches!(query.instant(&source, 1_000, &late), Err(PromqlError::Timeout)));
    let limits = Limits::default();
    assert!(matches!(
        query.range(&source, 0, i64::MAX, 1, &limits),
        Err(PromqlError::TooManySteps { .. })
    ));
    assert!(matches!(query.range(&source, 0, 1, 0, &limits), Err(PromqlError::Range(_))));
    let endless = Query::parse("count_over_time(vector(1)[200y:1ms])").unwrap();
    assert!(matches!(
        endless.instant(&source, 0, &limits),
        Err(PromqlError::TooManySamples { .. })
    ));
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(matches!(Query::parse(&deep), Err(PromqlError::Parse { .. })));
    assert!(Query::parse(&vec!["a"; 10_000].join("+")).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9(){}\\[\\]:,.+*/^@\"'=~! \\-]{0,60}|\\PC{0,40}") {
        if let Ok(query) = Query::parse(&text) {
            drop(query.instant(&MemorySource::new(), 0, &Limits::default()));
        }
    }
}
