//! The keys of a database: under a passphrase, brought back by words, destroyed for good.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::run::{self, chronolith, expect};

fn private(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
    fs::set_permissions(directory.join(name), Permissions::from_mode(0o600)).unwrap();
}

/// A database with keys under a passphrase, three hours of records, sealed; its recovery words.
fn locked(directory: &Path) -> String {
    expect(directory, 0, &["wallet", "new", "main", "--wallet", "w"]);
    expect(directory, 0, &["init", "car"]);
    private(directory, "pass", "correct horse\n");
    let init = ["keys", "init", "--db", "car", "--wallet", "w", "--passphrase-file", "pass"];
    let made = run::json(directory, 0, &[&init[..], &["--json"]].concat());
    let lines: String = (0..3_i64)
        .map(|hour| {
            format!("place,device=car value=\"at home {hour}\" {}\n", hour * 3_600 * 1_000_000_000)
        })
        .collect();
    fs::write(directory.join("in.lp"), lines).unwrap();
    expect(directory, 0, &["ingest", "--db", "car", "in.lp"]);
    expect(directory, 0, &["seal", "--db", "car", "--all"]);
    made["recovery_words"].as_str().unwrap().to_owned()
}

fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = chronolith(directory, arguments);
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {problem}");
    problem
}

const EXPORT: [&str; 5] = ["export", "--db", "car", "--format", "csv"];

#[test]
fn without_the_passphrase_nothing_is_read_and_the_words_bring_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let words = locked(directory);
    assert!(expect(directory, 0, &EXPORT).contains("at home 2"));
    let status = run::json(directory, 0, &["keys", "status", "--db", "car", "--json"]);
    assert_eq!((&status["has_passphrase"], &status["bought_trees"]), (&true.into(), &0.into()));
    let set = ["privacy", "set", "--db", "car", "--metric", "speed", "--level", "3"];
    expect(directory, 0, &set);
    let verified = run::json(directory, 0, &["verify", "--db", "car", "--json"]);
    assert_eq!((&verified["extra"], &verified["faults"]), (&json!([]), &json!([])));
    // What others can read is no secret.
    fs::set_permissions(directory.join("pass"), Permissions::from_mode(0o644)).unwrap();
    assert!(refused(directory, &EXPORT).contains("chmod 600"));
    private(directory, "pass", "wrong horse\n");
    let problem = refused(directory, &EXPORT);
    assert!(
        problem.contains("the passphrase is another") && !problem.contains("horse"),
        "{problem}"
    );
    fs::remove_file(directory.join("pass")).unwrap();
    assert!(refused(directory, &EXPORT).contains("pass"));

    private(directory, "new", "battery staple\n");
    private(directory, "words", &words.replacen(' ', "  ", 3).to_uppercase());
    let recover = ["keys", "recover", "--db", "car", "--words-file", "words"];
    expect(directory, 0, &[&recover[..], &["--passphrase-file", "new"]].concat());
    assert!(expect(directory, 0, &EXPORT).contains("at home 0"));
    // Other words of the same list open nothing.
    let other = "abandon ".repeat(23) + "art";
    private(directory, "words", &other);
    let again = [&recover[..], &["--passphrase-file", "new"]].concat();
    assert!(refused(directory, &again).contains("are of another one"));
    private(directory, "words", "abandon");
    assert!(refused(directory, &again).contains("no recovery words"));

    // After a renewal the old words open nothing that is written from then on.
    let renew = ["keys", "renew", "--db", "car", "--passphrase-file", "new", "--json"];
    let renewed = run::json(directory, 0, &renew)["recovery_words"].as_str().unwrap().to_owned();
    assert_ne!(renewed, words);
    private(directory, "words", &words);
    assert!(refused(directory, &again).contains("are of another one"));
    private(directory, "words", &renewed);
    expect(directory, 0, &again);
}

#[test]
fn a_keystore_that_is_gone_or_damaged_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    locked(directory);
    let keystore = directory.join("car.keys");
    let whole = fs::read(&keystore).unwrap();
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    fs::write(&keystore, damaged).unwrap();
    assert!(refused(directory, &EXPORT).contains("car.keys: the keystore is damaged"));
    fs::remove_file(&keystore).unwrap();
    let problem = refused(directory, &EXPORT);
    assert!(problem.contains("car.keys does not exist"), "{problem}");
    private(directory, "car.keys", "");
    fs::write(&keystore, whole).unwrap();
    assert!(expect(directory, 0, &EXPORT).contains("at home 1"));
    // A second keystore would make what is sealed unreadable.
    let init = ["keys", "init", "--db", "car", "--wallet", "w", "--no-passphrase"];
    assert!(refused(directory, &init).contains("the database has keys"));
}

#[test]
fn no_backup_brings_back_what_was_destroyed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    locked(directory);
    expect(directory, 0, &["backup", "--db", "car", "--to", "copy"]);
    let destroy = ["keys", "destroy", "--db", "car", "--metric", "value"];
    let range = ["--from", "1970-01-01T01:00:00Z", "--to", "1970-01-01T02:00:00Z"];
    assert!(refused(directory, &[&destroy[..], &range].concat()).contains("--yes"));
    let destroyed = run::json(directory, 0, &[&destroy[..], &range, &["--yes", "--json"]].concat());
    assert_eq!(destroyed["windows"], 1);
    let left = expect(directory, 0, &EXPORT);
    assert!(
        left.contains("at home 0") && left.contains("at home 2") && !left.contains("at home 1")
    );
    // The copy has the chunk and finds the same keystore, which has no key of it any more.
    expect(directory, 0, &["restore", "--db", "back", "--from", "copy"]);
    let early = ["export", "--db", "back", "--format", "csv", "--to", "1970-01-01T01:00:00Z"];
    assert!(expect(directory, 0, &early).contains("at home 0"));
    let problem = refused(directory, &["export", "--db", "back", "--format", "csv"]);
    assert!(problem.contains("it was destroyed, or never bought"), "{problem}");
}
