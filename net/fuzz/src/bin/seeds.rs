//! Writes a seed corpus of real encodings: `seeds FOLDER` makes `FOLDER/TARGET/000`.

use std::io;
use std::path::PathBuf;

use chronolith_fragment::Shown;
use chronolith_net::car::{write_items, write_pack};
use chronolith_net::stored::StoredFragment;
use chronolith_net_fuzz::{Seed, row, seed};
// Everything here is built with coverage counters; this brings what they are registered with.
use libfuzzer_sys as _;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: seeds FOLDER"))?;
    let folder = PathBuf::from(folder);
    let Seed { pack, fragments, answer, .. } = seed();
    let (header, body) = (pack.header(), pack.body());
    let fragment = fragments[4].clone();
    let shown = Shown::of(header.shape, &fragment, &fragment.tree(), 1..3);
    let shown = shown.map_err(io::Error::other)?.to_bytes();
    let stored = StoredFragment { pack: pack.content_id(), shape: header.shape, fragment };
    for (target, seeds) in [
        ("answer", vec![answer.to_bytes()]),
        ("car", vec![write_pack(Vec::new(), pack)?, write_items(Vec::new(), pack)?]),
        ("fragment", vec![stored.to_bytes()]),
        ("item_read", vec![vec![3], vec![5, 0, 1, 7, 0, 0]]),
        ("pack", vec![[&[body.entries().len() as u8], body.bytes()].concat()]),
        ("pack_header", vec![header.to_bytes()]),
        ("shown", vec![[&[4, 1, 2], &shown[..]].concat()]),
        ("wrong_row", vec![row().1.clone()]),
    ] {
        std::fs::create_dir_all(folder.join(target))?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(target).join(format!("{number:03}")), seed)?;
        }
    }
    Ok(())
}
