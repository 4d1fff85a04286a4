//! `chronolith pack`: sealed chunks into packs, fragments, and back.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{chronolith, expect, json, source};

/// A folder with a sealed database and its one pack: the pack's id, and what `pack make` said.
fn packed(directory: &Path, profile: &str) -> (String, Value) {
    let input = source("testdata/ingest/fleet.lp");
    expect(directory, 0, &["ingest", "--db", "db", input.to_str().unwrap()]);
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
    let made = json(
        directory,
        0,
        &["pack", "make", "--db", "db", "--profile", profile, "--into", "packs", "--json"],
    );
    let packs = made["packs"].as_array().unwrap();
    assert_eq!(packs.len(), 1);
    (packs[0].as_str().unwrap().to_owned(), made)
}

fn fragments(directory: &Path, id: &str) -> Vec<PathBuf> {
    let pack = format!("packs/{id}.car");
    let made = json(directory, 0, &["pack", "fragments", &pack, "--into", "peers", "--json"]);
    let files = made["files"].as_array().unwrap();
    files.iter().map(|file| directory.join(file.as_str().unwrap())).collect()
}

fn join(directory: &Path, code: i32, id: &str, more: &[&str]) -> Value {
    let mask = format!("packs/{id}.mask");
    let arguments = [&["pack", "join", "peers", "--mask", &mask, "--json"], more].concat();
    json(directory, code, &arguments)
}

#[test]
fn sealed_chunks_come_back_from_fragments_with_the_liars_named() {
    let directory = tempfile::tempdir().unwrap();
    let (id, made) = packed(directory.path(), "standard");
    let chunks = expect(directory.path(), 0, &["chunks", "--db", "db", "--format", "jsonl"]);
    assert_eq!(made["items"].as_u64(), Some(chunks.lines().count() as u64));
    let files = fragments(directory.path(), &id);
    assert_eq!(files.len(), 30);
    let originals: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for file in &files[..15] {
        fs::remove_file(file).unwrap();
    }
    for file in &files[15..20] {
        let mut bytes = fs::read(file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    let joined = join(directory.path(), 3, &id, &["--rebuild", "--into", "back"]);
    assert_eq!(joined["refused"].as_array().unwrap().len(), 5);
    assert_eq!((&joined["joined"], &joined["rebuilt"]), (&10.into(), &20.into()));
    for (file, original) in files.iter().zip(&originals) {
        assert!(fs::read(file).unwrap() == *original, "{}", file.display());
    }
    let again = join(directory.path(), 0, &id, &[]);
    assert_eq!((&again["joined"], &again["refused"]), (&30.into(), &Value::Array(Vec::new())));
    let pack =
        |folder: &str| fs::read(directory.path().join(format!("{folder}/{id}.car"))).unwrap();
    assert!(pack("back") == pack("packs"));
    // The chunks that the database lists are the items of the pack.
    let back = format!("back/{id}.car");
    let shown = json(directory.path(), 0, &["pack", "inspect", &back, "--items", "--json"]);
    for chunk in chunks.lines() {
        let chunk: Value = serde_json::from_str(chunk).unwrap();
        let items = shown["list"].as_array().unwrap();
        assert!(items.iter().any(|item| item["cid"] == chunk["cid"]), "{chunk}");
    }
}

#[test]
fn items_go_out_and_in_as_car_files() {
    let directory = tempfile::tempdir().unwrap();
    let (id, made) = packed(directory.path(), "lab");
    let pack = format!("packs/{id}.car");
    expect(directory.path(), 0, &["pack", "car", &pack, "-o", "items.car"]);
    let again = json(
        directory.path(),
        0,
        &["pack", "make", "--car", "items.car", "--profile", "lab", "--into", "again", "--json"],
    );
    assert_eq!((&again["items"], &again["bytes"]), (&made["items"], &made["bytes"]));
    // Another secret, so another pack; the same body.
    let inspect = |folder: &str, id: &Value| {
        let pack = format!("{folder}/{}.car", id.as_str().unwrap());
        json(directory.path(), 0, &["pack", "inspect", &pack, "--json"])
    };
    let (one, other) = (inspect("packs", &made["packs"][0]), inspect("again", &again["packs"][0]));
    assert_eq!(one["body"], other["body"]);
    assert_ne!(one["pack"], other["pack"]);
    assert_eq!((&one["profile"], &one["fragments"]), (&"lab".into(), &6.into()));
    let taken = chronolith(directory.path(), &["pack", "car", &pack, "-o", "items.car"]);
    assert_eq!(taken.status.code(), Some(1), "a file is never replaced");
}

#[test]
fn a_file_larger_than_a_pack_lies_in_several() {
    let directory = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(directory.path().join("photo"), &bytes).unwrap();
    let made = json(
        directory.path(),
        0,
        &["pack", "make", "photo", "--profile", "lab", "--into", "packs", "--json"],
    );
    assert_eq!((made["packs"].as_array().unwrap().len(), &made["items"]), (3, &3.into()));
}

#[cfg(unix)]
#[test]
fn masks_are_private_and_belong_to_their_packs() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let (id, _) = packed(directory.path(), "lab");
    let mask = directory.path().join(format!("packs/{id}.mask"));
    assert_eq!(fs::metadata(&mask).unwrap().permissions().mode() & 0o777, 0o600);
    fragments(directory.path(), &id);
    let secret = fs::read(&mask).unwrap();
    fs::write(&mask, format!("{}\n", "ab".repeat(32))).unwrap();
    let told = |code: i32| {
        let mask = mask.to_str().unwrap();
        let output = chronolith(directory.path(), &["pack", "join", "peers", "--mask", mask]);
        assert_eq!(output.status.code(), Some(code));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told(2).contains("is not the secret of the pack"));
    fs::write(&mask, "not a secret").unwrap();
    assert!(told(1).contains("64 hexadecimal digits"));
    fs::write(&mask, secret).unwrap();
    fs::set_permissions(&mask, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(told(1).contains("chmod 600"));
}

#[test]
fn too_few_fragments_and_damaged_files_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let (id, _) = packed(directory.path(), "lab");
    let files = fragments(directory.path(), &id);
    for file in &files[..3] {
        fs::remove_file(file).unwrap();
    }
    let mask = format!("packs/{id}.mask");
    let output = chronolith(directory.path(), &["pack", "join", "peers", "--mask", &mask]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("3 fragments where 4 are needed"));
    let pack = directory.path().join(format!("packs/{id}.car"));
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let output = chronolith(directory.path(), &["pack", "inspect", pack.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(problem.contains("is no pack") && problem.contains("at byte"), "{problem}");
    let nothing = chronolith(directory.path(), &["pack", "make", "--into", "x"]);
    assert_eq!(nothing.status.code(), Some(2));
}
