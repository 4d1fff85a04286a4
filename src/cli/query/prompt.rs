//! The prompt: SQL by hand, with history, completion and a few commands of its own.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use chronolith_query::{Limits, Sql};
use clap::ValueEnum;
use reedline::{
    ColumnarMenu, DefaultCompleter, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder,
    Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal,
    ValidationResult, Validator, default_emacs_keybindings,
};

use super::{QueryCommand, guarded};
use crate::cli::Outcome;
use crate::rows::{Format, write_answer};

const HISTORY_LINES: usize = 10_000;
/// So many names of tables and columns are offered.
const WORDS_MAX: usize = 10_000;
const MENU: &str = "names";

const HELP: &str = "\
SQL ends with ';' and may have several lines. Tab completes names, Ctrl-R searches the history.
.tables          the tables: metrics, classes, records and the schema system
.schema TABLE    the columns of a table
.format FORMAT   table, csv, json or ndjson
.timing          show how long queries take, or not
.help            this
.quit            leave, as does Ctrl-D";

const KEYWORDS: [&str; 24] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "HAVING",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "AS",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "LIKE",
    "INTERVAL",
    "TIMESTAMP",
    "DESC",
    "WITH",
    "EXPLAIN ANALYZE",
    "DISTINCT",
    "OVER",
];

/// What the user set.
struct Settings {
    format: Format,
    limits: Limits,
    timing: bool,
}

pub(super) fn run(command: &QueryCommand, format: Format) -> Result<Outcome> {
    let mut sql = Sql::new(command.database.read()?)?;
    let mut editor = editor(&sql)?;
    let mut settings = Settings { format, limits: command.limits(), timing: true };
    println!("SQL ends with ';'; .help says what else there is.");
    loop {
        match editor.read_line(&Question).context("cannot read from the terminal")? {
            Signal::Success(line) => {
                let line = line.trim();
                match line.strip_prefix('.') {
                    _ if line.is_empty() => {}
                    Some(command) => {
                        if !dot(&sql, command, &mut settings) {
                            return Ok(Outcome::Done);
                        }
                    }
                    #[cfg(feature = "continuous")]
                    None if chronolith_query::continuous::is_statement(line) => {
                        // What it wrote is seen by a session that is opened behind it.
                        let done = command.continuous(line.trim_end_matches(';'), settings.format);
                        let reopened = done.and_then(|_| Ok(Sql::new(command.database.read()?)?));
                        match reopened {
                            Ok(reopened) => sql = reopened,
                            Err(error) => eprintln!("{error:#}"),
                        }
                    }
                    None => answer(&sql, line, &settings),
                }
            }
            Signal::CtrlD => return Ok(Outcome::Done),
            // A line that is given up; others stand for what no key here is bound to.
            _ => {}
        }
    }
}

/// Prints the answer to a query, or what is wrong with it.
fn answer(sql: &Sql, text: &str, settings: &Settings) {
    let began = Instant::now();
    let write = |answer| write_answer(answer, settings.format, std::io::stdout());
    match guarded(sql, text, &settings.limits, write) {
        Ok(rows) if settings.timing => {
            println!("{rows} rows in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
        }
        Ok(_) => {}
        Err(error) => eprintln!("{error:#}"),
    }
}

/// Carries out a command; `false` ends the prompt.
fn dot(sql: &Sql, command: &str, settings: &mut Settings) -> bool {
    let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
    let argument = argument.trim().trim_end_matches(';');
    match name {
        "quit" | "exit" => return false,
        "help" => println!("{HELP}"),
        "tables" => sql.tables().iter().for_each(|table| println!("{table}")),
        "schema" if !argument.is_empty() => answer(sql, &format!("DESCRIBE {argument}"), settings),
        "timing" => {
            settings.timing = !settings.timing;
            println!("timing is {}", if settings.timing { "on" } else { "off" });
        }
        "format" => match Format::from_str(argument, true) {
            Ok(Format::Parquet | Format::Arrow) => {
                println!("a terminal cannot show this format; use --output FILE instead");
            }
            Ok(format) => settings.format = format,
            Err(_) => println!("formats are table, csv, json and ndjson"),
        },
        _ => println!("there is no command .{command}\n{HELP}"),
    }
    true
}

fn editor(sql: &Sql) -> Result<Reedline> {
    let mut words: Vec<String> = KEYWORDS.map(str::to_owned).to_vec();
    words.extend(sql.tables().into_iter().take(WORDS_MAX));
    words.extend(sql.functions().into_iter().map(|name| format!("{name}(")));
    words.extend(["time", "device", "value", "unit", "name"].map(str::to_owned));
    words.extend(sql.db().tag_keys().into_iter().take(WORDS_MAX));
    let mut completer = DefaultCompleter::with_inclusions(&['_', '.', '-']).set_min_word_len(1);
    completer.insert(words);
    let menu = ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU)));
    let mut keys = default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    let editor = Reedline::create()
        .with_completer(Box::new(completer))
        .with_menu(menu)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_validator(Box::new(Ends));
    let Some(path) = history_path() else { return Ok(editor) };
    let history = FileBackedHistory::with_file(HISTORY_LINES, path.clone());
    let history = history.with_context(|| format!("cannot use the history {}", path.display()))?;
    Ok(editor.with_history(Box::new(history)))
}

/// `$XDG_STATE_HOME` or `~/.local/state`, as the XDG base directories have it.
fn history_path() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    Some(state.or_else(home)?.join("chronolith/history"))
}

/// A query ends with a semicolon, a command with its line.
struct Ends;

impl Validator for Ends {
    fn validate(&self, line: &str) -> ValidationResult {
        let line = line.trim();
        match line.is_empty() || line.starts_with('.') || line.ends_with(';') {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}

/// What stands before the input.
struct Question;

impl Prompt for Question {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("chronolith")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("     ...> ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(history: {}) ", search.term))
    }
}
