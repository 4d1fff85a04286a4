//! The points that are drawn, for programs.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Chart, Line};

/// A time in the zone of a chart: RFC 3339 with its offset.
fn time(chart: &Chart, time_ns: i64) -> String {
    let Ok(timestamp) = Timestamp::from_nanosecond(time_ns.into()) else {
        return time_ns.to_string();
    };
    timestamp.display_with_offset(chart.zone.to_offset(timestamp)).to_string()
}

fn line(chart: &Chart, line: &Line) -> Value {
    let piece = |piece: &[(i64, f64)]| -> Vec<Value> {
        piece.iter().map(|(time_ns, value)| json!([time(chart, *time_ns), value])).collect()
    };
    json!({
        "name": line.name,
        "points": line.points,
        "pieces": chart.shown(line).map(piece).collect::<Vec<_>>(),
    })
}

/// A whole chart.
pub(super) fn document(chart: &Chart) -> Value {
    let (from_ns, to_ns) = chart.span_ns;
    json!({
        "title": chart.title,
        "from": time(chart, from_ns),
        "to": time(chart, to_ns),
        "lines": chart.lines.iter().map(|one| line(chart, one)).collect::<Vec<_>>(),
        "notes": chart.notes,
    })
}
