//! The order of an answer for one time; answers over a range are ordered by labels.

use std::cmp::Ordering;

use super::{Arguments, Function};
use crate::promql::error::Result;
use crate::promql::value::Row;

pub(super) fn sort(arguments: &Arguments<'_, '_>, function: Function) -> Result<Vec<Row>> {
    let mut rows = arguments.vector(0)?;
    if arguments.evaluator.query.count > 1 {
        return Ok(rows);
    }
    match function {
        Function::Sort => rows.sort_by(|left, right| by_value(left, right, true)),
        Function::SortDesc => rows.sort_by(|left, right| by_value(left, right, false)),
        _ => {
            let labels: Vec<String> =
                (1..arguments.nodes.len()).map(|i| arguments.text(i)).collect::<Result<_>>()?;
            rows.sort_by(|left, right| {
                let order = by_labels(left, right, &labels);
                if function == Function::SortByLabel { order } else { order.reverse() }
            });
        }
    }
    Ok(rows)
}

/// NaN goes last either way.
fn by_value(left: &Row, right: &Row, rising: bool) -> Ordering {
    let first = |row: &Row| row.values.first().copied().unwrap_or(f64::NAN);
    let (left, right) = (first(left), first(right));
    match (left.is_nan(), right.is_nan()) {
        (false, false) if rising => left.total_cmp(&right),
        (false, false) => right.total_cmp(&left),
        (left, right) => left.cmp(&right),
    }
}

fn by_labels(left: &Row, right: &Row, labels: &[String]) -> Ordering {
    let named = labels.iter().map(|label| natural(left.labels.get(label), right.labels.get(label)));
    let first = named.into_iter().find(|order| order.is_ne());
    first.unwrap_or_else(|| left.labels.cmp(&right.labels))
}

/// Numbers in texts by their value, so that 9 comes before 10.
fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let (Some(a), Some(b)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len());
        };
        let order = if a.is_ascii_digit() && b.is_ascii_digit() {
            let (a, rest_a) = digits(left);
            let (b, rest_b) = digits(right);
            (left, right) = (rest_a, rest_b);
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            left = &left[a.len_utf8()..];
            right = &right[b.len_utf8()..];
            a.cmp(&b)
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// The number at the beginning, without leading zeros, and what follows it.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_compared_by_value() {
        assert_eq!(natural("cpu9", "cpu10"), Ordering::Less);
        assert_eq!(natural("cpu10", "cpu10a"), Ordering::Less);
        assert_eq!(natural("4.5.2", "4.5.10"), Ordering::Less);
        assert_eq!(natural("b1", "a2"), Ordering::Greater);
        assert_eq!(natural("", ""), Ordering::Equal);
    }
}
