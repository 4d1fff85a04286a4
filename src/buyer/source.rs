//! Where the blocks of chunks come from.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use chronolith_chain::content::ContentId;
use chronolith_net::car::{CarError, CarReader};
use chronolith_net::pack::linked_body;

use crate::market::note::Note;

/// Why blocks cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", place.display())]
    Disk {
        /// Which.
        place: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// A file is no CAR file.
    #[error("{}: {source}", place.display())]
    Car {
        /// Which.
        place: PathBuf,
        /// What is wrong.
        source: CarError,
    },
    /// A block is not there.
    #[error("{cid} is not there")]
    Absent {
        /// Which chunk.
        cid: ContentId,
    },
    /// The network does not have it.
    #[error("{0}")]
    Network(String),
    /// The time was over before it was fetched.
    #[error("there was no time left to fetch {cid}: try again")]
    Late {
        /// Which chunk.
        cid: ContentId,
    },
}

/// The header and the body of a chunk.
pub type Blocks = (Vec<u8>, Vec<u8>);

/// Takes the blocks of the chunk at a place of a note, or why they cannot be had; says whether more are wanted.
pub type Take<'a> = &'a mut dyn FnMut(usize, Result<Blocks, SourceError>) -> ControlFlow<()>;

/// Somewhere that blocks come from.
pub trait Source {
    /// Hands over the blocks of the chunks of a note, each with its place there, in any order; or why one
    /// cannot be had. It ends when no more are wanted.
    ///
    /// # Errors
    /// Where none can be had.
    fn blocks(&mut self, note: &Note, take: Take<'_>) -> Result<(), SourceError>;
}

/// A CAR file that the owner, or whoever has the blocks, wrote.
pub struct CarFile<'a>(pub &'a Path);

impl Source for CarFile<'_> {
    fn blocks(&mut self, note: &Note, take: Take<'_>) -> Result<(), SourceError> {
        let place = || self.0.to_owned();
        let disk = |source| SourceError::Disk { place: place(), source };
        let malformed = |source| SourceError::Car { place: place(), source };
        let file = BufReader::new(File::open(self.0).map_err(disk)?);
        let mut car = CarReader::new(file).map_err(malformed)?;
        let chunks = note.chunks.iter().enumerate();
        let wanted: HashMap<ContentId, usize> =
            chunks.map(|(at, told)| (told.path.chunk, at)).collect();
        // Headers wait for their bodies: a body comes behind its header, or before it.
        let (mut headers, mut bodies) = (HashMap::new(), HashMap::new());
        let mut found = vec![false; note.chunks.len()];
        while let Some((cid, block)) = car.next_block().map_err(malformed)? {
            let pair = match wanted.get(&cid) {
                Some(at) => {
                    let Some(body) = linked_body(&block) else { continue };
                    match bodies.remove(&body) {
                        Some(bytes) => Some((*at, block, bytes)),
                        None => {
                            headers.insert(body, (*at, block));
                            None
                        }
                    }
                }
                None => match headers.remove(&cid) {
                    Some((at, header)) => Some((at, header, block)),
                    None => {
                        bodies.insert(cid, block);
                        None
                    }
                },
            };
            if let Some((at, header, body)) = pair {
                if let Some(found) = found.get_mut(at) {
                    *found = true;
                }
                if take(at, Ok((header, body))).is_break() {
                    return Ok(());
                }
            }
        }
        for (at, told) in note.chunks.iter().enumerate() {
            if found.get(at) == Some(&false)
                && take(at, Err(SourceError::Absent { cid: told.path.chunk })).is_break()
            {
                break;
            }
        }
        Ok(())
    }
}
