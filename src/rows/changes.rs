//! Answers of continuous queries and their changes.

use chronolith_query::continuous::{ChangeKind, Columns, Cursor, Row, Status};
use serde_json::{Value, json};

use super::{Cell, rfc3339};

/// The names of the cells of a change.
pub(crate) fn names(columns: &Columns) -> Vec<String> {
    let mut names = vec!["cursor".to_owned(), "change".to_owned()];
    names.extend(columns.keys.iter().cloned());
    names.extend([columns.window.clone(), "window_end".to_owned()]);
    names.extend(columns.values.iter().cloned());
    names.push("final".to_owned());
    names
}

/// What happened to a row.
pub(crate) const fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Insert => "insert",
        ChangeKind::Update => "update",
        ChangeKind::Delete => "delete",
    }
}

/// The cells of a change, as [`names`] has them.
pub(crate) fn cells(cursor: Cursor, kind: &str, row: &Row) -> Vec<Cell> {
    let mut cells = vec![Cell::from(cursor), kind.into()];
    cells.extend(row.keys.iter().map(|key| Cell::from(key.as_str())));
    cells.extend([rfc3339(row.start_ns).into(), rfc3339(row.end_ns).into()]);
    cells.extend(row.values.iter().map(|value| match value {
        None => Cell::Value(Value::Null, String::new()),
        Some(value) => Cell::from(value.as_ref()),
    }));
    cells.push(Cell::Value(row.is_final.into(), row.is_final.to_string()));
    cells
}

/// Cells with their names.
pub(crate) fn object(names: &[String], cells: &[Cell]) -> Value {
    let pairs = names.iter().cloned().zip(cells.iter().map(Cell::json));
    Value::Object(pairs.collect())
}

/// How a query is doing.
pub(crate) fn status(status: &Status) -> Value {
    json!({
        "name": status.name,
        "into": status.into,
        "paused": status.is_paused,
        "progress": status.progress,
        "lag": status.lag,
        "watermark": status.watermark_ns.map(rfc3339),
        "records": status.records,
        "late_records": status.late_records,
        "ahead_records": status.ahead_records,
        "recomputed_windows": status.recomputed_windows,
        "reread_records": status.reread_records,
        "unfit_values": status.unfit_values,
        "open_windows": status.open_windows,
        "groups": status.groups,
        "state_bytes": status.state_bytes,
        "cursor": status.cursor,
        "oldest_cursor": status.oldest_cursor,
        "statement": status.statement,
    })
}
