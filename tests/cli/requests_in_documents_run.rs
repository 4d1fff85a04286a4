//! Every request that `docs/http.md` shows is answered as it shows, by the real `curl`.
//!
//! In fenced blocks marked `sh`, lines that begin with `$ ` are commands, and the lines below one are
//! lines of its output, in which `...` stands for anything. The blocks are run in their order against
//! one server.

use std::fs;
use std::process::Command;

use crate::commands_in_documents_run::fits;
use crate::http::Server;
use crate::run::source;

#[test]
fn every_request_of_the_document_is_answered_as_shown() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let text = fs::read_to_string(source("docs/http.md")).unwrap();
    let (mut is_inside, mut printed, mut commands) = (false, String::new(), 0);
    let mut lines: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_inside = line == "```sh";
        } else if is_inside && let Some(command) = line.strip_prefix("$ ") {
            let command = command.replace("127.0.0.1:8428", &server.address);
            let output = Command::new("bash").args(["-c", &command]).output().unwrap();
            printed = String::from_utf8_lossy(&output.stdout).into_owned();
            lines = printed.lines().map(|line| line.trim_end().to_owned()).collect();
            commands += 1;
        } else if is_inside && !line.is_empty() {
            let found = lines.iter().any(|printed| fits(line, printed));
            assert!(found, "docs/http.md:{}: no line {line:?} in:\n{printed}", index + 1);
        }
    }
    assert!(commands > 20, "{commands}");
}
