//! `chronolith chain init` makes a whole chain or none, and can be done again after whatever stopped it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::run::{chronolith, expect, json, kills, program};

const INIT: [&str; 6] = ["chain", "init", "--dir", "c", "--wallet", "w"];

fn problem(directory: &Path, code: i32, arguments: &[&str]) -> String {
    let output = chronolith(directory, arguments);
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {problem}");
    problem
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `init` left a key in the wallet and sometimes a directory where its arguments were wrong, because
/// it made them before it looked; of an account that was funded twice it said "elements that are not
/// strictly rising". Now everything is checked first, and what is wrong is named.
#[test]
fn nothing_is_made_where_the_arguments_are_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let other = json(directory, 0, &["wallet", "new", "friend", "--wallet", "v", "--json"]);
    let other = other["address"].as_str().unwrap().to_owned();
    let (fund, much) = (format!("{other}=5"), format!("{other}=340282366920938463463"));
    let name = "n".repeat(65);
    let cases: [(&[&str], i32, &str); 11] = [
        (&["--validators", "0"], 2, "between 1 and 128"),
        (&["--validators", "1000"], 2, "between 1 and 128"),
        (&["--name", &name], 2, "is no name for a chain: use at most 64 bytes"),
        (&["--name", "a\u{7}b"], 2, "no control characters"),
        (&["--fund", "friend"], 2, "ACCOUNT=AMOUNT"),
        (&["--fund", "friend=5"], 1, "there is no key \"friend\""),
        (&["--fund", "main=5"], 2, "begins with 1000000 already"),
        (&["--fund", &fund, "--fund", &fund], 2, "funded twice"),
        (&["--fund", &much], 2, "all coin of the genesis together"),
        (&["--fund", &format!("{other}=x")], 2, "is no amount"),
        (&["--account", "no/name"], 1, "is no name for a key"),
    ];
    for (more, code, told) in cases {
        let problem = problem(directory, code, &[&INIT[..], more].concat());
        assert!(problem.contains(told), "{more:?}: {problem}");
        assert_eq!(names(directory), ["v"], "{more:?}");
    }
    fs::create_dir(directory.join("c")).unwrap();
    fs::write(directory.join("c/mine"), "mine").unwrap();
    assert!(problem(directory, 1, &INIT).contains("not empty"));
    assert_eq!(
        (names(directory), names(&directory.join("c"))),
        (vec!["c".to_owned(), "v".to_owned()], vec!["mine".to_owned()])
    );
}

/// What `init` had made when the disk was full stayed: the next `init` said that the directory was not
/// empty, and everything else that there was no chain in it. Now it takes away what it made.
#[test]
#[cfg(unix)]
fn an_init_that_fails_half_way_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for is_there in [false, true] {
        if is_there {
            fs::create_dir(directory.join("c")).unwrap();
        }
        // Room for keys and the genesis, and none for the state.
        let output = Command::new("sh")
            .args(["-c", "ulimit -f 8; trap '' XFSZ; exec \"$0\" \"$@\"", program()])
            .args(INIT)
            .current_dir(directory)
            .output()
            .unwrap();
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{problem}");
        assert!(problem.contains("File too large"), "{problem}");
        assert_eq!(directory.join("c").exists(), is_there);
    }
    assert!(names(&directory.join("c")).is_empty());
    assert_eq!(names(directory), ["c"], "the wallet has no key of a chain that is not there");
    // A wallet that takes no key in leaves no chain.
    fs::write(directory.join("w"), "no wallet").unwrap();
    assert!(problem(directory, 1, &INIT).contains("Not a directory"));
    fs::remove_file(directory.join("w")).unwrap();
    assert!(names(&directory.join("c")).is_empty());
    expect(directory, 0, &INIT);
    assert_eq!(json(directory, 0, &["chain", "status", "--dir", "c", "--json"])["height"], 0);
}

/// An `init` that was killed left a directory that nothing could be done with but remove it by hand.
/// The genesis has its name last and another one first, by which the next `init` knows what it may
/// take away: never a chain whose genesis somebody lost.
#[test]
fn an_init_that_was_killed_is_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let first = json(directory, 0, &[&INIT[..], &["--json"]].concat());
    let (genesis, unfinished) = (directory.join("c/genesis"), directory.join("c/genesis.new"));
    // As it is a moment before the end.
    fs::rename(&genesis, &unfinished).unwrap();
    let status = ["chain", "status", "--dir", "c", "--json"];
    assert!(problem(directory, 1, &status).contains("chronolith chain init"));
    let second = json(directory, 0, &[&INIT[..], &["--json"]].concat());
    assert_ne!(second["chain"], first["chain"]);
    assert_eq!(second["account"], first["account"]);
    assert_eq!(json(directory, 0, &status)["chain"], second["chain"]);
    assert!(!unfinished.exists());

    // Somebody's file is in it, or the genesis is lost: that is not what an `init` left.
    fs::rename(&genesis, &unfinished).unwrap();
    fs::write(directory.join("c/mine"), "mine").unwrap();
    assert!(problem(directory, 1, &INIT).contains("not empty"));
    fs::remove_file(directory.join("c/mine")).unwrap();
    fs::rename(&unfinished, directory.join("genesis")).unwrap();
    assert!(problem(directory, 1, &INIT).contains("not empty"));
    fs::rename(directory.join("genesis"), &genesis).unwrap();
    assert_eq!(json(directory, 0, &status)["chain"], second["chain"]);
}

#[test]
fn an_init_is_killed_at_any_moment_and_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let init = [&INIT[..], &["--validators", "3", "--json"]].concat();
    for round in 0..kills(8) {
        let mut child = Command::new(program())
            .args(&init)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed at some moment of its life.
        std::thread::sleep(Duration::from_millis(round * 17 % 130));
        child.kill().unwrap();
        let told = child.wait_with_output().unwrap().stdout;
        let told: Option<Value> = serde_json::from_slice(&told).ok();
        let chain = match told {
            Some(told) => told,
            None if directory.join("c/genesis").exists() => Value::Null,
            None => json(directory, 0, &init),
        };
        let status = json(directory, 0, &["chain", "status", "--dir", "c", "--json"]);
        assert!(chain.is_null() || status["chain"] == chain["chain"], "{status} {chain}");
        assert_eq!(status["validators"], 3);
        fs::remove_dir_all(directory.join("c")).unwrap();
    }
}
