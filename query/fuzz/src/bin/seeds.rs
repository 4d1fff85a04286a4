//! Writes a seed corpus of real encodings and texts: `seeds FOLDER` makes `FOLDER/TARGET/NUMBER`.

use std::io;
use std::path::PathBuf;

// Everything here is built with coverage counters; this brings what they are registered with.
use libfuzzer_sys as _;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: seeds FOLDER"))?;
    let folder = PathBuf::from(folder);
    let seeds = chronolith_query::continuous::fuzzing::seeds().into_iter();
    for (number, (target, bytes)) in
        seeds.chain(chronolith_query::search::fuzzing::seeds()).enumerate()
    {
        std::fs::create_dir_all(folder.join(target))?;
        std::fs::write(folder.join(target).join(format!("{number:03}")), bytes)?;
    }
    Ok(())
}
