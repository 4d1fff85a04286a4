//! Snapshots as files, so that they can be served for as long as they are fetched, whatever becomes of
//! the state's versions meanwhile.
//!
//! A file is made as a whole, beside the chain's thread, and never changed (docs/format/snapshot.md):
//!
//! ```text
//! +----------+-----+--------------------------------------+------+-----------------------------+
//! | piece 0  | ... | for each piece: offset u64, len u32, | head | head len u32, version u16,  |
//! |          |     | crc u32 of the piece                 |      | magic 6, crc u32 behind the |
//! |          |     |                                      |      | pieces                      |
//! +----------+-----+--------------------------------------+------+-----------------------------+
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chronolith_disk::{Disk, DiskFile};

use super::{SnapshotHead, SnapshotSource};
use crate::encoding::{DecodeError, encode};
use crate::state::{MAX_CHUNK_BYTES, Snapshot, SnapshotError};

/// The folder of the files.
const FOLDER: &str = "snapshots";
/// How many are kept: the newest, and the one before it, which somebody may be fetching.
const KEPT: usize = 2;
/// The version of the files.
const FORMAT: u16 = 1;
const MAGIC: [u8; 6] = *b"CHSNAP";
/// Length of the head, version, magic, checksum.
const FOOTER_BYTES: usize = 16;
/// Offset, length and checksum of a piece.
const PLACE_BYTES: usize = 16;

/// Why a snapshot cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// The disk failed.
    #[error("{place}: {source}")]
    Disk {
        /// Which file.
        place: String,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The state cannot be cut into pieces.
    #[error(transparent)]
    Cut(#[from] SnapshotError),
    /// A file is damaged. It is removed; the next one is made in its time.
    #[error("{place} is damaged, and is removed: {what}")]
    Damaged {
        /// Which file.
        place: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The head in a file is none.
    #[error("{place}: {source}")]
    Head {
        /// Which file.
        place: String,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// Where a piece is in its file.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    length: u32,
    checksum: u32,
}

struct Kept {
    head: SnapshotHead,
    file: Box<dyn DiskFile>,
    places: Vec<Place>,
}

/// The snapshots that a node can serve; it may be asked on several threads at once.
pub struct SnapshotShelf {
    disk: Arc<dyn Disk>,
    kept: Mutex<BTreeMap<u64, Arc<Kept>>>,
}

fn path_of(height: u64) -> String {
    format!("{FOLDER}/{height}.snapshot")
}

impl SnapshotShelf {
    /// Opens the folder of snapshots in that of the chain's data. What is unfinished or damaged is
    /// removed: it is made again in its time.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, ShelfError> {
        let place = disk.describe(FOLDER);
        let failed = |source| ShelfError::Disk { place: place.clone(), source };
        disk.create_dir_all(FOLDER).map_err(failed)?;
        let mut kept = BTreeMap::new();
        for name in disk.list(FOLDER).map_err(failed)? {
            let height = name.strip_suffix(".snapshot").and_then(|number| number.parse().ok());
            let found = height.and_then(|height| {
                let read = read(disk.as_ref(), &path_of(height)).ok()?;
                (read.head.height() == height).then(|| (height, Arc::new(read)))
            });
            match found {
                Some((height, read)) => drop(kept.insert(height, read)),
                None => disk.remove(&format!("{FOLDER}/{name}")).map_err(failed)?,
            }
        }
        let shelf = Self { disk, kept: Mutex::new(kept) };
        shelf.forget()?;
        Ok(shelf)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest snapshot.
    #[must_use]
    pub fn newest(&self) -> Option<SnapshotHead> {
        self.kept().values().next_back().map(|kept| kept.head.clone())
    }

    /// The encoding of a piece of the snapshot of a height; none where there is no such piece.
    ///
    /// # Errors
    /// Where it cannot be read, or is damaged; the snapshot is not served any more then.
    pub fn piece(&self, height: u64, index: u32) -> Result<Option<Vec<u8>>, ShelfError> {
        let Some(kept) = self.kept().get(&height).cloned() else { return Ok(None) };
        let Some(place) = kept.places.get(index as usize) else { return Ok(None) };
        let mut bytes = vec![0; place.length as usize];
        let path = path_of(height);
        let what = match kept.file.read_at(place.offset, &mut bytes) {
            Ok(()) if crc32fast::hash(&bytes) == place.checksum => return Ok(Some(bytes)),
            Ok(()) => Ok("a piece is not what was written"),
            Err(source) => Err(source),
        };
        self.kept().remove(&height);
        let place = self.disk.describe(&path);
        match what {
            Ok(what) => {
                drop(self.disk.remove(&path));
                Err(ShelfError::Damaged { place, what })
            }
            Err(source) => Err(ShelfError::Disk { place, source }),
        }
    }

    /// Makes the snapshot of a block, in pieces of at most so many bytes and at most [`MAX_CHUNK_BYTES`],
    /// and forgets older ones. This reads the whole state, and writes it: on a thread that has time.
    ///
    /// # Errors
    /// Where the disk fails, or the state cannot be cut.
    pub fn make_in_pieces(
        &self,
        source: SnapshotSource,
        most_bytes: usize,
    ) -> Result<SnapshotHead, ShelfError> {
        let SnapshotSource { step, history, state } = source;
        let snapshot = Snapshot::of(state, most_bytes.min(MAX_CHUNK_BYTES))?;
        let head = SnapshotHead { step, history, bits: snapshot.bits() };
        let (height, path) = (head.height(), path_of(head.height()));
        let place = self.disk.describe(&path);
        let failed = |source| ShelfError::Disk { place: place.clone(), source };
        let unfinished = format!("{path}.new");
        let file = self.disk.open(&unfinished).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        let mut behind = Vec::new();
        for index in 0..snapshot.count() {
            let bytes = encode(&snapshot.chunk(index)?);
            let offset = file.append(&bytes).map_err(failed)?;
            behind.extend_from_slice(&offset.to_le_bytes());
            // A piece is below 1 MiB.
            behind.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            behind.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        }
        drop(snapshot);
        let encoded = encode(&head);
        behind.extend_from_slice(&encoded);
        behind.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
        behind.extend_from_slice(&FORMAT.to_le_bytes());
        behind.extend_from_slice(&MAGIC);
        let checksum = crc32fast::hash(&behind);
        behind.extend_from_slice(&checksum.to_le_bytes());
        file.append(&behind).map_err(failed)?;
        file.sync().map_err(failed)?;
        drop(file);
        self.disk.rename(&unfinished, &path).map_err(failed)?;
        self.disk.sync_dir(FOLDER).map_err(failed)?;
        let kept = read(self.disk.as_ref(), &path)?;
        self.kept().insert(height, Arc::new(kept));
        self.forget()?;
        Ok(head)
    }

    /// Removes all but the newest. Who reads one goes on reading it.
    fn forget(&self) -> Result<(), ShelfError> {
        loop {
            let oldest = {
                let mut kept = self.kept();
                if kept.len() <= KEPT {
                    return Ok(());
                }
                kept.pop_first()
            };
            if let Some((height, _)) = oldest {
                let path = path_of(height);
                self.disk.remove(&path).map_err(|source| ShelfError::Disk {
                    place: self.disk.describe(&path),
                    source,
                })?;
            }
        }
    }
}

/// Opens a file and reads what is behind its pieces.
fn read(disk: &dyn Disk, path: &str) -> Result<Kept, ShelfError> {
    let place = disk.describe(path);
    let failed = |source| ShelfError::Disk { place: place.clone(), source };
    let damaged = |what| ShelfError::Damaged { place: place.clone(), what };
    let file = disk.open_read(path).map_err(failed)?;
    let length = file.len().map_err(failed)?;
    let mut footer = [0; FOOTER_BYTES];
    let end = length.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| damaged("it is cut"))?;
    file.read_at(end, &mut footer).map_err(failed)?;
    let (sizes, magic) = footer.split_at(6);
    let (head_bytes, version) = sizes.split_at(4);
    let head_bytes = head_bytes.try_into().map_or(0, u32::from_le_bytes);
    let version = version.try_into().map_or(0, u16::from_le_bytes);
    if !magic.starts_with(&MAGIC) || version != FORMAT {
        return Err(damaged("it is no snapshot of this version"));
    }
    if head_bytes as usize > SnapshotHead::MAX_BYTES {
        return Err(damaged("its head is too long"));
    }
    let at = end.checked_sub(u64::from(head_bytes)).ok_or_else(|| damaged("it is cut"))?;
    let mut head = vec![0; head_bytes as usize];
    file.read_at(at, &mut head).map_err(failed)?;
    let decoded = SnapshotHead::decode(&head)
        .map_err(|source| ShelfError::Head { place: place.clone(), source })?;
    let count = 1_usize.checked_shl(decoded.bits.into()).filter(|count| *count <= 1 << 16);
    let count = count.ok_or_else(|| damaged("it is cut into too many pieces"))?;
    let table_bytes = count * PLACE_BYTES;
    let table_at = at.checked_sub(table_bytes as u64).ok_or_else(|| damaged("its table is cut"))?;
    let mut table = vec![0; table_bytes];
    file.read_at(table_at, &mut table).map_err(failed)?;
    let mut hasher = crc32fast::Hasher::new();
    for part in [&table, &head] {
        hasher.update(part);
    }
    let (summed, sum) = footer.split_at(FOOTER_BYTES - 4);
    hasher.update(summed);
    if sum.try_into().map(u32::from_le_bytes).ok() != Some(hasher.finalize()) {
        return Err(damaged("its table is not what was written"));
    }
    let places = table.chunks_exact(PLACE_BYTES).map(|bytes| {
        let (offset, rest) = bytes.split_at(8);
        let (length, checksum) = rest.split_at(4);
        Some(Place {
            offset: u64::from_le_bytes(offset.try_into().ok()?),
            length: u32::from_le_bytes(length.try_into().ok()?),
            checksum: u32::from_le_bytes(checksum.try_into().ok()?),
        })
    });
    let fits =
        |place: &Option<Place>| place.is_some_and(|one| one.length as usize <= MAX_CHUNK_BYTES);
    let places: Vec<Place> = places.take_while(fits).flatten().collect();
    if places.len() != count {
        return Err(damaged("a piece is too long"));
    }
    Ok(Kept { head: decoded, file, places })
}
