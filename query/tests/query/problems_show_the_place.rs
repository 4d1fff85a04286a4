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
    let shown = problem("DROP TABLE speed");
    assert!(shown.contains("only queries are answered"), "{shown}");
}
