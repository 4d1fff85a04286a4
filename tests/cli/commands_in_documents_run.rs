//! Every command that a document shows does what it says.
//!
//! In fenced blocks marked `console`, lines that begin with `$ ` are commands of this program or of
//! curl, and the lines below one are its output, in which `...` stands for anything. The blocks of one
//! document are run in one empty directory, in their order.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{chronolith, source};

/// A command of a document, and the output it shows.
struct Shown {
    line: usize,
    command: String,
    output: Vec<String>,
}

fn shown(text: &str) -> Vec<Shown> {
    let (mut all, mut inside) = (Vec::<Shown>::new(), false);
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            let command = command.to_owned();
            all.push(Shown { line: index + 1, command, output: Vec::new() });
        } else if inside && let Some(last) = all.last_mut() {
            last.output.push(line.to_owned());
        }
    }
    all
}

/// Whether a line is what a pattern with `...` shows.
pub(crate) fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        let Some(place) = (if is_last { rest.rfind(part) } else { rest.find(part) }) else {
            return false;
        };
        rest = &rest[place + part.len()..];
    }
    rest.is_empty()
}

/// Splits a command into words, as a shell does with double quotes.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in command.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Ends the network of a document that failed in the middle.
struct Ended<'a>(&'a Path);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if self.0.join("net/nodes").is_dir() {
            drop(chronolith(self.0, &["testnet", "stop", "net"]));
        }
    }
}

fn run(document: &str, directory: &Path) {
    let text = fs::read_to_string(source(document)).unwrap();
    for Shown { line, command, output } in shown(&text) {
        let words = words(&command);
        let is_own = words[0] == "chronolith";
        assert!(is_own || words[0] == "curl", "{document}:{line}: a command of something else");
        let testdata = source("testdata").display().to_string();
        let arguments: Vec<String> =
            words[1..].iter().map(|word| word.replace("testdata", &testdata)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = match is_own {
            true => chronolith(directory, &arguments),
            false => match Command::new("curl").args(&arguments).current_dir(directory).output() {
                Ok(done) => done,
                Err(_) => {
                    eprintln!("{document}:{line}: skipped: there is no curl");
                    continue;
                }
            },
        };
        let printed = String::from_utf8(done.stdout).unwrap();
        let problem = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{document}:{line}: {command}: {problem}");
        let mut lines = printed.lines();
        for expected in output.iter().filter(|line| !line.is_empty()) {
            let found = lines.any(|line| fits(expected, line));
            assert!(found, "{document}:{line}: {command} prints no line {expected:?}:\n{printed}");
        }
    }
}

#[test]
fn every_command_of_the_documents_runs_and_prints_what_is_shown() {
    let mut documents = vec!["README.md".to_owned()];
    for entry in fs::read_dir(source("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            documents.push(format!("docs/{name}"));
        }
    }
    for document in documents {
        let directory = tempfile::tempdir().unwrap();
        let _ended = Ended(directory.path());
        run(&document, directory.path());
    }
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let readme = fs::read_to_string(source("README.md")).unwrap();
    let demo = readme.find("cargo run --release -- demo").unwrap();
    let test = readme.find("cargo test --workspace").unwrap();
    assert!(demo < test && test < 1500);
}

#[test]
fn the_checker_sees_other_output() {
    assert!(fits("a ... c", "a b c") && fits("...", "") && fits("x", "x"));
    assert!(!fits("a ... c", "a b d") && !fits("x", "xy") && !fits("... b", "b a"));
}
