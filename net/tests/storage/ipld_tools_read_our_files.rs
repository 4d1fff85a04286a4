//! Tools of the IPLD world read what is written here, where they are installed.
//!
//! `CHRONOLITH_NODE_FOLDER` is a folder in which `npm install @ipld/car @ipld/dag-cbor` ran;
//! `CHRONOLITH_PYTHON` a Python with `pip install dag-cbor multiformats`.

use std::path::{Path, PathBuf};
use std::process::Command;

use chronolith_chain::content::ContentId;
use chronolith_merkle::DAG_CBOR;
use chronolith_net::car::CarReader;
use chronolith_net::pack::linked_body;

fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the scripts print, by our own reading.
fn expected(files: &[PathBuf]) -> Vec<String> {
    let mut lines = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        let mut car = CarReader::new(&bytes[..]).unwrap();
        while let Some((cid, block)) = car.next_block().unwrap() {
            let body = (cid.codec() == DAG_CBOR).then(|| linked_body(&block).unwrap());
            let body = body.map(|body: ContentId| format!(" {body}"));
            lines.push(format!("{cid}{}", body.unwrap_or_default()));
        }
    }
    lines
}

fn compare(command: &mut Command, script: &str) {
    let files = [place("testdata/pack.car"), place("testdata/items.car")];
    let script_file = std::fs::File::open(place(script)).unwrap();
    let output = command.arg("-").args(&files).stdin(script_file).output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {problem}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected(&files));
}

#[test]
fn the_npm_packages_read_packs_and_items() {
    let Some(folder) = std::env::var_os("CHRONOLITH_NODE_FOLDER") else {
        eprintln!("skipped: CHRONOLITH_NODE_FOLDER names no folder with @ipld/car");
        return;
    };
    let mut node = Command::new("node");
    node.current_dir(folder).arg("--input-type=module");
    compare(&mut node, "tests/ipld/read.mjs");
}

#[test]
fn the_python_package_reads_packs_and_items() {
    let Some(python) = std::env::var_os("CHRONOLITH_PYTHON") else {
        eprintln!("skipped: CHRONOLITH_PYTHON names no Python with dag-cbor");
        return;
    };
    compare(&mut Command::new(python), "tests/ipld/read.py");
}
