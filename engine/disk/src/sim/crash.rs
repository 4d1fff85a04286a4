//! What survives a power cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::platter::{Names, Node, Piece, Platter, write};

/// A disk writes this many bytes as one.
const SECTOR_BYTES: usize = 512;

/// Which of the changes that were never synced survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CrashMode {
    /// None.
    DropUnsynced,
    /// All, as when only the process was killed and the system wrote everything.
    KeepAll,
    /// The first ones of each file, the last of them in part; or each of them in part. Of the
    /// names the first ones.
    Torn,
    /// Any of them, sector by sector, in any order; what is missing before something that
    /// survived reads as zeros. Of the names any.
    Reordered,
    /// Another of these for each file and for the names.
    Mixed,
}

impl CrashMode {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::DropUnsynced, Self::KeepAll, Self::Torn, Self::Reordered, Self::Mixed];

    /// One that is not mixed.
    fn choose(self, random: &mut Random) -> Self {
        match self {
            Self::Mixed => match random.below(4) {
                0 => Self::DropUnsynced,
                1 => Self::KeepAll,
                2 => Self::Torn,
                _ => Self::Reordered,
            },
            other => other,
        }
    }
}

/// Sebastiano Vigna's splitmix64: reproducible, and good enough to choose what survives.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn flip(&mut self) -> bool {
        self.next() & 1 == 0
    }
}

/// The platter after a power cut: everything on it is durable, nothing is pending or open.
pub(super) fn survivors(platter: &Platter, mode: CrashMode, seed: u64) -> Platter {
    let mut random = Random(seed);
    let names = surviving_names(platter, mode.choose(&mut random), &mut random);
    let mut survivors = Platter::default();
    let mut numbers = BTreeMap::new();
    for (path, old) in &names.files {
        let Some(node) = platter.nodes.get(old) else { continue };
        let number = *numbers.entry(*old).or_insert_with(|| {
            let content = surviving_content(node, mode.choose(&mut random), &mut random);
            survivors.add_node(Node { live: content.clone(), durable: content, ..Node::default() })
        });
        survivors.live.files.insert(path.clone(), number);
    }
    survivors.live.folders = names.folders;
    survivors.durable = survivors.live.clone();
    survivors
}

fn surviving_names(platter: &Platter, mode: CrashMode, random: &mut Random) -> Names {
    let mut names = platter.durable.clone();
    let count = platter.pending.len();
    let first = match mode {
        CrashMode::DropUnsynced => 0,
        CrashMode::Torn => random.below(count + 1),
        _ => count,
    };
    for change in platter.pending.iter().take(first) {
        if mode != CrashMode::Reordered || random.flip() {
            names.apply(change);
        }
    }
    names.drop_unreachable();
    names
}

fn surviving_content(node: &Arc<Node>, mode: CrashMode, random: &mut Random) -> Vec<u8> {
    let mut content = node.durable.clone();
    match mode {
        CrashMode::DropUnsynced | CrashMode::Mixed => {}
        CrashMode::KeepAll => node.pending.iter().for_each(|piece| piece.apply(&mut content)),
        CrashMode::Torn if random.flip() => {
            let whole = random.below(node.pending.len() + 1);
            for (index, piece) in node.pending.iter().enumerate().take(whole + 1) {
                if index < whole {
                    piece.apply(&mut content);
                } else {
                    apply_part(piece, &mut content, random);
                }
            }
        }
        CrashMode::Torn => {
            node.pending.iter().for_each(|piece| apply_part(piece, &mut content, random));
        }
        CrashMode::Reordered => {
            node.pending.iter().for_each(|piece| apply_some(piece, &mut content, random));
            // The length may arrive without what it is the length of.
            if node.live.len() > content.len() && random.below(4) == 0 {
                content.resize(node.live.len(), 0);
            }
        }
    }
    content
}

/// Writes the front of a piece, up to any byte or sector.
fn apply_part(piece: &Piece, content: &mut Vec<u8>, random: &mut Random) {
    match piece {
        Piece::Write { offset, bytes } => {
            let mut part = random.below(bytes.len() + 1);
            if random.flip() {
                part -= (offset + part) % SECTOR_BYTES.min(part + 1);
            }
            let part = bytes.get(..part).unwrap_or_default();
            if !part.is_empty() {
                write(content, *offset, part);
            }
        }
        Piece::SetLen(_) if random.flip() => piece.apply(content),
        Piece::SetLen(_) => {}
    }
}

/// Writes some of the sectors of a piece.
fn apply_some(piece: &Piece, content: &mut Vec<u8>, random: &mut Random) {
    match piece {
        Piece::Write { offset, bytes } => {
            let mut at = 0;
            while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
                let to_boundary = SECTOR_BYTES - (offset + at) % SECTOR_BYTES;
                let sector = rest.get(..to_boundary).unwrap_or(rest);
                if random.flip() {
                    write(content, offset + at, sector);
                }
                at += sector.len();
            }
        }
        Piece::SetLen(_) if random.flip() => piece.apply(content),
        Piece::SetLen(_) => {}
    }
}
