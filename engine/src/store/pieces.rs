//! The cache of pieces: parts of objects that were read, on this disk or in memory.
//!
//! ```text
//! cache/NUMBER-SIZE-INDEX.piece: the INDEX-th SIZE bytes of segment NUMBER, the last piece less
//! ```
//!
//! A piece is written under another name and renamed; nothing syncs it. After a power cut it may
//! hold anything: its length is checked here, and the checksum of each record by who reads it, who
//! then has it dropped. Every file may be removed at any time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chronolith_disk::Disk;
use parking_lot::Mutex;

/// The folder of the cache.
pub(crate) const CACHE_DIR: &str = "cache";
const TEMPORARY: &str = ".part";
/// How much a cache that must write nothing keeps in memory: bytes.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// A segment's bodies in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectPlace {
    /// The segment's number, which no other of this database has or will have.
    pub(crate) number: u64,
    /// The object's name.
    pub(crate) object: String,
    /// What is in it, the footer included: bytes.
    pub(crate) size_bytes: u64,
}

/// A segment's number and the place of a piece in it.
pub(super) type PieceKey = (u64, u64);

/// What a piece holds, in memory.
pub(super) type PieceBytes = Arc<[u8]>;

struct Kept {
    bytes: u64,
    /// When it was used last, by [`State::clock`].
    used: u64,
    /// When it was added, by the same clock: tells it from an earlier one of the same key.
    added: u64,
    /// `None` where it is in a file.
    memory: Option<PieceBytes>,
}

#[derive(Default)]
struct State {
    pieces: HashMap<PieceKey, Kept>,
    /// The keys by when they were used.
    by_use: BTreeMap<u64, PieceKey>,
    clock: u64,
    bytes: u64,
    is_listed: bool,
    /// Numbers for temporary files.
    written: u64,
}

/// Pieces up to a budget; the ones that were used longest ago go first.
pub(super) struct Pieces {
    disk: Arc<dyn Disk>,
    piece_bytes: u64,
    budget_bytes: u64,
    /// Whether the disk may be written to.
    is_on_disk: bool,
    state: Mutex<State>,
}

impl State {
    fn touch(&mut self, key: PieceKey) {
        self.clock += 1;
        let now = self.clock;
        if let Some(kept) = self.pieces.get_mut(&key) {
            self.by_use.remove(&kept.used);
            kept.used = now;
            self.by_use.insert(now, key);
        }
    }

    fn add(&mut self, key: PieceKey, bytes: u64, memory: Option<PieceBytes>) {
        self.forget(key);
        self.clock += 1;
        self.by_use.insert(self.clock, key);
        let now = self.clock;
        self.pieces.insert(key, Kept { bytes, used: now, added: now, memory });
        self.bytes += bytes;
    }

    fn forget(&mut self, key: PieceKey) -> bool {
        let Some(kept) = self.pieces.remove(&key) else { return false };
        self.by_use.remove(&kept.used);
        self.bytes -= kept.bytes;
        true
    }
}

impl Pieces {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        piece_bytes: u64,
        budget_bytes: u64,
        is_on_disk: bool,
    ) -> Self {
        let budget_bytes = match is_on_disk {
            true => budget_bytes,
            false => budget_bytes.min(MEMORY_BYTES_MAX),
        };
        Self { disk, piece_bytes, budget_bytes, is_on_disk, state: Mutex::default() }
    }

    fn file(&self, (number, index): PieceKey) -> String {
        format!("{CACHE_DIR}/{number:012}-{}-{index}.piece", self.piece_bytes)
    }

    /// The piece that a file of the cache holds; `None` where it is of another size, or no piece.
    fn key_of(&self, name: &str) -> Option<PieceKey> {
        let mut parts = name.strip_suffix(".piece")?.split('-');
        let (number, size, index) = (parts.next()?, parts.next()?, parts.next()?);
        let key = (number.parse().ok()?, index.parse().ok()?);
        (size.parse() == Ok(self.piece_bytes) && parts.next().is_none()).then_some(key)
    }

    /// Takes up what an earlier opening kept, and removes what is of no use any more.
    fn list(&self, state: &mut State) {
        if std::mem::replace(&mut state.is_listed, true) {
            return;
        }
        let Ok(names) = self.disk.list(CACHE_DIR) else { return };
        for name in names {
            let path = format!("{CACHE_DIR}/{name}");
            match (self.key_of(&name), self.disk.len(&path)) {
                (Some(key), Ok(bytes)) if bytes <= self.piece_bytes => state.add(key, bytes, None),
                _ if self.is_on_disk => drop(self.disk.remove(&path)),
                _ => {}
            }
        }
        self.make_room(state);
    }

    fn make_room(&self, state: &mut State) {
        while state.bytes > self.budget_bytes {
            let Some((_, key)) = state.by_use.pop_first() else { return };
            self.drop_one(state, key);
        }
    }

    fn drop_one(&self, state: &mut State, key: PieceKey) {
        let in_file = state.pieces.get(&key).is_some_and(|kept| kept.memory.is_none());
        if state.forget(key) && in_file && self.is_on_disk {
            // What stays is taken up by the next opening.
            let _ = self.disk.remove(&self.file(key));
        }
    }

    /// Fills a buffer from a piece of so many bytes, where it is kept.
    pub(super) fn read(&self, key: PieceKey, bytes: u64, at: usize, buffer: &mut [u8]) -> bool {
        let mut state = self.state.lock();
        self.list(&mut state);
        state.touch(key);
        let Some(kept) = state.pieces.get(&key) else { return false };
        if let Some(memory) = &kept.memory {
            let content = memory.get(at..at.saturating_add(buffer.len()));
            return content.is_some_and(|content| {
                buffer.copy_from_slice(content);
                true
            });
        }
        let added = kept.added;
        drop(state);
        let mut read = || {
            let file = self.disk.open_read(&self.file(key)).ok()?;
            (file.len().ok()? == bytes).then_some(())?;
            file.read_at(at as u64, buffer).ok()
        };
        let is_read = read().is_some();
        if !is_read {
            // Somebody removed it, or a power cut left something else. It may be there anew by now.
            let mut state = self.state.lock();
            if state.pieces.get(&key).is_some_and(|kept| kept.added == added) {
                self.drop_one(&mut state, key);
            }
        }
        is_read
    }

    /// Whether a piece is kept, as far as is known.
    pub(super) fn has(&self, key: PieceKey) -> bool {
        let mut state = self.state.lock();
        self.list(&mut state);
        state.pieces.contains_key(&key)
    }

    /// Keeps a piece, where it can be: what fails here is fetched again.
    pub(super) fn put(&self, key: PieceKey, content: &PieceBytes) {
        let bytes = content.len() as u64;
        if bytes > self.budget_bytes {
            return;
        }
        if !self.is_on_disk {
            let mut state = self.state.lock();
            self.list(&mut state);
            state.add(key, bytes, Some(Arc::clone(content)));
            return self.make_room(&mut state);
        }
        let number = {
            let mut state = self.state.lock();
            self.list(&mut state);
            state.written += 1;
            state.written
        };
        let name = self.file(key);
        let temporary = format!("{name}.{number}{TEMPORARY}");
        let write = || {
            self.disk.create_dir_all(CACHE_DIR)?;
            let file = self.disk.open(&temporary)?;
            file.set_len(0)?;
            file.append(content)?;
            self.disk.rename(&temporary, &name)
        };
        if write().is_err() {
            let _ = self.disk.remove(&temporary);
            return;
        }
        let mut state = self.state.lock();
        state.add(key, bytes, None);
        self.make_room(&mut state);
    }

    /// Drops a piece that is not what it should be.
    pub(super) fn forget(&self, key: PieceKey) {
        self.drop_one(&mut self.state.lock(), key);
    }

    /// Drops all pieces of a segment that is gone.
    pub(super) fn forget_segment(&self, number: u64) {
        let mut state = self.state.lock();
        self.list(&mut state);
        let keys: Vec<PieceKey> =
            state.pieces.keys().filter(|key| key.0 == number).copied().collect();
        keys.into_iter().for_each(|key| self.drop_one(&mut state, key));
    }

    /// How much is kept: bytes.
    pub(super) fn len_bytes(&self) -> u64 {
        let mut state = self.state.lock();
        self.list(&mut state);
        state.bytes
    }
}
