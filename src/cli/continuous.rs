//! Statements about continuous queries on the command line.

use std::io::{self, IsTerminal};

use anyhow::Result;
use chronolith_query::continuous::{Continuous, Outcome as Done, Status};
use indicatif::ProgressBar;
use serde_json::json;

use super::output::{print_json, say};
use crate::rows::{changes, rfc3339};

/// Says what a statement did.
pub(super) fn print_outcome(done: &Done, as_json: bool) -> Result<()> {
    let (name, what) = match done {
        Done::Shown(all) => return show(all, as_json),
        Done::Created(name) => (name, "created; it is filled while it is followed or asked"),
        Done::Refreshing(name) => (name, "refreshed"),
        Done::Paused(name) => (name, "paused"),
        Done::Resumed(name) => (name, "resumed"),
        Done::Dropped(name) => (name, "dropped"),
        other => {
            say!("{other:?}");
            return Ok(());
        }
    };
    if as_json {
        return print_json(&json!({"query": name, "done": what}));
    }
    say!("continuous query {name} {what}");
    Ok(())
}

/// Computes what queries have not seen yet, with a bar on a terminal.
pub(super) fn fill(queries: &Continuous) -> Result<()> {
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::new(1_000),
        false => ProgressBar::hidden(),
    };
    while queries.advance()? {
        let least = queries.status().iter().map(|status| status.progress).fold(1.0, f64::min);
        bar.set_position((least * 1_000.0) as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

fn show(all: &[Status], as_json: bool) -> Result<()> {
    let watermark = |status: &Status| status.watermark_ns.map(rfc3339);
    if as_json {
        let rows = all.iter().map(changes::status);
        return print_json(&rows.collect());
    }
    if all.is_empty() {
        say!("there are no continuous queries");
    }
    for status in all {
        let state = match (status.is_paused, status.progress < 1.0) {
            (true, _) => "paused".to_owned(),
            (_, true) => format!("filling, {:.1} %", status.progress * 100.0),
            _ => "up to date with what it has seen".to_owned(),
        };
        say!("{}: {state}", status.name);
        say!(
            "  statement     {}",
            status.statement.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        say!("  watermark     {}", watermark(status).unwrap_or_else(|| "none yet".to_owned()));
        say!("  lag           {} batches", status.lag);
        let ahead = match status.ahead_records {
            0 => String::new(),
            ahead => format!(", {ahead} too far ahead of the clock to move the watermark"),
        };
        say!("  records       {} ({} late{ahead})", status.records, status.late_records);
        say!(
            "  computed      {} windows from {} stored records",
            status.recomputed_windows,
            status.reread_records
        );
        say!(
            "  state         {} open windows in {} groups, {} bytes",
            status.open_windows,
            status.groups,
            status.state_bytes
        );
        say!("  cursors       {} to {}", status.oldest_cursor, status.cursor);
    }
    Ok(())
}
