//! `WITH (lateness = '1m', emit = 'final', late = 'count', max_ahead = '1h', keep_changes = 10000)`.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::calendar::Width;

use super::{Emit, Late, QueryOptions};

/// How far a record may be ahead of the clock, where nothing is said: more than honest clocks are
/// apart, and less than most that take local time for UTC.
const MAX_AHEAD_NS: i64 = 3_600_000_000_000;
/// Changes that are kept for those who resume, where nothing is said.
const KEEP_CHANGES: u64 = 10_000;
/// The most that may be asked for: they are kept in the state, which is for small things.
const KEEP_CHANGES_MAX: u64 = 1_000_000;

const KNOWN: &str = "write lateness = '1m', emit = 'updates' or 'final', late = 'recompute' or \
                     'count', max_ahead = '1h' or 'none', keep_changes = 10000";

impl Default for QueryOptions {
    fn default() -> Self {
        let (emit, late) = (Emit::Updates, Late::Recompute);
        let max_ahead_ns = Some(MAX_AHEAD_NS);
        Self { lateness_ns: 0, max_ahead_ns, emit, late, keep_changes: KEEP_CHANGES }
    }
}

/// Reads the options behind `WITH (`, up to the end.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<QueryOptions, String> {
    let mut options = QueryOptions::default();
    let mut seen: Vec<String> = Vec::new();
    if parser.consume_token(&Token::RParen) {
        return Ok(options);
    }
    loop {
        let name = match parser.next_token().token {
            Token::Word(word) => word.value.to_lowercase(),
            other => return Err(format!("{other} is no option; {KNOWN}")),
        };
        if seen.contains(&name) {
            return Err(format!("the option {name} is there twice"));
        }
        if !parser.consume_token(&Token::Eq) {
            return Err(format!("the option {name} has no value; {KNOWN}"));
        }
        let value = match parser.next_token().token {
            Token::SingleQuotedString(text) => text,
            Token::Number(text, _) => text,
            Token::Word(word) => word.value,
            other => return Err(format!("{other} is no value of {name}; {KNOWN}")),
        };
        set(&mut options, &name, &value)?;
        seen.push(name);
        if parser.consume_token(&Token::RParen) {
            return Ok(options);
        }
        if !parser.consume_token(&Token::Comma) {
            let found = parser.peek_token();
            return Err(format!("a comma or ')' should follow an option, not {found}"));
        }
    }
}

fn set(options: &mut QueryOptions, name: &str, value: &str) -> Result<(), String> {
    let wrong = |choices: &str| Err(format!("{name} = {value:?} is unknown; write {choices}"));
    match (name, value.to_lowercase().as_str()) {
        ("lateness", text) => options.lateness_ns = length_ns(text)?,
        ("max_ahead", "none") => options.max_ahead_ns = None,
        ("max_ahead", text) => options.max_ahead_ns = Some(length_ns(text)?),
        ("emit", "updates") => options.emit = Emit::Updates,
        ("emit", "final") => options.emit = Emit::Final,
        ("emit", _) => return wrong("'updates' or 'final'"),
        ("late", "recompute") => options.late = Late::Recompute,
        ("late", "count") => options.late = Late::Count,
        ("late", _) => return wrong("'recompute' or 'count'"),
        ("keep_changes", text) => match text.parse() {
            Ok(count @ 1..=KEEP_CHANGES_MAX) => options.keep_changes = count,
            _ => return wrong(&format!("a number from 1 to {KEEP_CHANGES_MAX}")),
        },
        _ => return Err(format!("there is no option {name}; {KNOWN}")),
    }
    Ok(())
}

/// A length of time that is the same everywhere: nanoseconds.
pub(super) fn length_ns(text: &str) -> Result<i64, String> {
    if text == "0" || text == "0s" {
        return Ok(0);
    }
    match width(text)?.fixed_ns() {
        Some(length_ns) => Ok(length_ns),
        None => Err(format!("{text:?} is not the same length everywhere; write days or hours")),
    }
}

/// A width like `5m`, `1h30m`, `1mo`, or as SQL writes intervals: `5 minutes`.
pub(super) fn width(text: &str) -> Result<Width, String> {
    let problem = match Width::parse(text) {
        Ok(width) => return Ok(width),
        Err(problem) => problem,
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let [number, unit] = words[..] else { return Err(problem) };
    let unit = unit.to_lowercase();
    let short = match unit.strip_suffix('s').unwrap_or(&unit) {
        "nanosecond" => "ns",
        "microsecond" => "us",
        "millisecond" => "ms",
        "second" => "s",
        "minute" => "m",
        "hour" => "h",
        "day" => "d",
        "week" => "w",
        "month" => "mo",
        "year" => "y",
        _ => return Err(problem),
    };
    Width::parse(&format!("{number}{short}"))
}
