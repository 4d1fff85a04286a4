//! The declarative file: TOML that people write.
//!
//! A whole file is checked, and everything that is wrong with it is shown at once, with line and column
//! and what would be right. The fields are listed once, in `file/fields.rs`; the published schema is made
//! from the same list.

mod conform;
mod extract;
pub(crate) mod fields;
mod problem;
mod quantity;
mod schema;
mod statement;

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::check::{self, Finding};
use crate::compiled::Compiled;
use crate::file::conform::Found;
pub(crate) use conform::is_name;
pub(crate) use problem::place;
pub use problem::{Problem, Problems};
pub(crate) use quantity::{deadline, duration_ms};
pub use schema::schema;
pub(crate) use statement::tables;

/// The longest file: bytes.
pub const FILE_BYTES_MAX: usize = 131_072;
/// The most problems that are shown.
const PROBLEMS_MAX: usize = 64;
/// The field of templates that contracts do not have.
pub(crate) const PARAMETER: &str = "parameter";

impl Compiled {
    /// Reads and checks a contract's file.
    ///
    /// # Errors
    /// [`Problems`] with everything that is wrong, in the order of the file.
    pub fn read(text: &str) -> Result<Self, Problems> {
        read(text, None)
    }
}

/// Reads a contract's file, which may have one more field that is passed over.
pub(crate) fn read(text: &str, passed_over: Option<&str>) -> Result<Compiled, Problems> {
    let table = parse(text)?;
    let root = table.get_ref();
    let mut found = Found::new(extract::decimals(root));
    found.table("", 0..0, root, fields::CONTRACT, passed_over);
    choices(root, &mut found);
    statement::check(root, &mut found);
    let contract = extract::contract(root);
    match check::check(contract) {
        Ok(compiled) if found.problems.is_empty() => Ok(compiled),
        Ok(_) => Err(problems(text, &found, Vec::new())),
        Err(findings) => Err(problems(text, &found, findings)),
    }
}

/// Parses a file's TOML, within its bounds.
pub(crate) fn parse(text: &str) -> Result<toml::Spanned<DeTable<'_>>, Problems> {
    let one = |offset, message: String| {
        let (line, column) = place(text, offset);
        Problems(vec![Problem { line, column, path: String::new(), message }])
    };
    if text.len() > FILE_BYTES_MAX {
        let message = format!("{} bytes where a file has at most {FILE_BYTES_MAX}", text.len());
        return Err(one(0, message));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table);
    }
    let problem = |error: &toml::de::Error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        let message = format!("no TOML: {}", error.message());
        Problem { line, column, path: String::new(), message }
    };
    Err(Problems(errors.iter().take(PROBLEMS_MAX).map(problem).collect()))
}

/// The elements of a list in a table, if there is one.
fn array<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> &'a [toml::Spanned<DeValue<'i>>] {
    let values = table.get(name).and_then(|value| value.get_ref().as_array());
    values.map(|values| &**values).unwrap_or_default()
}

/// What a list of fields cannot say: one of two, and one clock for all.
fn choices(root: &DeTable<'_>, found: &mut Found) {
    for (end, at) in array(root, "end").iter().zip(0..) {
        let Some(end) = end.get_ref().as_table() else { continue };
        for (pay, number) in array(end, "pay").iter().zip(0..) {
            let Some(share) = pay.get_ref().as_table() else { continue };
            if share.contains_key("bp") == share.contains_key("rule") {
                let path = format!("end.{at}.pay.{number}");
                let message = "a share has either bp or rule".to_owned();
                found.problems.push((path, pay.span(), message));
            }
        }
    }
    let steps = array(root, "step");
    let withins = steps.iter().zip(0..).filter_map(|(step, at)| {
        Some((format!("step.{at}.within"), step.get_ref().as_table()?.get("within")?))
    });
    let whole = root.get("steps").and_then(|steps| steps.get_ref().as_table());
    let overall = whole.and_then(|whole| Some(("steps.within".to_owned(), whole.get("within")?)));
    let mut first = None;
    for (path, value) in withins.chain(overall) {
        let Some((clock, _)) = value.get_ref().as_str().and_then(deadline) else { continue };
        if *first.get_or_insert(clock) != clock {
            let message =
                "the deadlines of one contract are all in blocks or all in time".to_owned();
            found.problems.push((path, value.span(), message));
        }
    }
    if let Some(whole) = whole
        && whole.contains_key("within") != whole.contains_key("then")
    {
        let span = root.get("steps").map_or(0..0, toml::Spanned::span);
        let message = "within and then stand together".to_owned();
        found.problems.push(("steps".to_owned(), span, message));
    }
}

/// All problems with their places, in the order of the file.
fn problems(text: &str, found: &Found, findings: Vec<Finding>) -> Problems {
    let shown = |path: &str, span: &Range<usize>, message: &str| {
        let (line, column) = place(text, span.start);
        Problem { line, column, path: path.to_owned(), message: message.to_owned() }
    };
    let of_form: Vec<Problem> =
        found.problems.iter().map(|(path, span, message)| shown(path, span, message)).collect();
    // What is of the wrong form has no value that could be judged.
    let is_new = |finding: &&Finding| {
        !of_form.iter().any(|problem| {
            finding.path == problem.path || finding.path.starts_with(&format!("{}.", problem.path))
        })
    };
    let of_meaning: Vec<Problem> = findings
        .iter()
        .filter(is_new)
        .map(|finding| {
            let mut way = finding.path.as_str();
            let span = loop {
                match (found.spans.get(way), way.rsplit_once('.')) {
                    (Some(span), _) => break span.clone(),
                    (None, Some((above, _))) => way = above,
                    (None, None) => break 0..0,
                }
            };
            let mut problem = shown(&finding.path, &span, &finding.message);
            if let Some((line, column)) = finding.inside {
                move_inside(&mut problem, text.get(span).unwrap_or_default(), line, column);
            }
            problem
        })
        .collect();
    let mut all: Vec<Problem> = of_form.into_iter().chain(of_meaning).collect();
    all.sort();
    all.dedup();
    all.truncate(PROBLEMS_MAX);
    Problems(all)
}

/// Moves a place from the beginning of a text's value into it, as far as quotes and escapes allow: exact
/// for texts without escapes.
fn move_inside(problem: &mut Problem, quoted: &str, line: usize, column: usize) {
    let quotes = if quoted.starts_with("'''") || quoted.starts_with("\"\"\"") { 3 } else { 1 };
    // A line break right after three quotes is not part of the text.
    let is_below = quotes == 3 && quoted.get(3..).is_some_and(|rest| rest.starts_with('\n'));
    let line = line + usize::from(is_below);
    if line == 1 {
        problem.column += quotes + column - 1;
    } else {
        problem.line += line - 1;
        problem.column = column;
    }
}
