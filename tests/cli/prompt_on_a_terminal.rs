//! The prompt on a terminal: what a user types and sees.
//!
//! The terminal is that of `script` (util-linux, BSD); where it is missing the test says so.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::run::{expect, program};

/// What a terminal is asked at the beginning of each line, and what it answers.
const WHERE_IS_THE_CURSOR: &[u8] = b"\x1b[6n";
const AT_THE_BEGINNING: &[u8] = b"\x1b[1;1R";

/// So long a test waits before it says what it waits for, where nothing more is shown.
const PATIENCE: Duration = Duration::from_secs(120);

/// A user at a terminal.
struct User {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not yet looked for.
    shown: Vec<u8>,
}

impl User {
    /// Starts the prompt; `None` where there is no terminal to be had.
    fn sit_down(directory: &Path) -> Option<Self> {
        // Without `exec` a shell may stay between, hear Ctrl-C too and end with it.
        let command = format!("exec {} query --db db", program());
        let mut script = Command::new("script");
        script.args(["-qefc", &command, "/dev/null"]).current_dir(directory);
        script.env("XDG_STATE_HOME", directory.join("state")).env("TERM", "xterm");
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = script.spawn() else {
            eprintln!("skipped: no program `script` that makes a terminal");
            return None;
        };
        let (keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, keys, screen, shown: Vec::new() })
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until something is shown; what stood before it.
    fn see(&mut self, wanted: &str) -> String {
        loop {
            let place = find(&self.shown, wanted.as_bytes());
            if let Some(place) = place {
                let rest = self.shown.split_off(place + wanted.len());
                let seen = std::mem::replace(&mut self.shown, rest);
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let Ok(more) = self.screen.recv_timeout(PATIENCE) else {
                panic!(
                    "{wanted:?} was never shown, but {:?}",
                    String::from_utf8_lossy(&self.shown)
                );
            };
            self.shown.extend(more);
            while let Some(place) = find(&self.shown, WHERE_IS_THE_CURSOR) {
                self.shown.drain(place..place + WHERE_IS_THE_CURSOR.len());
                self.keys.write_all(AT_THE_BEGINNING).unwrap();
                self.keys.flush().unwrap();
            }
            self.shown = without_colours(std::mem::take(&mut self.shown));
        }
    }

    /// Types a line once the prompt is there.
    fn enter(&mut self, line: &str) {
        self.see("chronolith> ");
        self.press(line);
        self.press("\r");
    }

    fn leave(mut self) -> Option<i32> {
        self.see("chronolith> ");
        self.press("\x04");
        let code = self.child.wait().unwrap().code();
        drop(self.keys);
        code
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// What is shown without the sequences that colour it and move the cursor; the beginning of one that
/// is not whole stays.
fn without_colours(bytes: Vec<u8>) -> Vec<u8> {
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match (byte, rest.get(1)) {
            (0x1b, Some(b'[')) => {
                match rest.iter().skip(2).position(|end| (0x40..0x7f).contains(end)) {
                    Some(end) => end + 3,
                    None => break,
                }
            }
            (0x1b, Some(_)) => 2,
            (0x1b, None) => break,
            _ => {
                plain.push(*byte);
                1
            }
        };
    }
    plain.extend_from_slice(bytes.get(at..).unwrap_or_default());
    plain
}

fn database(directory: &Path) {
    let lines = "rotation,device=car-1,class=fleet value=61.5 1767225600000000000\n\
                 rotation,device=car-1,class=fleet value=60.25 1767225601000000000\n";
    fs::write(directory.join("fleet.lp"), lines).unwrap();
    expect(directory, 0, &["init", "db"]);
    expect(directory, 0, &["ingest", "--db", "db", "fleet.lp"]);
}

#[test]
fn lines_are_answered_and_mistakes_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let Some(mut user) = User::sit_down(directory) else { return };
    user.enter("SELECT 40 + 2 AS answer;");
    user.see("│ 42     │");
    // How long it took.
    user.see("1 rows in ");
    user.enter("SELECT valu FROM records;");
    user.see("there is no column valu");
    user.see("^^^^");
    user.enter(".timing");
    user.see("timing is off");
    user.enter(".help");
    user.see("Tab completes names");
    user.enter(".tables");
    user.see("system.metrics");
    // A query of two lines.
    user.enter("SELECT count(*) AS records");
    user.see("...> ");
    user.press("FROM records;\r");
    user.see("│ 2       │");
    // A line that is given up is not asked.
    user.see("chronolith> ");
    user.press("SELECT nonsense\x03");
    user.enter("SELECT 7 * 6 AS again;");
    let before = user.see("│ 42    │");
    assert!(!before.contains("there is no column"), "{before}");
    assert_eq!(user.leave(), Some(0));
    let history = fs::read_to_string(directory.join("state/chronolith/history")).unwrap();
    assert!(history.contains("SELECT 40 + 2 AS answer;"), "{history}");
    // The next time the line is still there.
    let mut user = User::sit_down(directory).unwrap();
    user.see("chronolith> ");
    user.press("\x1b[A");
    user.see("SELECT 7 * 6 AS again;");
    user.press("\r");
    user.see("│ 42    │");
    assert_eq!(user.leave(), Some(0));
}

#[test]
fn tab_completes_names_of_tables_columns_and_functions() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let Some(mut user) = User::sit_down(directory) else { return };
    for (typed, name) in
        [("SELECT time_bucket_g", "time_bucket_gapfill"), ("SELECT devi", "device")]
    {
        user.see("chronolith> ");
        user.press(typed);
        user.press("\t");
        user.see(name);
        user.press("\x03");
        user.press("\x03");
    }
    user.see("chronolith> ");
    user.press("SELECT count(*) AS n FROM system.segm");
    user.press("\t");
    user.see("system.segments");
    user.press("\x03");
    user.press("\x03");
    assert_eq!(user.leave(), Some(0));
}

#[test]
fn ctrl_c_ends_a_query_and_the_prompt_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let Some(mut user) = User::sit_down(directory) else { return };
    user.enter(".format csv");
    user.enter("SELECT value FROM generate_series(1, 1000000000000);");
    user.see("\n1000");
    user.press("\x03");
    user.see("the query was cancelled");
    user.enter("SELECT 40 + 2 AS answer;");
    user.see("\n42");
    assert_eq!(user.leave(), Some(0));
}

#[test]
fn continuous_queries_are_made_asked_and_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let Some(mut user) = User::sit_down(directory) else { return };
    user.enter(
        "CREATE CONTINUOUS QUERY spin AS SELECT device, time_bucket('5m', time), count(*) AS n \
         FROM value GROUP BY 1, 2;",
    );
    user.see("continuous query spin created");
    user.enter("SELECT n + 40 AS counted FROM spin;");
    user.see("│ 42      │");
    user.enter("SHOW CONTINUOUS QUERIES;");
    user.see("spin: up to date");
    for (statement, done) in [("PAUSE", "paused"), ("RESUME", "resumed"), ("DROP", "dropped")] {
        user.enter(&format!("{statement} CONTINUOUS QUERY spin;"));
        user.see(&format!("continuous query spin {done}"));
    }
    user.enter("SHOW CONTINUOUS QUERIES;");
    user.see("there are no continuous queries");
    assert_eq!(user.leave(), Some(0));
}
