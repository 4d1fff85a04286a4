//! Writes a seed corpus of real encodings: `seeds FOLDER` makes `FOLDER/TARGET/NUMBER`.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

// Everything here is built with coverage counters; this brings what they are registered with.
use libfuzzer_sys as _;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: seeds FOLDER"))?;
    let folder = PathBuf::from(folder);
    let mut numbers = HashMap::new();
    for (target, bytes) in chronolith_keys::fuzzing::seeds() {
        let number = numbers.entry(target).and_modify(|number| *number += 1).or_insert(0);
        std::fs::create_dir_all(folder.join(target))?;
        std::fs::write(folder.join(target).join(format!("{number:03}")), bytes)?;
    }
    Ok(())
}
