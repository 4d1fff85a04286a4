//! What is on a simulated disk: files without names, names, and what is pending of both.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::not_found;

/// Everything that a simulated disk holds. Cloning is cheap: the files are shared until written.
#[derive(Debug, Clone, Default)]
pub(super) struct Platter {
    pub(super) nodes: BTreeMap<u64, Arc<Node>>,
    /// The names that a process sees.
    pub(super) live: Names,
    /// The names that are certain to survive.
    pub(super) durable: Names,
    /// What leads from the durable names to the live ones, oldest first.
    pub(super) pending: Vec<NameChange>,
    last_node: u64,
}

/// A file without a name.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// What a process reads.
    pub(super) live: Vec<u8>,
    /// What is certain to survive.
    pub(super) durable: Vec<u8>,
    /// What was done since the last sync, oldest first.
    pub(super) pending: Vec<Piece>,
    /// How often it is open.
    pub(super) handles: usize,
}

/// One change of a file's content.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Write { offset: usize, bytes: Arc<[u8]> },
    SetLen(usize),
}

impl Piece {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => write(content, *offset, bytes),
            Self::SetLen(len) => content.resize(*len, 0),
        }
    }
}

/// Writes into content, which grows with zeros where needed.
pub(super) fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

impl Node {
    pub(super) fn change(&mut self, piece: Piece) {
        piece.apply(&mut self.live);
        self.pending.push(piece);
    }

    pub(super) fn sync(&mut self) {
        for piece in std::mem::take(&mut self.pending) {
            piece.apply(&mut self.durable);
        }
    }
}

/// Names of files and folders; the root has none.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) files: BTreeMap<String, u64>,
    pub(super) folders: BTreeSet<String>,
}

/// One change of names.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Link { path: String, node: u64 },
    Unlink { path: String, node: u64 },
    Rename { from: String, to: String, node: u64 },
    MakeFolder { path: String },
    RemoveFolder { path: String },
}

/// The folder that a path is in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl NameChange {
    /// The folder whose sync makes the change durable.
    pub(super) fn folder(&self) -> &str {
        match self {
            Self::Link { path, .. }
            | Self::Unlink { path, .. }
            | Self::Rename { to: path, .. }
            | Self::MakeFolder { path }
            | Self::RemoveFolder { path } => parent(path),
        }
    }
}

impl Names {
    pub(super) fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Link { path, node } => drop(self.files.insert(path.clone(), *node)),
            NameChange::Unlink { path, node } => self.unlink(path, *node),
            NameChange::Rename { from, to, node } => {
                self.unlink(from, *node);
                self.files.insert(to.clone(), *node);
            }
            NameChange::MakeFolder { path } => drop(self.folders.insert(path.clone())),
            NameChange::RemoveFolder { path } => drop(self.folders.remove(path)),
        }
    }

    /// Removes a name where it still is that node's.
    fn unlink(&mut self, path: &str, node: u64) {
        if self.files.get(path) == Some(&node) {
            self.files.remove(path);
        }
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.folders.contains(path)
    }

    /// The names in a folder, sorted; folders end in `/`.
    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        let is_inside = |path: &&String| parent(path) == folder;
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let files = self.files.keys().filter(is_inside).map(|path| name(path));
        let folders = self.folders.iter().filter(is_inside);
        let mut names: Vec<String> = files.chain(folders.map(|path| name(path) + "/")).collect();
        names.sort_unstable();
        names
    }

    /// Drops what is in folders that are not there.
    pub(super) fn drop_unreachable(&mut self) {
        // A folder sorts before what is in it.
        let mut kept = BTreeSet::new();
        for folder in std::mem::take(&mut self.folders) {
            if parent(&folder).is_empty() || kept.contains(parent(&folder)) {
                kept.insert(folder);
            }
        }
        self.folders = kept;
        let folders = &self.folders;
        self.files.retain(|path, _| parent(path).is_empty() || folders.contains(parent(path)));
    }
}

impl Platter {
    pub(super) fn add_node(&mut self, node: Node) -> u64 {
        self.last_node += 1;
        self.nodes.insert(self.last_node, Arc::new(node));
        self.last_node
    }

    pub(super) fn node_at(&self, path: &str) -> io::Result<&Node> {
        let node = self.live.files.get(path).and_then(|node| self.nodes.get(node));
        Ok(node.ok_or_else(|| not_found(path))?)
    }

    pub(super) fn node_at_mut(&mut self, path: &str) -> io::Result<&mut Node> {
        let node = self.live.files.get(path).and_then(|node| self.nodes.get_mut(node));
        Ok(Arc::make_mut(node.ok_or_else(|| not_found(path))?))
    }

    /// Makes the names in a folder durable, and forgets files that nothing leads to any more.
    pub(super) fn sync_folder(&mut self, folder: &str) {
        for change in std::mem::take(&mut self.pending) {
            if change.folder() == folder {
                self.durable.apply(&change);
            } else {
                self.pending.push(change);
            }
        }
        let mut used: BTreeSet<u64> = self.live.files.values().copied().collect();
        used.extend(self.durable.files.values());
        used.extend(self.pending.iter().filter_map(|change| match change {
            NameChange::Link { node, .. } | NameChange::Rename { node, .. } => Some(*node),
            _ => None,
        }));
        self.nodes.retain(|number, node| node.handles > 0 || used.contains(number));
    }
}
