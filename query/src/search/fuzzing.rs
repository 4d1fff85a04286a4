//! Doors to the readers of what comes from outside for the fuzz targets in `query/fuzz`; compiled only
//! for them.

#![allow(missing_docs, reason = "doors")]

use super::error::SearchError;
use super::expression::Expression;
use super::position::Position;
use super::remote::fuzzing as remote;
use super::words::Analyzer;

/// The text of a query: an expression, or an error with a place in it.
pub fn expression(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Expression::parse(&text) {
        Ok(expression) => {
            // Each byte begins at most one part, and each part is made of some.
            assert!(parts(&expression) <= text.len() + 1);
            let _ = Analyzer::default().pieces(&text);
        }
        Err(SearchError::Query { at, problem }) => {
            assert!(at <= text.chars().count() + 1 && !problem.is_empty());
        }
        Err(other) => assert!(other.to_string().is_empty(), "another error: {other}"),
    }
}

fn parts(expression: &Expression) -> usize {
    match expression {
        Expression::All(inner) | Expression::Any(inner) => {
            1 + inner.iter().map(parts).sum::<usize>()
        }
        Expression::Not(inner) => 1 + parts(inner),
        Expression::Word { .. } | Expression::Phrase(_) | Expression::Label { .. } => 1,
    }
}

/// Up to where an index follows its source.
pub fn position(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    // So that the checksum need not be guessed.
    let text = format!("{body}crc {:08x}", crc32fast::hash(body.as_bytes()));
    if let Some(position) = Position::from_text(&text) {
        assert_eq!(Position::from_text(&position.to_text()).as_ref(), Some(&position));
    }
}

/// The operations of a batch of what others told.
pub fn remote_operations(data: &[u8]) {
    remote::operations(data);
}

/// A whole log of what others told.
pub fn remote_log(data: &[u8]) {
    remote::log(data);
}

/// What others send.
pub fn remote_told(data: &[u8]) {
    remote::told(data);
}

/// Real texts to begin with.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let queries = [
        "tyre pressure",
        "\"tyre pressure\" -flat",
        "class:truck unit:\"km/h\" device:car-1*",
        "(a OR b) c -(d OR \"e f\")",
        "12:30 :x value:-5 *",
    ];
    let mut seeds: Vec<_> =
        queries.map(|text| ("search_expression", text.as_bytes().to_vec())).into();
    let text = Position { source: vec![1, 255], batch: 3, ..Position::default() }.to_text();
    let body = text.rsplit_once("crc ").map_or("", |(body, _)| body);
    seeds.push(("search_position", body.as_bytes().to_vec()));
    seeds.extend(remote::seeds());
    seeds
}
