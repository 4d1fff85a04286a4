//! `absent` and `absent_over_time`: a series where there is none.

use super::Arguments;
use crate::promql::ast::{Expr, Node};
use crate::promql::error::Result;
use crate::promql::labels::Labels;
use crate::promql::value::{ABSENT, Row, is_absent};

pub(super) fn absent(arguments: &Arguments<'_, '_>) -> Result<Vec<Row>> {
    let rows = arguments.vector(0)?;
    let mut present = vec![false; arguments.grid.count];
    for row in &rows {
        for (present, value) in present.iter_mut().zip(&row.values) {
            *present |= !is_absent(*value);
        }
    }
    missing(arguments, &present)
}

pub(super) fn absent_over_time(arguments: &Arguments<'_, '_>) -> Result<Vec<Row>> {
    let ranges = arguments.ranges(0)?;
    let mut present = vec![false; arguments.grid.count];
    ranges.for_each(arguments.evaluator, |_, windows| {
        for (present, window) in present.iter_mut().zip(windows) {
            *present |= window.len() > 0;
        }
        Ok(())
    })?;
    missing(arguments, &present)
}

fn missing(arguments: &Arguments<'_, '_>, present: &[bool]) -> Result<Vec<Row>> {
    let values = present.iter().map(|present| if *present { ABSENT } else { 1.0 }).collect();
    let row = Row::new(wanted(arguments.node(0)?), values);
    Ok(if row.is_empty() { Vec::new() } else { vec![row] })
}

/// The labels that a selector says exactly, each once.
fn wanted(node: &Node) -> Labels {
    let (Expr::Selector(selector) | Expr::Range { selector, .. }) = &node.bare().expr else {
        return Labels::default();
    };
    let matchers = selector.matchers.iter().filter(|matcher| !matcher.is_name());
    let once = |label: &str| {
        selector.matchers.iter().filter(|matcher| matcher.label() == label).count() == 1
    };
    let exact = matchers.filter_map(|matcher| Some((matcher.label(), matcher.equal()?)));
    Labels::new(exact.filter(|(label, _)| once(label)))
}
