//! The examples of `clients/*/README.md`, run as they are written against a real server.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::http::Server;
use crate::run::{python, source};

/// The first block of a language in a README, with the address of the server.
fn example(readme: &str, language: &str, server: &Server) -> String {
    let text = fs::read_to_string(source(readme)).unwrap();
    let begin = format!("```{language}\n");
    let block = text.split_once(&begin).unwrap().1.split_once("```").unwrap().0;
    assert!(block.contains("127.0.0.1:8428"), "{block}");
    block.replace("127.0.0.1:8428", &server.address)
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_python_client_works_as_its_readme_says() {
    let Some(python) = python("import sys; assert sys.version_info >= (3, 9)") else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let mut script = example("clients/python/README.md", "python", &server);
    // What the text below the example says.
    script += "
for change in client.follow('speed_10s'):
    print('followed', change)
    break
";
    let output = Command::new(python)
        .args(["-c", &script])
        .env("PYTHONPATH", source("clients/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = said(&output);
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("car-17 89.5 60"), "{said}");
    assert_eq!(lines.next(), Some("119"), "{said}");
    assert!(said.contains("followed"), "{said}");
}

/// A write of which a part was taken was told as any refusal, and everything else that was refused as
/// `Rejected`; the word for the problem and its column were lost, and what came behind was never sent.
#[test]
fn the_python_client_says_what_was_not_taken() {
    let Some(python) = python("import sys; assert sys.version_info >= (3, 9)") else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let script = "
import chronolith.client
from chronolith import ChronolithError, Client, Record, Rejected

client = Client('http://ADDRESS')
client.write(Record(device='a', time=1, values={'v': 1.0, 's': 'two\\nlines'}))
def records(time):
    for value in (2.0, 'text', 4.0):
        yield Record(device='a', time=time, values={'v': value, 's': 'two\\nlines'})
        time += 1
for size in (chronolith.client._BATCH_BYTES, 1):
    chronolith.client._BATCH_BYTES = size
    try:
        client.write(records(10 + size))
        print('all was taken')
    except Rejected as error:
        print(error.status, error.code, error.line)
print(client.sql('SELECT count(*) AS n FROM v'))
for ask in (lambda: client.sql('SELECT speeed'), lambda: client.promql('((')):
    try:
        ask()
    except ChronolithError as error:
        print(type(error).__name__, error.status, error.code, error.line, error.column)
"
    .replace("ADDRESS", &server.address);
    let output = Command::new(python)
        .args(["-c", &script])
        .env("PYTHONPATH", source("clients/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = said(&output);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "422 partial_write 2",
            "400 partial_write 2",
            "[{'n': 5}]",
            "ChronolithError 400 invalid 1 8",
            "ChronolithError 400 bad_data None None",
        ]
    );
}

#[test]
fn the_typescript_client_works_as_its_readme_says() {
    let Some(compiler) = std::env::var_os("CHRONOLITH_TSC") else {
        eprintln!("skipped: CHRONOLITH_TSC names no compiler of TypeScript");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let module = directory.path().join("node_modules/chronolith");
    let client = source("clients/typescript");
    let compiled = Command::new(&compiler)
        .arg("--project")
        .arg(&client)
        .arg("--outDir")
        .arg(module.join("dist"))
        .arg("--typeRoots")
        .arg(Path::new(&compiler).ancestors().nth(2).unwrap().join("@types"))
        .output()
        .unwrap();
    said(&compiled);
    fs::copy(client.join("package.json"), module.join("package.json")).unwrap();
    // Types are taken off by the same compiler, as whoever uses the client does.
    let example = example("clients/typescript/README.md", "typescript", &server);
    fs::write(directory.path().join("example.mts"), example).unwrap();
    let compiled = Command::new(&compiler)
        .args([
            "--module",
            "nodenext",
            "--target",
            "es2022",
            "--strict",
            "--skipLibCheck",
            "example.mts",
        ])
        .current_dir(directory.path())
        .output()
        .unwrap();
    said(&compiled);
    let output =
        Command::new("node").arg("example.mjs").current_dir(directory.path()).output().unwrap();
    let said = said(&output);
    assert!(said.starts_with("car-18 89.5\n"), "{said}");
    assert!(said.contains("max: 89"), "{said}");
}
