//! Series and their values as tests write them: `up{job="x"} 0+10x3 _ stale`.

use std::borrow::Cow;

use crate::promql::labels::Labels;
use crate::promql::parse::{number_value, parse_selector};
use crate::promql::source::stale;

/// One value of a sequence.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry {
    /// No sample.
    Omitted,
    Number(f64),
    /// A native histogram, which is not supported.
    Histogram,
}

/// A series with its values, one for each step.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub(super) labels: Labels,
    pub(super) entries: Vec<Entry>,
}

/// The most values that a line may stand for.
const MAX_VALUES: usize = 1_000_000;

/// Reads a line of a series and its values.
pub(super) fn sequence(line: &str) -> Result<Sequence, String> {
    let (metric, values) = line.split_at(metric_end(line)?);
    Ok(Sequence { labels: labels(metric)?, entries: entries(values)? })
}

/// Where the labels of a series end: after the braces, or after the name.
fn metric_end(line: &str) -> Result<usize, String> {
    let mut quote = None;
    let mut escaped = false;
    let mut inside = false;
    for (at, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) if c == '\\' && open != '`' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if inside && matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '{' => inside = true,
            None if c == '}' => return Ok(at + 1),
            // Braces may stand apart from the name.
            None if c.is_whitespace() && !inside && !has_braces(&line[at..]) => return Ok(at),
            None => {}
        }
    }
    if inside { Err(format!("the braces of {line:?} are not closed")) } else { Ok(line.len()) }
}

/// Whether labels come next, and not a histogram.
fn has_braces(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.starts_with('{') && !rest.starts_with("{{")
}

fn labels(metric: &str) -> Result<Labels, String> {
    let metric = metric.trim();
    let compact: String = metric.chars().filter(|c| !c.is_whitespace()).collect();
    let text: Cow<'_, str> = match compact.strip_suffix("{}") {
        Some("") => return Ok(Labels::default()),
        Some(name) => Cow::Owned(name.to_owned()),
        None => Cow::Borrowed(metric),
    };
    let matchers = parse_selector(&text).map_err(|error| format!("{metric:?}: {error}"))?;
    let mut pairs = Vec::new();
    for matcher in &matchers {
        let Some(value) = matcher.equal() else {
            return Err(format!("{metric:?} is no series; its labels need ="));
        };
        pairs.push((matcher.label().to_owned(), value.to_owned()));
    }
    Ok(Labels::new(pairs))
}

fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = word_end(rest);
        expand(&rest[..end], &mut entries)?;
        if entries.len() > MAX_VALUES {
            return Err(format!("{text:?} stands for more than {MAX_VALUES} values"));
        }
        rest = rest[end..].trim_start();
    }
    Ok(entries)
}

/// Words end at white space, but not inside a histogram.
fn word_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if c.is_whitespace() && depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// One word: `_`, `_x3`, `1`, `1x3`, `1+2x3`, `stale`, a histogram with or without a repetition.
fn expand(word: &str, entries: &mut Vec<Entry>) -> Result<(), String> {
    let wrong = || format!("{word:?} is no value; write 1, 1x3, 1+2x3, _, _x3 or stale");
    let (body, times) = match word.rsplit_once('x') {
        Some((body, times)) if !times.is_empty() && times.bytes().all(|b| b.is_ascii_digit()) => {
            (body, Some(times.parse::<usize>().map_err(|_| wrong())?))
        }
        _ => (word, None),
    };
    if times.is_some_and(|times| times > MAX_VALUES) {
        return Err(wrong());
    }
    if body.contains("{{") {
        let count = times.map_or(1, |times| times + 1);
        entries.extend(std::iter::repeat_n(Entry::Histogram, count));
        return Ok(());
    }
    if body == "_" {
        // Unlike other repetitions, this is of no first value.
        entries.extend(std::iter::repeat_n(Entry::Omitted, times.unwrap_or(1)));
        return Ok(());
    }
    let (first, step) = first_and_step(body, times.is_some()).ok_or_else(wrong)?;
    let mut value = first;
    for _ in 0..=times.unwrap_or(0) {
        entries.push(Entry::Number(value));
        value += step;
    }
    Ok(())
}

fn first_and_step(body: &str, repeats: bool) -> Option<(f64, f64)> {
    if body == "stale" {
        return Some((stale(), 0.0));
    }
    if let Some(value) = number_value(body) {
        return Some((value, 0.0));
    }
    let signs = body.char_indices().skip(1).filter(|(_, c)| matches!(c, '+' | '-'));
    let mut splits = signs.filter_map(|(at, _)| {
        let (first, step) = body.split_at(at);
        Some((number_value(first)?, number_value(step)?))
    });
    splits.next().filter(|_| repeats)
}
