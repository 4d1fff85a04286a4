//! What the command line promises of inputs: nothing is emptied, refused whole, or lost in silence.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::run::{chronolith, program};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn ingest(db: &Path, arguments: &[&str]) -> Output {
    let db = db.to_str().unwrap();
    let mut all = vec!["ingest", "--db", db];
    all.extend(arguments);
    chronolith(Path::new("."), &all)
}

fn export(db: &Path, format: &str) -> String {
    let arguments = ["export", "--db", db.to_str().unwrap(), "--format", format];
    text(&chronolith(Path::new("."), &arguments))
}

#[test]
fn a_file_of_rejections_never_empties_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    fs::write(&file, "time,v\n1,2\n").unwrap();
    let name = file.to_str().unwrap();
    let output = ingest(&folder.path().join("db"), &["--time-format", "s", "--errors", name, name]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert_eq!(fs::read_to_string(&file).unwrap(), "time,v\n1,2\n");
    assert!(!folder.path().join("db").exists());
}

#[test]
fn a_broken_first_line_is_one_rejected_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.lp");
    fs::write(&file, "cpu,host=a v=NaN 1\ncpu,host=a v=1 2\n").unwrap();
    let output = ingest(&folder.path().join("db"), &["--json", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("\"accepted\":1"), "{}", text(&output));
}

#[cfg(unix)]
#[test]
fn a_pipe_by_name_is_read_from_its_first_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, db) = (folder.path().join("pipe"), folder.path().join("db"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, "timestamp,v\n2026-01-01T00:00:00Z,1\n").unwrap()
    });
    let output = ingest(&db, &["--json", pipe.to_str().unwrap()]);
    writer.join().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("\"accepted\":1"), "{}", text(&output));
}

#[test]
fn a_header_of_very_many_columns_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wide.csv");
    let mut content = "time,v".to_owned() + &",".repeat(100_000) + "\n1,2";
    content += &",".repeat(100_000);
    fs::write(&file, content + "\n").unwrap();
    let output = ingest(
        &folder.path().join("db"),
        &["--time-format", "s", "--json", file.to_str().unwrap()],
    );
    assert!(text(&output).contains("\"accepted\":1"), "{}", text(&output));
}

/// What was read from a pipe waited for 20,000 records or the end: a process that was stopped lost
/// all of it.
#[test]
fn what_comes_through_a_pipe_is_committed_before_more_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("db");
    let mut command = Command::new(program());
    command.args(["ingest", "--format", "line", "--json", "--db"]).arg(&db).arg("-");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"cpu,host=a v=1 1\ncpu,host=a v=2 2\n").unwrap();
    let mut told = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut told).unwrap();
    assert_eq!(told, "{\"acknowledged\":2}\n");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(export(&db, "csv").ends_with("2,a,v,2,cpu\n"));
}

#[test]
fn wrong_arguments_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    fs::write(&file, "time,v\n1,2\n").unwrap();
    let name = file.to_str().unwrap();
    for wrong in [
        ["--zone", "Europe/Berln"],
        ["--start", "x"],
        ["--time-format", "foo"],
        ["--type", "v=int"],
        ["--delimiter", "xx"],
        ["--tag", "x"],
        ["--window", "1ms"],
        ["--device-column", "typo"],
    ] {
        let output = ingest(&folder.path().join("db"), &[wrong[0], wrong[1], name]);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output));
    }
}
