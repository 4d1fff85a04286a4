//! Errors show the place in the SQL and what may have been meant.

use crate::fixture::{fixture, rows};

#[test]
fn misspelt_names_are_pointed_at() {
    let fixture = fixture(51);
    let problem = |sql: &str| rows(&fixture.sql, sql).unwrap_err().to_string();
    let shown = problem("SELECT time, devise FROM speed");
    let expected = "there is no column devise; there are time, device, class, site, unit, value\n   \
                    1 | SELECT time, devise FROM speed\n                    ^^^^^^\n\
                    did you mean device?";
    assert_eq!(shown, expected);
    let shown = problem("SELECT *\nFROM sped");
    assert!(shown.contains("there is no table sped"), "{shown}");
    assert!(shown.contains("   2 | FROM sped\n            ^^^^\ndid you mean speed?"), "{shown}");
    let shown = problem("SELECT avgg(value) FROM speed");
    assert!(shown.ends_with("^^^^\ndid you mean avg?"), "{shown}");
    let shown = problem("SELECT value FRM speed");
    assert!(shown.contains("the SQL cannot be read") && shown.ends_with("^^^^^"), "{shown}");
    let shown = problem("SELECT * FROM system.chunk");
    assert!(shown.ends_with("did you mean system.chunks?"), "{shown}");
    let shown = problem("SELCT value FROM speed");
    assert!(shown.ends_with("^^^^^\ndid you mean SELECT?"), "{shown}");
    for change in ["DROP TABLE speed", "INSERT INTO speed VALUES (1)", "DELETE FROM speed"] {
        let shown = problem(change);
        assert!(shown.contains("only queries are answered"), "{change}: {shown}");
    }
}

#[test]
fn texts_that_are_no_times_are_pointed_at() {
    let fixture = fixture(51);
    let problem = |sql: &str| rows(&fixture.sql, sql).unwrap_err().to_string();
    let shown = problem("SELECT value\nFROM speed WHERE time > 'yesterday'");
    assert!(shown.starts_with("\"yesterday\" is no time; write one like"), "{shown}");
    assert!(
        shown.ends_with(
            "   2 | FROM speed WHERE time > 'yesterday'\n                               ^^^^^^^^^^^"
        ),
        "{shown}"
    );
    let shown = problem("SELECT time_bucket('5 fortnights', time) FROM speed");
    assert!(
        shown.contains("is not a length of time") && shown.ends_with("^^^^^^^^^^^^^^"),
        "{shown}"
    );
    let shown = problem("SELECT time_bucket('1h', time, 'Mars/Olympus') FROM speed");
    assert!(shown.contains("is not a time zone") && shown.ends_with("^^^^^^^^^^^^^^"), "{shown}");
}

#[test]
fn no_query_and_several_are_told_apart() {
    let fixture = fixture(51);
    let problem = |sql: &str| rows(&fixture.sql, sql).unwrap_err().to_string();
    assert!(problem(" ").contains("there is no query"), "{}", problem(" "));
    for several in ["SELECT 1; SELECT 2", "SELECT 1 FROM speed ASOF JOIN rpm ON true; SELECT 2"] {
        assert!(problem(several).contains("one query at a time"), "{}", problem(several));
    }
}
