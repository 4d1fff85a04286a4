//! Aggregates over windows: those that grow keep what came before.
//!
//! Sums and averages of windows that grow (`OVER (ORDER BY time)`) were those of each row alone: asking
//! for a value took what had been added so far.

use crate::fixture::fixture;

#[test]
fn growing_windows_keep_what_came_before() {
    let fixture = fixture(71);
    for (column, kind) in [("1.5, 2.5, 3.5", "DOUBLE"), ("1, 2, 3", "BIGINT")] {
        let rows = column.split(", ").map(|value| format!("({value})")).collect::<Vec<_>>();
        let table =
            format!("(SELECT CAST(x AS {kind}) AS v FROM (VALUES {}) t(x))", rows.join(", "));
        let sql = format!(
            "SELECT sum(v) OVER w, avg(v) OVER w, min(v) OVER w, max(v) OVER w, count(v) OVER w \
             FROM {table} WINDOW w AS (ORDER BY v) ORDER BY v"
        );
        let found: Vec<Vec<f64>> = fixture
            .rows(&sql)
            .iter()
            .map(|row| row.iter().map(|cell| cell.parse().unwrap()).collect())
            .collect();
        let values: Vec<f64> = column.split(", ").map(|value| value.parse().unwrap()).collect();
        for (row, found) in found.iter().enumerate() {
            let seen = &values[..=row];
            let sum: f64 = seen.iter().sum();
            let count = seen.len() as f64;
            assert_eq!(*found, [sum, sum / count, seen[0], seen[row], count], "{sql}");
        }
        assert_eq!(found.len(), 3);
    }
}

#[test]
fn running_sums_equal_sums_of_what_came_before() {
    let fixture = fixture(72);
    let sql = "SELECT r.s, sum(b.value) FROM (SELECT time, sum(value) OVER (ORDER BY time) AS s \
               FROM rpm WHERE device = 'car-1') r JOIN rpm b ON b.time <= r.time \
               WHERE b.device = 'car-1' GROUP BY r.time, r.s ORDER BY r.time LIMIT 50";
    let rows = fixture.rows(sql);
    assert_eq!(rows.len(), 50);
    assert!(rows.iter().all(|row| row[0] == row[1]), "{rows:?}");
}
