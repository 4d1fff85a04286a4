//! `label_replace` and `label_join`.

use std::collections::HashSet;

use regex::Regex;

use super::Arguments;
use crate::promql::error::{PromqlError, Result, execution};
use crate::promql::labels::{Labels, NAME};
use crate::promql::value::Row;

pub(super) fn replace(arguments: &Arguments<'_, '_>) -> Result<Vec<Row>> {
    let rows = arguments.vector(0)?;
    let target = arguments.text(1)?;
    let template = arguments.text(2)?;
    let source = arguments.text(3)?;
    let pattern = arguments.text(4)?;
    let regex = regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(1 << 22).build();
    let regex: Regex = regex.map_err(|_| {
        PromqlError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    check_target(&target, "label_replace")?;
    relabelled(rows, &target, |labels| {
        let captures = regex.captures(labels.get(&source))?;
        let mut value = String::new();
        captures.expand(&template, &mut value);
        Some(value)
    })
}

pub(super) fn join(arguments: &Arguments<'_, '_>) -> Result<Vec<Row>> {
    let rows = arguments.vector(0)?;
    let target = arguments.text(1)?;
    let separator = arguments.text(2)?;
    let sources: Vec<String> =
        (3..arguments.nodes.len()).map(|index| arguments.text(index)).collect::<Result<_>>()?;
    if sources.iter().any(String::is_empty) {
        return execution("invalid source label name in label_join(): it is empty");
    }
    check_target(&target, "label_join")?;
    relabelled(rows, &target, |labels| {
        let values: Vec<&str> = sources.iter().map(|source| labels.get(source)).collect();
        Some(values.join(&separator))
    })
}

fn check_target(target: &str, function: &str) -> Result<()> {
    // The lexer puts U+FFFD where a literal is not UTF-8; names of labels must be.
    if target.is_empty() || target.contains(char::REPLACEMENT_CHARACTER) {
        return execution(format!("invalid destination label name in {function}(): {target}"));
    }
    Ok(())
}

/// Sets the label where there is a new value; series must stay apart.
fn relabelled(
    mut rows: Vec<Row>,
    target: &str,
    value: impl Fn(&Labels) -> Option<String>,
) -> Result<Vec<Row>> {
    let mut seen = HashSet::with_capacity(rows.len());
    for row in &mut rows {
        if let Some(value) = value(&row.labels) {
            row.labels = row.labels.with(target, &value);
            if target == NAME {
                row.drops_name = false;
            }
        }
        if !seen.insert(row.labels.clone()) {
            return execution("vector cannot contain metrics with the same labelset");
        }
    }
    Ok(rows)
}
