//! The answer as it is now: what is kept, and what is known better.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chronolith_engine::Db;

use super::error::ContinuousError;
use super::live::{Live, closes_ns, end_ns};
use super::outputs;
use super::row::Row;

/// The rows whose windows begin in a range: those that are kept, then what is known better.
pub(super) fn rows(
    db: &Db,
    live: &Live,
    ahead: &BTreeMap<(usize, i64), Option<Row>>,
    starts: RangeInclusive<i64>,
) -> Result<Vec<Row>, ContinuousError> {
    let mut rows: BTreeMap<(i64, usize), Row> = BTreeMap::new();
    let watermark_ns = live.watermark_ns();
    for (index, group) in live.groups.iter().enumerate() {
        let (from_ns, to_ns) = (*starts.start(), *starts.end());
        let kept = outputs::read(db, &live.query, &group.outputs, from_ns, to_ns)?;
        for (start_ns, (values, last_ns)) in kept {
            let last_ns = last_ns.unwrap_or_else(|| live.query.windows.at(start_ns).last_ns);
            let closes_ns = closes_ns(&live.query, last_ns);
            let row = Row {
                keys: group.keys.clone(),
                start_ns,
                end_ns: end_ns(&live.query, last_ns),
                values,
                is_final: watermark_ns.is_some_and(|watermark_ns| closes_ns <= watermark_ns),
            };
            rows.insert((start_ns, index), row);
        }
        for start_ns in group.open.range(starts.clone()).map(|(start_ns, _)| *start_ns) {
            if let Some(row) = live.row(index, start_ns) {
                rows.insert((start_ns, index), row);
            }
        }
    }
    for ((index, start_ns), row) in ahead.iter().filter(|((_, start), _)| starts.contains(start)) {
        match row {
            Some(row) => drop(rows.insert((*start_ns, *index), row.clone())),
            None if !live.groups.get(*index).is_some_and(|g| g.open.contains_key(start_ns)) => {
                drop(rows.remove(&(*start_ns, *index)));
            }
            None => {}
        }
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by(|one, other| (one.start_ns, &one.keys).cmp(&(other.start_ns, &other.keys)));
    Ok(rows)
}
