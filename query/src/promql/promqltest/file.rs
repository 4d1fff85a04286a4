//! The commands of a test file.

use regex::Regex;

use super::notation::{Sequence, sequence};
use crate::promql::parse::{duration_seconds, number_value};

/// A command and its line, from 1.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum Action {
    Load {
        step_ns: i64,
        sequences: Vec<Sequence>,
        unsupported: Option<String>,
    },
    Clear,
    Evaluate(Box<Evaluation>),
    /// What cannot be understood.
    Wrong(String),
}

/// A query, when, and what is expected.
#[derive(Debug, Default)]
pub(super) struct Evaluation {
    pub(super) query: String,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    /// `None` for one time.
    pub(super) step_ns: Option<i64>,
    pub(super) ordered: bool,
    pub(super) fail: Option<Wanted>,
    pub(super) warnings: Notes,
    pub(super) infos: Notes,
    pub(super) text: Option<String>,
    pub(super) scalar: Option<f64>,
    pub(super) series: Vec<Sequence>,
    /// The times of the values of an answer that is a range vector.
    pub(super) matrix: Option<(i64, i64)>,
}

/// What annotations are expected.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) wanted: Vec<Wanted>,
    pub(super) none: bool,
}

/// What a message must be.
#[derive(Debug)]
pub(super) enum Wanted {
    Any,
    Message(String),
    Pattern(Regex),
}

impl Wanted {
    pub(super) fn fits(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Message(wanted) => {
                message == wanted || format!("{wanted:?}") == message || message == unquoted(wanted)
            }
            Self::Pattern(regex) => regex.is_match(message),
        }
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// All commands of a file.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].is_empty() {
            at += 1;
            continue;
        }
        // What belongs to a command ends at an empty line, or where the next command begins.
        let is_command = |line: &&str| {
            let word = line.split_whitespace().next().unwrap_or_default();
            matches!(word, "clear" | "load" | "load_with_nhcb" | "eval")
                || (word.starts_with("eval_") && line.contains(" instant "))
        };
        let rest = &lines[at + 1..];
        let length = rest.iter().take_while(|line| !line.is_empty() && !is_command(line)).count();
        let action = action(lines[at], &rest[..length]).unwrap_or_else(Action::Wrong);
        commands.push(Command { line: at + 1, action });
        at += 1 + length;
    }
    commands
}

fn action(line: &str, rest: &[&str]) -> Result<Action, String> {
    let (word, arguments) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word.to_ascii_lowercase().as_str() {
        "clear" => Ok(Action::Clear),
        "load" | "load_with_nhcb" => load(word, arguments.trim(), rest),
        word if word == "eval" || word.starts_with("eval_") => {
            let flag = word.strip_prefix("eval_").unwrap_or_default();
            Ok(Action::Evaluate(Box::new(evaluation(flag, arguments.trim(), rest)?)))
        }
        _ => Err(format!("{line:?} is no command; expected load, clear or eval")),
    }
}

fn load(word: &str, arguments: &str, rest: &[&str]) -> Result<Action, String> {
    let (step, options) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
    let step_ns = nanoseconds(step)?;
    let mut unsupported = (word == "load_with_nhcb").then(|| "load_with_nhcb".to_owned());
    if !options.trim().is_empty() || rest.iter().any(|line| line.starts_with('@')) {
        unsupported = Some("load with start timestamps".to_owned());
        return Ok(Action::Load { step_ns, sequences: Vec::new(), unsupported });
    }
    let mut sequences = Vec::new();
    for line in rest {
        match sequence(line) {
            Ok(sequence) => sequences.push(sequence),
            Err(_) if line.contains("@st") => {
                unsupported = Some("load with start timestamps".to_owned());
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(Action::Load { step_ns, sequences, unsupported })
}

/// A time or a length of time as `5m`, `1h30m`, `-30s`, `0` or seconds.
fn nanoseconds(text: &str) -> Result<i64, String> {
    let bare = text.strip_prefix('-').unwrap_or(text);
    let seconds = duration_seconds(bare).or_else(|| number_value(bare));
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds < 9e9);
    let seconds = seconds.ok_or_else(|| format!("{text:?} is no time such as 5m"))?;
    let nanoseconds = (seconds * 1e3).round() as i64 * 1_000_000;
    Ok(if text.starts_with('-') { -nanoseconds } else { nanoseconds })
}

fn evaluation(flag: &str, arguments: &str, rest: &[&str]) -> Result<Evaluation, String> {
    let mut evaluation = header(arguments)?;
    match flag {
        "ordered" => evaluation.ordered = true,
        "fail" => evaluation.fail = Some(Wanted::Any),
        "warn" => evaluation.warnings.wanted.push(Wanted::Any),
        "info" => evaluation.infos.wanted.push(Wanted::Any),
        "" => {}
        _ => return Err(format!("eval_{flag} is no command")),
    }
    for line in rest {
        expectation(&mut evaluation, line)?;
    }
    Ok(evaluation)
}

fn header(arguments: &str) -> Result<Evaluation, String> {
    let wrong = || {
        "expected eval instant at TIME QUERY or eval range from TIME to TIME step TIME QUERY"
            .to_owned()
    };
    let (kind, rest) = word(arguments).ok_or_else(wrong)?;
    let mut evaluation = Evaluation::default();
    let query = match kind {
        "instant" => {
            let (at, rest) = word(rest).filter(|(word, _)| *word == "at").ok_or_else(wrong)?;
            debug_assert_eq!(at, "at");
            let (time, query) = word(rest).ok_or_else(wrong)?;
            evaluation.start_ns = nanoseconds(time)?;
            evaluation.end_ns = evaluation.start_ns;
            query
        }
        "range" => {
            let mut rest = rest;
            let mut times = [0; 3];
            for (keyword, time) in ["from", "to", "step"].into_iter().zip(&mut times) {
                let (_, after) = word(rest).filter(|(w, _)| *w == keyword).ok_or_else(wrong)?;
                let (text, after) = word(after).ok_or_else(wrong)?;
                *time = nanoseconds(text)?;
                rest = after;
            }
            (evaluation.start_ns, evaluation.end_ns) = (times[0], times[1]);
            evaluation.step_ns = Some(times[2]);
            rest
        }
        _ => return Err(wrong()),
    };
    evaluation.query = query.to_owned();
    Ok(evaluation)
}

fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace)?;
    Some((word, rest.trim_start()))
}

fn expectation(evaluation: &mut Evaluation, line: &str) -> Result<(), String> {
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        evaluation.fail = Some(Wanted::Message(message.trim().to_owned()));
        return Ok(());
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        evaluation.fail = Some(Wanted::Pattern(regex(pattern.trim())?));
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("expect ") {
        return expect(evaluation, rest.trim());
    }
    if let Some(value) = number_value(line) {
        evaluation.scalar = Some(value);
        return Ok(());
    }
    evaluation.series.push(sequence(line)?);
    Ok(())
}

fn expect(evaluation: &mut Evaluation, rest: &str) -> Result<(), String> {
    if let Some(times) = rest.strip_prefix("range vector") {
        let words: Vec<&str> = times.split_whitespace().collect();
        let ["from", from, "to", _, "step", step] = words[..] else {
            return Err("expected expect range vector from TIME to TIME step TIME".to_owned());
        };
        evaluation.matrix = Some((nanoseconds(from)?, nanoseconds(step)?));
        return Ok(());
    }
    if let Some(text) = rest.strip_prefix("string") {
        let literal = crate::promql::parse::parse(text).map_err(|error| error.to_string())?;
        let crate::promql::ast::Expr::Text(text) = literal.expr else {
            return Err("expected a string in quotes".to_owned());
        };
        evaluation.text = Some(text);
        return Ok(());
    }
    let (kind, message) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let wanted = wanted(message.trim())?;
    match kind {
        "fail" => evaluation.fail = Some(wanted),
        "warn" => evaluation.warnings.wanted.push(wanted),
        "info" => evaluation.infos.wanted.push(wanted),
        "no_warn" => evaluation.warnings.none = true,
        "no_info" => evaluation.infos.none = true,
        "ordered" => evaluation.ordered = true,
        _ => return Err(format!("expect {kind} is not known")),
    }
    Ok(())
}

fn wanted(message: &str) -> Result<Wanted, String> {
    if message.is_empty() {
        return Ok(Wanted::Any);
    }
    if let Some(message) = message.strip_prefix("msg:") {
        return Ok(Wanted::Message(message.trim().to_owned()));
    }
    match message.strip_prefix("regex:") {
        Some(pattern) => Ok(Wanted::Pattern(regex(pattern.trim())?)),
        None => Err(format!("{message:?} must begin with msg: or regex:")),
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|_| format!("{pattern:?} is no valid regular expression"))
}
