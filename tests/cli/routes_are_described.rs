//! `GET /api/v1/openapi.json` describes every route of the server, by every method, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::http::Server;
use crate::run::{expect, source};

fn is_path(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next() == Some(b'/') && bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
}

/// Texts that begin with a slash in the code of a folder, without its tests: its routes.
fn routes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let texts = line.split('"').skip(1).step_by(2);
                found.extend(texts.filter(|text| is_path(text)).map(str::to_owned));
            }
        }
    }
}

#[test]
fn the_document_has_every_route_and_its_methods() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    expect(directory, 0, &["token", "new", "all", "--db", "db", "--scope", "admin"]);
    let server = Server::start(directory, &[]);
    let document = server.get("/api/v1/openapi.json").expect(200).json();
    let paths = document["paths"].as_object().unwrap();
    let mut found = BTreeSet::new();
    routes(&source("src/http"), &mut found);
    assert_eq!(paths.keys().cloned().collect::<BTreeSet<_>>(), found);
    let mut operations = BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operations.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            let is_open = operation["security"].as_array().unwrap().is_empty();
            // Without a token: who is not let in was asked by a method that there is.
            let path = path.replace(['{', '}'], "");
            let answer = server.ask(&method.to_uppercase(), &path, &[], b"");
            match is_open {
                true => assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}"),
                false => assert_eq!(answer.status, 401, "{method} {path}: {answer:?}"),
            }
        }
    }
}
