//! Sums and averages of distinct values stand beside other aggregates.

use crate::fixture::{expect_same, fixture};

/// Symptom: `sum(DISTINCT value)` beside `avg(value)` was refused, with "use a subquery". Cause: what
/// was seen so far had no partial state, and other aggregates are made in two steps. Fix: the values
/// are handed over as a list.
#[test]
fn beside_others_they_equal_those_of_a_subquery() {
    let fixture = fixture(91);
    for name in ["rpm", "odometer", "speed"] {
        // Few values, so that most come more than once, in more than one partition.
        let from = format!("(SELECT device, site, value % 50 AS v FROM {name})");
        for (key, group) in [("", ""), ("site, ", "GROUP BY site"), ("device, ", "GROUP BY device")]
        {
            // An average of all is what DataFusion cannot plan the distinct ones away beside.
            let beside = format!(
                "SELECT {key}sum(DISTINCT v), avg(DISTINCT v), max(v), avg(v), stddev(v) \
                 FROM {from} {group}"
            );
            let without_others = |mut row: Vec<String>| {
                row.truncate(row.len() - 2);
                row
            };
            let mut found: Vec<Vec<String>> =
                fixture.rows(&beside).into_iter().map(without_others).collect();
            found.sort();
            let alone = format!(
                "SELECT {key}sum(v), avg(v), max(v) FROM (SELECT DISTINCT {key}v FROM {from}) \
                 {group}"
            );
            expect_same(&beside, &found, &fixture.sorted(&alone));
        }
    }
}
