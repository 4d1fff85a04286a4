//! `info`: adds the labels of info metrics, as `target_info`, to the series they are about.

use std::collections::HashMap;

use super::Arguments;
use crate::promql::ast::{Expr, Selector};
use crate::promql::error::{Result, execution};
use crate::promql::labels::{Labels, NAME};
use crate::promql::selector::{rows, sample_times};
use crate::promql::source::{Matcher, Test};
use crate::promql::value::{ABSENT, Row, is_absent};

/// The labels by which an info metric finds its series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// A series of an info metric, and when its value at each step was written.
struct Info {
    row: Row,
    written: Vec<f64>,
}

pub(super) fn info(arguments: &Arguments<'_, '_>) -> Result<Vec<Row>> {
    let base = arguments.vector(0)?;
    let matchers: &[Matcher] = match arguments.nodes.get(1).map(|node| &node.bare().expr) {
        Some(Expr::Selector(selector)) => &selector.matchers,
        _ => &[],
    };
    let (names, data): (Vec<Matcher>, Vec<Matcher>) =
        matchers.iter().cloned().partition(Matcher::is_name);
    let mut selector = Selector { matchers: of_info(names)?, ..Selector::default() };
    let is_info =
        |row: &Row| selector.matchers.iter().all(|matcher| matcher.matches(row.labels.name()));
    let (ready, base): (Vec<Row>, Vec<Row>) = base.into_iter().partition(is_info);
    // The shift of the series applies to what is said of them too.
    if let Expr::Selector(of) = &arguments.node(0)?.bare().expr {
        selector.shift = of.shift.clone();
    }
    let mut by_identity: HashMap<Labels, Vec<Info>> = HashMap::new();
    let times = sample_times(arguments.evaluator, &selector, arguments.grid)?;
    for (row, times) in rows(arguments.evaluator, &selector, arguments.grid)?.into_iter().zip(times)
    {
        let info = Info { written: times.values, row };
        by_identity.entry(identity(&info.row.labels)).or_default().push(info);
    }
    let mut results = ready;
    for row in base {
        arguments.evaluator.tick()?;
        let identity = identity(&row.labels);
        let known = by_identity.get(&identity).filter(|_| !identity.is_empty());
        enrich(row, known.map_or(&[][..], Vec::as_slice), &data, &mut results)?;
    }
    Ok(results)
}

/// The matchers of info metrics: `target_info` where none is given, those that end in `_info`
/// where it is only said which not.
fn of_info(mut names: Vec<Matcher>) -> Result<Vec<Matcher>> {
    if names.is_empty() {
        return Ok(vec![Matcher::new(NAME, Test::Equal("target_info".to_owned()))]);
    }
    let is_negative =
        |matcher: &Matcher| matches!(matcher.test(), Test::NotEqual(_) | Test::NotPattern(..));
    if names.iter().all(is_negative) {
        match Matcher::parse(NAME, "=~", ".+_info") {
            Ok(matcher) => names.push(matcher),
            Err(problem) => return execution(problem),
        }
    }
    Ok(names)
}

fn identity(labels: &Labels) -> Labels {
    labels.filter(|name| IDENTIFYING.contains(&name))
}

/// The series, once for each set of labels that the infos give it over time.
fn enrich(row: Row, infos: &[Info], data: &[Matcher], results: &mut Vec<Row>) -> Result<()> {
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
fn added(row: &Row, infos: &[Info], data: &[Matcher], step: usize) -> Result<Option<Labels>> {
    let latest = latest(infos, data, step)?;
    let mut added: HashMap<&str, &str> = HashMap::new();
    for info in &latest {
        for (name, value) in info.row.labels.iter() {
            let wanted = data.is_empty() || data.iter().any(|matcher| matcher.label() == name);
            let own =
                name == NAME || IDENTIFYING.contains(&name) || !row.labels.get(name).is_empty();
            if !wanted || own {
                continue;
            }
            if added.insert(name, value).is_some_and(|before| before != value) {
                return execution(format!("conflicting label: {name}"));
            }
        }
    }
    let required = data.iter().any(|matcher| !matcher.matches(""));
    Ok((!latest.is_empty() || !required).then(|| Labels::new(added)))
}

/// Of each info metric the series that was written last.
fn latest<'a>(infos: &'a [Info], data: &[Matcher], step: usize) -> Result<Vec<&'a Info>> {
    let mut latest: Vec<&Info> = Vec::new();
    for info in infos.iter().filter(|info| !is_absent(info.row.values[step])) {
        let labels = &info.row.labels;
        if !data.iter().all(|matcher| matcher.matches(labels.get(matcher.label()))) {
            continue;
        }
        let same = latest.iter().position(|other| other.row.labels.name() == labels.name());
        let Some(same) = same else {
            latest.push(info);
            continue;
        };
        let other = latest[same];
        if other.written[step] == info.written[step] {
            return execution(format!(
                "found duplicate series for info metric: existing {}, new {labels}",
                other.row.labels
            ));
        }
        if other.written[step] < info.written[step] {
            latest[same] = info;
        }
    }
    Ok(latest)
}
