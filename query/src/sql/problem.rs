//! Problems: what is wrong with a query, where, and what may have been meant.

use std::fmt;

use chronolith_engine::ReadError;
use datafusion::common::{Column, DataFusionError, SchemaError};

use super::error::QueryError;
use super::session::{Limits, Sql};
use super::watch::Stopped;

/// A place in the text of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// How many characters.
    pub length: usize,
}

/// What is wrong with a query: a sentence, the place, and a suggestion where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    place: Option<Place>,
    line: String,
    suggestion: Option<String>,
}

/// What queries begin with.
const BEGINNINGS: [&str; 6] = ["SELECT", "WITH", "VALUES", "EXPLAIN", "SHOW", "DESCRIBE"];
/// Suggestions are looked for among so many names.
const CANDIDATES_MAX: usize = 20_000;
/// No more of a message is shown: characters.
const MESSAGE_MAX: usize = 2_000;
/// No more of a line is shown on either side of the place: characters.
const LINE_MAX: usize = 100;

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, line: String::new(), suggestion: None }
    }

    /// What is wrong, as a sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the query it is wrong.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        self.place
    }

    /// What may have been meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    fn at(mut self, sql: &str, place: Option<Place>) -> Self {
        if let Some(found) = place
            && let Some(line) = sql.lines().nth(found.line.saturating_sub(1))
        {
            self.line = line.to_owned();
            self.place = place;
        }
        self
    }

    fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

/// The message, the line with a caret below the place, and the suggestion.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(place) = self.place {
            let before = place.column.saturating_sub(1);
            let skipped = before.saturating_sub(LINE_MAX);
            let shown: String =
                self.line.chars().skip(skipped).take(before - skipped + LINE_MAX).collect();
            let room = shown.chars().count().saturating_sub(before - skipped).max(1);
            let shown = shown.replace('\t', " ");
            let carets = "^".repeat(place.length.clamp(1, room));
            let number = format!("{:>4} | ", place.line);
            let blank = " ".repeat(number.len() + before - skipped);
            write!(f, "\n{number}{shown}\n{blank}{carets}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "\ndid you mean {suggestion}?")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// What an error of planning means.
pub(crate) fn explain(
    session: &Sql,
    sql: &str,
    error: DataFusionError,
    limits: &Limits,
) -> QueryError {
    let root = error.find_root();
    let message = short(&root.strip_backtrace());
    let problem = match root {
        DataFusionError::SchemaError(schema, _) => schema_problem(sql, schema, &error),
        DataFusionError::SQL(parser, _) => {
            let text = parser.to_string();
            let (what, place) = split_place(&text);
            let what = what.trim_start_matches("sql parser error: ").to_owned();
            let begun = what.strip_prefix("Expected: an SQL statement, found: ");
            let meant = begun.and_then(|word| nearest(word, BEGINNINGS.into_iter()));
            Problem::new(format!("the SQL cannot be read: {what}"))
                .at(sql, place.map(|place| widen(sql, place)))
                .suggest(meant.map(str::to_owned))
        }
        DataFusionError::Plan(_) => named_problem(session, sql, &error, &message),
        DataFusionError::NotImplemented(what) if what.contains("single SQL statement") => {
            Problem::new("one query at a time: the text has several, with ; between them")
        }
        DataFusionError::NotImplemented(what) => Problem::new(format!("not supported: {what}")),
        _ => return failure(sql, error, limits),
    };
    Box::new(problem).into()
}

/// What an error of running a query means, with the place of the literal that it quotes.
pub(crate) fn failure(sql: &str, error: DataFusionError, limits: &Limits) -> QueryError {
    match execution_error(error, limits) {
        QueryError::Sql(problem) => {
            let place = find_literal(sql, problem.message());
            Box::new(problem.at(sql, place)).into()
        }
        other => other,
    }
}

/// What an error of running a query means.
pub(crate) fn execution_error(error: DataFusionError, limits: &Limits) -> QueryError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<ReadError>() {
            Ok(read) => QueryError::Read(*read),
            Err(inner) if inner.is::<Stopped>() => match limits.time {
                Some(time) => QueryError::TooSlow(time),
                None => QueryError::Cancelled,
            },
            Err(inner) => Box::new(Problem::new(short(&inner.to_string()))).into(),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            execution_error(*inner, limits)
        }
        DataFusionError::ResourcesExhausted(detail) => {
            QueryError::TooMuchMemory { limit_bytes: limits.memory_bytes, detail: short(&detail) }
        }
        other => {
            let root = other.find_root();
            if let DataFusionError::ResourcesExhausted(detail) = root {
                let (limit_bytes, detail) = (limits.memory_bytes, short(detail));
                return QueryError::TooMuchMemory { limit_bytes, detail };
            }
            let text = root.strip_backtrace();
            // What is behind the name of one of DataFusion's own functions.
            if let Some((_, why)) = text.split_once("Regular expression did not compile: ") {
                let why = match why.strip_prefix("CompiledTooBig(").and_then(|w| w.split_once(')'))
                {
                    Some((bytes, _)) => format!("it would take more than {bytes} bytes"),
                    None => why.to_owned(),
                };
                let problem = format!("a regular expression cannot be used: {why}");
                return Box::new(Problem::new(short(&problem))).into();
            }
            let kinds =
                ["Execution error: ", "Arrow error: ", "Error during planning: ", "Parser error: "];
            let text = kinds.iter().fold(text.as_str(), |text, kind| text.trim_start_matches(kind));
            if let Some(written) = between(text, "Error parsing timestamp from '", "'") {
                let problem =
                    format!("{written:?} is no time; write one like '2026-01-31T08:00:00Z'");
                return Box::new(Problem::new(short(&problem))).into();
            }
            Box::new(Problem::new(short(text))).into()
        }
    }
}

/// A message without what only developers of DataFusion want to know, and not too long.
fn short(message: &str) -> String {
    let end = message.find("\nThis issue was likely caused").unwrap_or(message.len());
    message.get(..end).unwrap_or_default().trim().chars().take(MESSAGE_MAX).collect()
}

fn schema_problem(sql: &str, schema: &SchemaError, error: &DataFusionError) -> Problem {
    match schema {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let place = span(error).or_else(|| find_word(sql, &field.name));
            let names = valid_fields.iter().map(|column| column.name.as_str());
            let nearest = nearest(&field.name, names).map(|name| {
                let column = valid_fields.iter().find(|column| column.name == name);
                column.map_or_else(|| quoted(name), |column| reference(field, column))
            });
            let mut known: Vec<String> =
                valid_fields.iter().map(|column| quoted(&column.name)).collect();
            known.dedup();
            known.truncate(12);
            let known = match known.is_empty() {
                true => "there are no columns here".to_owned(),
                false => format!("there are {}", known.join(", ")),
            };
            let problem =
                Problem::new(format!("there is no column {}; {known}", quoted(&field.name)));
            problem.at(sql, place).suggest(nearest)
        }
        SchemaError::AmbiguousReference { field } => {
            let what = format!(
                "the column {} is in more than one table; write table.{0}",
                quoted(&field.name)
            );
            Problem::new(what).at(sql, span(error).or_else(|| find_word(sql, &field.name)))
        }
        other => Problem::new(short(&other.to_string())).at(sql, span(error)),
    }
}

/// A column as a query would write it in the place of another.
fn reference(written: &Column, meant: &Column) -> String {
    match (&written.relation, &meant.relation) {
        (Some(_), Some(relation)) => format!("{}.{}", relation.table(), quoted(&meant.name)),
        _ => quoted(&meant.name),
    }
}

/// Problems with the name of a table or a function, and all others of planning.
fn named_problem(session: &Sql, sql: &str, error: &DataFusionError, message: &str) -> Problem {
    let text = message.trim_start_matches("Error during planning: ");
    if let Some(name) = between(text, "table '", "' not found") {
        let written = name.trim_start_matches("chronolith.");
        let written = written.trim_start_matches("public.");
        let tables = session.tables();
        let exact = tables.iter().find(|table| **table == written);
        let nearest = match exact {
            Some(table) => Some(format!("\"{table}\"")),
            None => nearest(written, tables.iter().map(String::as_str)).map(table_name),
        };
        let place = find_word(sql, written.rsplit('.').next().unwrap_or(written));
        let hint = "the schema system and the names of metrics and classes are tables";
        let problem = Problem::new(format!("there is no table {written}; {hint}"));
        return problem.at(sql, place).suggest(nearest);
    }
    let function = between(text, "Invalid function '", "'")
        .or_else(|| between(text, "table function '", "' not found"));
    if let Some(name) = function {
        let functions = session.functions();
        let nearest = nearest(name, functions.iter().map(String::as_str)).map(str::to_owned);
        let problem = Problem::new(format!("there is no function {name}"));
        return problem.at(sql, span(error).or_else(|| find_word(sql, name))).suggest(nearest);
    }
    if ["DDL", "DML", "Statement"].iter().any(|kind| text.starts_with(&format!("{kind} not supp")))
    {
        return Problem::new(
            "only queries are answered: SELECT, WITH, VALUES, EXPLAIN, SHOW and DESCRIBE; \
             data is changed by the commands ingest and delete",
        );
    }
    if text.starts_with("No SQL statements") {
        return Problem::new("there is no query; write one like SELECT count(*) FROM records");
    }
    Problem::new(text).at(sql, span(error).or_else(|| find_literal(sql, text)))
}

fn table_name(name: &str) -> String {
    if name.starts_with("system.") { name.to_owned() } else { quoted(name) }
}

/// A name as SQL wants it.
fn quoted(name: &str) -> String {
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if starts && characters.all(plain) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let rest = text.get(start..)?;
    rest.get(..rest.find(after)?)
}

/// The place that DataFusion says.
fn span(error: &DataFusionError) -> Option<Place> {
    let span = error.diagnostic()?.span?;
    let (line, column) = (usize::try_from(span.start.line).ok()?, span.start.column);
    let column = usize::try_from(column).ok()?;
    let same_line = span.start.line == span.end.line;
    let length = span.end.column.saturating_sub(span.start.column);
    let length = if same_line { usize::try_from(length).ok()? } else { 1 };
    (line > 0 && column > 0).then_some(Place { line, column, length: length.max(1) })
}

/// The parser says the place at the end of its message.
fn split_place(text: &str) -> (&str, Option<Place>) {
    let Some((what, place)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let place = place.split_once(", Column: ").and_then(|(line, column)| {
        let digits = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text.get(..end)?.parse::<usize>().ok()
        };
        Some(Place { line: digits(line)?, column: digits(column)?, length: 1 })
    });
    (what, place)
}

/// The whole word at a place.
fn widen(sql: &str, place: Place) -> Place {
    let line = sql.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let rest = line.chars().skip(place.column.saturating_sub(1));
    let length = rest.take_while(|c| c.is_alphanumeric() || *c == '_').count();
    Place { length: length.max(1), ..place }
}

/// Where a word stands in a query for the first time.
fn find_word(sql: &str, word: &str) -> Option<Place> {
    if word.is_empty() {
        return None;
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let wanted = word.to_lowercase();
    for (index, line) in sql.lines().enumerate() {
        let lower = line.to_lowercase();
        for (at, _) in lower.match_indices(&wanted) {
            let before = lower.get(..at)?.chars().next_back();
            let behind = lower.get(at + wanted.len()..)?.chars().next();
            if !before.is_some_and(is_part) && !behind.is_some_and(is_part) {
                let column = lower.get(..at)?.chars().count() + 1;
                let length = wanted.chars().count();
                return Some(Place { line: index + 1, column, length });
            }
        }
    }
    None
}

/// Where the text stands that a message quotes, where it is one of the query's and there once.
fn find_literal(sql: &str, message: &str) -> Option<Place> {
    let quoted = between(message, "\"", "\"").or_else(|| between(message, "'", "'"))?;
    let literal = format!("'{quoted}'");
    let mut found = sql.match_indices(&literal);
    let (Some((at, _)), None) = (found.next(), found.next()) else { return None };
    let before = sql.get(..at)?;
    let begin = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() + 1;
    let column = sql.get(begin..at)?.chars().count() + 1;
    let length = literal.lines().next()?.chars().count();
    Some(Place { line, column, length })
}

/// The name that a misspelt one is nearest to, where it is near at all.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name: String = name.to_lowercase().chars().take(64).collect();
    let limit = (name.chars().count() / 3).max(1);
    let near = names
        .take(CANDIDATES_MAX)
        .filter(|other| other.len() <= 128)
        .map(|other| (strsim::damerau_levenshtein(&name, &other.to_lowercase()), other));
    near.filter(|(distance, _)| *distance <= limit).min().map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_shown_below_its_line() {
        let sql = "SELECT time,\n  sped FROM speed";
        let place = Some(Place { line: 2, column: 3, length: 4 });
        let problem = Problem::new("no").at(sql, place).suggest(Some("speed".to_owned()));
        let shown = "no\n   2 |   sped FROM speed\n         ^^^^\ndid you mean speed?";
        assert_eq!(problem.to_string(), shown);
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let sql = format!("SELECT {}, x", "y, ".repeat(500));
        let problem = Problem::new("no").at(&sql, find_word(&sql, "x"));
        assert!(problem.to_string().lines().all(|line| line.chars().count() < 220));
        assert!(problem.to_string().ends_with('^'));
    }

    #[test]
    fn places_are_found_in_messages_and_texts() {
        let (what, place) = split_place("Expected: an expression, found: x at Line: 3, Column: 14");
        assert_eq!(what, "Expected: an expression, found: x");
        assert_eq!(place, Some(Place { line: 3, column: 14, length: 1 }));
        assert_eq!(split_place("at Line: x").1, None);
        assert_eq!(find_word("a\nab b", "B"), Some(Place { line: 2, column: 4, length: 1 }));
        assert_eq!(find_word("ab", "b"), None);
        assert_eq!(nearest("sped", ["rpm", "speed"].into_iter()), Some("speed"));
        assert_eq!(nearest("zzz", ["rpm", "speed"].into_iter()), None);
    }
}
