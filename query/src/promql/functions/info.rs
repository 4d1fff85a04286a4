//! `info`: adds the labels of info metrics, as `target_info`, to the series they are about.

use std::collections::HashMap;

use super::Arguments;
use crate::promql::ast::{Expr, Selector};
use crate::promql::error::{Result, execution};
use crate::promql::labels::{Labels, NAME};
use crate::promql::selector::rows;
use crate::promql::source::{Matcher, Test};
use crate::promql::value::{ABSENT, Row, is_absent};

/// The labels by which an info metric finds its series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

pub(super) fn info(arguments: &Arguments<'_, '_>) -> Result<Vec<Row>> {
    let base = arguments.vector(0)?;
    let matchers: &[Matcher] = match arguments.nodes.get(1).map(|node| &node.bare().expr) {
        Some(Expr::Selector(selector)) => &selector.matchers,
        _ => &[],
    };
    let (names, data): (Vec<Matcher>, Vec<Matcher>) =
        matchers.iter().cloned().partition(Matcher::is_name);
    let mut selector = Selector { matchers: names, ..Selector::default() };
    if selector.matchers.is_empty() {
        selector.matchers.push(Matcher::new(NAME, Test::Equal("target_info".to_owned())));
    }
    let is_info =
        |row: &Row| selector.matchers.iter().all(|matcher| matcher.matches(row.labels.name()));
    // The shift of the series applies to what is said of them too.
    if let Expr::Selector(of) = &arguments.node(0)?.bare().expr {
        selector.shift = of.shift.clone();
    }
    let infos = rows(arguments.evaluator, &selector, arguments.grid)?;
    let mut by_identity: HashMap<Labels, Vec<&Row>> = HashMap::new();
    for row in &infos {
        by_identity.entry(identity(&row.labels)).or_default().push(row);
    }
    let mut results = Vec::new();
    for row in base {
        arguments.evaluator.tick()?;
        if is_info(&row) {
            results.push(row);
            continue;
        }
        let known = by_identity.get(&identity(&row.labels)).map_or(&[][..], Vec::as_slice);
        enrich(row, known, &data, &mut results)?;
    }
    Ok(results)
}

fn identity(labels: &Labels) -> Labels {
    labels.filter(|name| IDENTIFYING.contains(&name))
}

/// The series, once for each set of labels that the infos give it over time.
fn enrich(row: Row, infos: &[&Row], data: &[Matcher], results: &mut Vec<Row>) -> Result<()> {
    let first = results.len();
    for (step, value) in row.values.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
        let Some(added) = added(&row, infos, data, step)? else { continue };
        let mut labels = row.labels.clone();
        for (name, value) in added.iter() {
            labels = labels.with(name, value);
        }
        let known = results[first..].iter().position(|other| other.labels == labels);
        let place = match known {
            Some(place) => first + place,
            None => {
                let mut next = Row::new(labels, vec![ABSENT; row.values.len()]);
                next.drops_name = row.drops_name;
                results.push(next);
                results.len() - 1
            }
        };
        results[place].values[step] = *value;
    }
    Ok(())
}

/// What the infos add at a step; `None` where a matcher asks for a label that none of them has.
fn added(row: &Row, infos: &[&Row], data: &[Matcher], step: usize) -> Result<Option<Labels>> {
    let mut added: HashMap<String, String> = HashMap::new();
    let mut seen: Vec<&str> = Vec::new();
    let mut matched = false;
    for info in infos.iter().filter(|info| !is_absent(info.values[step])) {
        if !data.iter().all(|matcher| matcher.matches(info.labels.get(matcher.label()))) {
            continue;
        }
        matched = true;
        let name = info.labels.name();
        if seen.contains(&name) {
            return execution(format!(
                "found duplicate series for info metric: existing {} and {}",
                name, info.labels
            ));
        }
        seen.push(name);
        for (name, value) in info.labels.iter() {
            let wanted = data.is_empty() || data.iter().any(|matcher| matcher.label() == name);
            let own =
                name == NAME || IDENTIFYING.contains(&name) || !row.labels.get(name).is_empty();
            if !wanted || own {
                continue;
            }
            let before = added.insert(name.to_owned(), value.to_owned());
            if before.is_some_and(|before| before != value) {
                return execution(format!("conflicting label: {name}"));
            }
        }
    }
    let required = data.iter().any(|matcher| !matcher.matches(""));
    Ok((matched || !required).then(|| Labels::new(added)))
}
