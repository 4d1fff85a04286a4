//! Running the binary.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

/// The program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_chronolith")
}

/// A file of the source tree.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The real recordings beside the source tree, where they are there.
pub(crate) fn recordings() -> Option<PathBuf> {
    let place = std::env::var_os("CHRONOLITH_TEST_DATA").map(PathBuf::from);
    let place = place.unwrap_or_else(|| source("../shared/data"));
    if place.is_dir() {
        return Some(place);
    }
    eprintln!("skipped: no recordings in {}; set CHRONOLITH_TEST_DATA", place.display());
    None
}

/// A Python that can do something, by `CHRONOLITH_PYTHON` or else `python3`; a test without is skipped.
pub(crate) fn python(statement: &str) -> Option<String> {
    let python = std::env::var("CHRONOLITH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", statement]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: {python} cannot {statement:?}; set CHRONOLITH_PYTHON");
    None
}

/// Starts a command whose lines are JSON objects, and hears them.
pub(crate) fn telling(command: &mut Command) -> (Child, Receiver<Value>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (sender, told) = channel();
    let output = child.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                return;
            }
        }
    });
    (child, told)
}

/// Runs the program in a directory.
pub(crate) fn chronolith(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).current_dir(directory).output().unwrap()
}

/// Runs the program; its standard output. Fails where the exit code is another.
pub(crate) fn expect(directory: &Path, code: i32, arguments: &[&str]) -> String {
    let output = chronolith(directory, arguments);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "chronolith {arguments:?}: {problem}");
    String::from_utf8(output.stdout).unwrap()
}

/// The last line that a command printed, as JSON.
pub(crate) fn json(directory: &Path, code: i32, arguments: &[&str]) -> serde_json::Value {
    let output = expect(directory, code, arguments);
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

/// How many kills a campaign has: `CHRONOLITH_KILLS`, or a few.
pub(crate) fn kills(few: u64) -> u64 {
    std::env::var("CHRONOLITH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}
