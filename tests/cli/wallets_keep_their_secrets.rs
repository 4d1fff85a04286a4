//! A wallet's keys are private, whole or not there, and shown to nobody who did not ask.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::{chronolith, expect, json, program};

/// A key of RFC 8032 (test 1): the secret, and the public key as an address.
const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn import(directory: &Path, name: &str, secret: &str) -> std::process::Output {
    let mut child = Command::new(program())
        .args(["wallet", "import", name, "--wallet", "w", "--json"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), secret.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_key_is_imported_and_its_secret_comes_out_only_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let output = import(directory, "rfc", SECRET);
    assert!(output.status.success());
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(!shown.contains(SECRET) && shown.contains("chron1"), "{shown}");
    let listed = expect(directory, 0, &["wallet", "list", "--wallet", "w", "--json"]);
    assert!(!listed.contains(SECRET));
    let listed = json(directory, 0, &["wallet", "list", "--wallet", "w", "--secrets", "--json"]);
    assert_eq!(listed[0]["secret"], SECRET);
    let address: chronolith_chain::address::Address =
        listed[0]["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(chronolith_chain::hash::Hash(address.0).to_string(), PUBLIC);
}

#[test]
#[cfg(unix)]
fn key_files_are_private_and_refused_where_they_are_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    expect(directory, 0, &["wallet", "new", "main", "--wallet", "w"]);
    let path = directory.join("w/main.key");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory.join("w")), mode(&path)), (0o700, 0o600));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let output = chronolith(directory, &["wallet", "list", "--wallet", "w"]);
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(problem.contains("chmod 600"), "{problem}");
}

/// Of keys that were made at the same time, one was and the others told "operation would block".
#[test]
fn keys_that_are_made_at_the_same_time_are_all_made() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let new = |name: &String| {
        let new = ["wallet", "new", name, "--wallet", "w"];
        let mut command = Command::new(program());
        command.args(new).current_dir(directory).stdout(Stdio::null()).spawn().unwrap()
    };
    let names: Vec<String> = (0..8).map(|number| format!("key-{number}")).collect();
    let children: Vec<_> = names.iter().map(new).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let listed = json(directory, 0, &["wallet", "list", "--wallet", "w", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), names.len());
}

#[test]
fn keys_are_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let first = json(directory, 0, &["wallet", "new", "a", "--wallet", "w", "--json"]);
    let output = chronolith(directory, &["wallet", "new", "a", "--wallet", "w"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("never replaced"));
    assert_eq!(import(directory, "a", SECRET).status.code(), Some(1));
    let listed = json(directory, 0, &["wallet", "list", "--wallet", "w", "--json"]);
    assert_eq!(listed[0]["address"], first["address"]);
}

#[test]
fn what_is_no_key_is_named_with_its_reason_and_without_its_secret() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for secret in ["", "12", &SECRET[1..], &format!("{SECRET}0"), &SECRET.replace('9', "g")] {
        assert_eq!(import(directory, "x", secret).status.code(), Some(1), "{secret}");
    }
    // A file that holds none is named, whatever is in it.
    fs::write(directory.join("noise"), [0xff; 5_000]).unwrap();
    for (file, told) in [
        ("noise", "noise holds no secret: a secret is 64 hexadecimal digits"),
        ("nothing", "cannot read nothing: No such file"),
        (".", "cannot read .: Is a directory"),
    ] {
        let import = ["wallet", "import", "x", "--wallet", "w", "--secret-file", file];
        let output = chronolith(directory, &import);
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{file}: {problem}");
        assert!(problem.contains(told), "{file}: {problem}");
    }
    for name in ["", "../x", "a/b", ".hidden", "-x", "ä", &"a".repeat(65)] {
        let output = chronolith(directory, &["wallet", "new", "--wallet", "w", "--", name]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("no name for a key"), "{name}");
    }
    assert!(import(directory, "rfc", SECRET).status.success());
    let path = directory.join("w/rfc.key");
    let whole = fs::read_to_string(&path).unwrap();
    let other = format!("{}{}", "00", &SECRET[2..]);
    let damaged = [
        whole[..whole.len() / 2].to_owned(),
        whole.replace(SECRET, &other),
        whole.replace("chronolith key 1", "chronolith key 9"),
        whole.replace(SECRET, "secret"),
        String::new(),
        "x".repeat(10_000),
    ];
    for text in damaged {
        fs::write(&path, &text).unwrap();
        let output = chronolith(directory, &["wallet", "list", "--wallet", "w", "--json"]);
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(problem.contains("rfc.key is no key"), "{problem}");
        assert!(!problem.contains(&SECRET[8..]), "{problem}");
    }
}
