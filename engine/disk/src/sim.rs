//! A disk in memory that knows what a power cut may leave.
//!
//! It keeps two versions of everything: what a running process sees, and what stable storage is
//! certain to hold. Between the two stand pending changes: pieces of files since their last
//! [`DiskFile::sync`], and names since the last [`Disk::sync_dir`] of their folder.
//! [`SimDisk::crash`] decides which of them survive, as strictly as POSIX allows: a file's sync
//! does not make its name durable, the names of a folder come and go in any order, and what is in
//! a folder is gone where the folder's own name is.

mod crash;
mod file;
mod platter;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, DiskFile, DiskLock, Mapped};

pub use crash::CrashMode;
use file::SimFile;
use platter::{NameChange, Node, Platter, parent};

/// A [`Disk`] in memory whose power can be cut. Cloning gives another handle to the same disk.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What a disk may claim without doing it, so that tests can show that they would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// [`DiskFile::sync`] returns and leaves everything pending.
    FileSync,
    /// [`Disk::sync_dir`] returns and leaves everything pending.
    FolderSync,
}

#[derive(Default)]
struct State {
    platter: Platter,
    operations: u64,
    /// Operations beyond this number fail.
    cut_after: Option<u64>,
    /// What the disk was before each operation, where that is kept.
    history: Option<Vec<Platter>>,
    lie: Option<Lie>,
    locked: BTreeSet<String>,
}

impl State {
    /// Whether there still is power.
    fn power(&self) -> io::Result<()> {
        match self.cut_after {
            Some(limit) if self.operations >= limit => Err(io::Error::other("power cut")),
            _ => Ok(()),
        }
    }

    /// Counts an operation that changes something; fails where the power is cut before it.
    fn begin(&mut self) -> io::Result<()> {
        self.power()?;
        self.operations += 1;
        if let Some(history) = &mut self.history {
            history.push(self.platter.clone());
        }
        Ok(())
    }

    fn change_names(&mut self, change: NameChange) {
        self.platter.live.apply(&change);
        self.platter.pending.push(change);
    }
}

fn not_found(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path}: no such file or folder"))
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(platter: Platter) -> Self {
        let state = State { platter, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many operations changed something so far: writes, appends, changes of length, syncs,
    /// creations, renames, removals and syncs of folders.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Cuts the power after operation number `count`: every later call fails, reads as well.
    pub fn cut_after(&self, count: u64) {
        self.state().cut_after = Some(count);
    }

    /// Whether the power was cut, so that calls fail.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.state().power().is_err()
    }

    /// Makes the disk claim what it does not do.
    pub fn lie(&self, lie: Option<Lie>) {
        self.state().lie = lie;
    }

    /// Keeps an image of the disk before every operation from now on; see [`SimDisk::history`].
    pub fn keep_history(&self) {
        self.state().history = Some(Vec::new());
    }

    /// The images since [`SimDisk::keep_history`]: before each operation, and now. What was never
    /// synced is pending in them, as it was; [`SimDisk::crash`] settles it.
    #[must_use]
    pub fn history(&self) -> Vec<Self> {
        let state = self.state();
        let past = state.history.iter().flatten().chain([&state.platter]);
        past.map(|platter| Self::of(platter.clone())).collect()
    }

    /// The disk that is there when the power comes back. What is synced is in it; `mode` and
    /// `seed` decide what else. This disk stays as it is.
    #[must_use]
    pub fn crash(&self, mode: CrashMode, seed: u64) -> Self {
        Self::of(crash::survivors(&self.state().platter, mode, seed))
    }

    /// A disk with the same content, pending changes included, that shares nothing with this one.
    #[must_use]
    pub fn deep_clone(&self) -> Self {
        Self::of(self.state().platter.clone())
    }

    /// The paths of all files, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        self.state().platter.live.files.keys().cloned().collect()
    }

    /// What a process sees in a file.
    pub fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        Ok(self.state().platter.node_at(path)?.live.clone())
    }

    /// Inverts the bits of `mask` in one byte of a file, as decay does: nothing is pending for it.
    pub fn flip(&self, path: &str, offset: u64, mask: u8) -> io::Result<()> {
        let mut state = self.state();
        let node = state.platter.node_at_mut(path)?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let byte = node.live.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= mask;
        if let Some(byte) = node.durable.get_mut(at) {
            *byte ^= mask;
        }
        Ok(())
    }

    /// What Linux makes of a failed `fsync`: the pending pieces of a file stay readable and count
    /// as written, but never reach the disk; a later sync succeeds without them.
    pub fn forget_unsynced(&self, path: &str) {
        if let Ok(node) = self.state().platter.node_at_mut(path) {
            node.pending.clear();
        }
    }

    fn open_node(&self, path: &str, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.power()?;
        let node = match state.platter.live.files.get(path) {
            Some(node) => *node,
            None if create => {
                if state.platter.live.is_folder(path) {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                if !state.platter.live.is_folder(parent(path)) {
                    return Err(not_found(parent(path)));
                }
                state.begin()?;
                let node = state.platter.add_node(Node::default());
                state.change_names(NameChange::Link { path: path.to_owned(), node });
                node
            }
            None => return Err(not_found(path)),
        };
        if let Some(node) = state.platter.nodes.get_mut(&node) {
            Arc::make_mut(node).handles += 1;
        }
        Ok(Box::new(SimFile::new(self.clone(), node, create)))
    }
}

/// Holds a lock until it is dropped.
struct SimLock {
    disk: SimDisk,
    path: String,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.path);
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open_node(path, true)
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open_node(path, false)
    }

    fn map(&self, path: &str) -> io::Result<Mapped> {
        let state = self.state();
        state.power()?;
        Ok(Mapped::from_vec(state.platter.node_at(path)?.live.clone()))
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let state = self.state();
        state.power()?;
        let names = &state.platter.live;
        Ok(names.files.contains_key(path) || names.is_folder(path))
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        let state = self.state();
        state.power()?;
        Ok(state.platter.node_at(path)?.live.len() as u64)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let node = *state.platter.live.files.get(from).ok_or_else(|| not_found(from))?;
        if !state.platter.live.is_folder(parent(to)) {
            return Err(not_found(parent(to)));
        }
        state.begin()?;
        let (from, to) = (from.to_owned(), to.to_owned());
        state.change_names(NameChange::Rename { from, to, node });
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        let node = *state.platter.live.files.get(path).ok_or_else(|| not_found(path))?;
        state.begin()?;
        state.change_names(NameChange::Unlink { path: path.to_owned(), node });
        Ok(())
    }

    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.power()?;
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let folder = path.get(..end).unwrap_or(path);
            if state.platter.live.files.contains_key(folder) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if !state.platter.live.is_folder(folder) {
                state.begin()?;
                state.change_names(NameChange::MakeFolder { path: folder.to_owned() });
            }
        }
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        if path.is_empty() || !state.platter.live.is_folder(path) {
            return Err(not_found(path));
        }
        if !state.platter.live.list(path).is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.begin()?;
        state.change_names(NameChange::RemoveFolder { path: path.to_owned() });
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        state.power()?;
        if !state.platter.live.is_folder(path) {
            return Err(not_found(path));
        }
        Ok(state.platter.live.list(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.platter.live.is_folder(path) {
            return Err(not_found(path));
        }
        state.begin()?;
        if state.lie != Some(Lie::FolderSync) {
            state.platter.sync_folder(path);
        }
        Ok(())
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>> {
        drop(self.open(path)?);
        if !self.state().locked.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))
    }

    fn describe(&self, path: &str) -> String {
        format!("simulated:{path}")
    }
}
