//! The state with its versions: the values on disk, the trie in memory.

use std::collections::{BTreeMap, VecDeque};

use chronolith_disk::Disk;

use super::proof::{ProofEnd, StateProof, key_hash, value_hash, written};
use super::store::{Replaced, Store, Write};
use super::trie::{Change, Retired, Subtree, Trie, Update};
use super::{Changes, Head, Overlay, StateError, StateReader, View};

/// How a state is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many versions stay readable and provable, the present one among them; at least 1.
    pub keep_versions: u64,
    /// How many bytes of the file are cached.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep_versions: 100, cache_bytes: 64 << 20 }
    }
}

/// What a block makes of the state: its root is known, nothing is changed yet.
pub struct Prepared {
    base: Head,
    head: Head,
    changes: Changes,
    update: Update,
}

impl Prepared {
    /// The version and the root that committing it makes.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// The new values.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }
}

/// A version that is kept.
#[derive(Clone, Copy)]
struct Kept {
    version: u64,
    root: Subtree,
}

/// What led from one kept version to the next.
struct Step {
    replaced: Changes,
    retired: Retired,
}

/// The state of the ledger, with its last versions.
///
/// Invariant: `steps[i]` leads from `kept[i]` to `kept[i + 1]`, and the last of `kept` is what the
/// store holds.
pub struct State {
    store: Store,
    trie: Trie,
    keep_versions: usize,
    kept: VecDeque<Kept>,
    steps: VecDeque<Step>,
}

impl State {
    /// Makes a state in a file that does not exist yet, whose first version holds `values`.
    ///
    /// The file gets its name when it is complete: a power cut leaves all of it or nothing.
    pub fn create(
        disk: &dyn Disk,
        path: &str,
        version: u64,
        values: Changes,
        options: Options,
    ) -> Result<Self, StateError> {
        Self::make(disk, path, options, |store| Self::begin(store, version, &values))?;
        Self::open(disk, path, options)
    }

    /// The same with entries that `fill` gives one by one, so that they need not be in memory
    /// together. They must be all those of the root; [`State::open`] compares.
    pub(super) fn create_by<E: From<StateError>>(
        disk: &dyn Disk,
        path: &str,
        head: Head,
        options: Options,
        fill: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> Result<(), StateError>) -> Result<(), E>,
    ) -> Result<(), E> {
        Self::make(disk, path, options, |store| store.write_first(head, fill))
    }

    fn make<E: From<StateError>>(
        disk: &dyn Disk,
        path: &str,
        options: Options,
        fill: impl FnOnce(&mut Store) -> Result<(), E>,
    ) -> Result<(), E> {
        let place = disk.describe(path);
        let failed = |source| StateError::Disk { place: place.clone(), source };
        if disk.exists(path).map_err(failed)? {
            return Err(StateError::Exists { place }.into());
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let unfinished = format!("{path}.new");
        if disk.exists(&unfinished).map_err(failed)? {
            disk.remove(&unfinished).map_err(failed)?;
        }
        let file = disk.open(&unfinished).map_err(failed)?;
        let mut store = Store::create(file, place.clone(), options.cache_bytes)?;
        fill(&mut store)?;
        drop(store);
        disk.rename(&unfinished, path).map_err(failed)?;
        Ok(disk.sync_dir(folder).map_err(failed)?)
    }

    /// A state in memory only, for programs that verify or simulate.
    pub fn in_memory(version: u64, values: Changes, options: Options) -> Result<Self, StateError> {
        let mut store = Store::in_memory()?;
        Self::begin(&mut store, version, &values)?;
        Self::load(store, options)
    }

    fn begin(store: &mut Store, version: u64, values: &Changes) -> Result<(), StateError> {
        let root = Trie::new().prepare(Subtree::EMPTY, &hashed(values))?.root.hash;
        let head = Head { version, root };
        store.write(&Write { head, changes: values, replaced: None, forget_to: 0 })
    }

    /// Opens the state in a file. All of it is read, and every kept version's root is computed
    /// and compared, so that damage is seen here.
    pub fn open(disk: &dyn Disk, path: &str, options: Options) -> Result<Self, StateError> {
        let place = disk.describe(path);
        let failed = |source| StateError::Disk { place: place.clone(), source };
        if !disk.exists(path).map_err(failed)? {
            return Err(StateError::Missing { place });
        }
        let file = disk.open(path).map_err(failed)?;
        Self::load(Store::open(file, place, options.cache_bytes)?, options)
    }

    /// Builds the trie: of the oldest version that is kept, then block by block to the present.
    fn load(store: Store, options: Options) -> Result<Self, StateError> {
        let head = store.head()?;
        let replaced = store.replaced()?;
        let mut forward = Vec::new();
        // Values as of the version before the block that is looked at, where they differ now.
        let mut before: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for block in replaced.iter().rev() {
            let mut changes = Vec::with_capacity(block.values.len());
            for (key, old) in &block.values {
                let value = match before.insert(key, old.as_deref()) {
                    Some(later) => later.map(value_hash),
                    None => store.get(key)?.map(|value| value_hash(&value)),
                };
                changes.push(Change { key: key_hash(key), value });
            }
            changes.sort_unstable_by_key(|change| change.key);
            forward.push(changes);
        }
        let first = replaced
            .first()
            .map_or(head, |block| Head { version: block.version, root: block.root });
        let mut oldest = Vec::new();
        store.scan(&[], None, &mut |key, value| {
            if !before.contains_key(key) {
                oldest.push(Change { key: key_hash(key), value: Some(value_hash(value)) });
            }
            true
        })?;
        for (key, value) in &before {
            if let Some(value) = value {
                oldest.push(Change { key: key_hash(key), value: Some(value_hash(value)) });
            }
        }
        oldest.sort_unstable_by_key(|change| change.key);

        let keep_versions = usize::try_from(options.keep_versions.max(1)).unwrap_or(usize::MAX);
        let (kept, steps) = (VecDeque::new(), VecDeque::new());
        let mut state = Self { store, trie: Trie::new(), keep_versions, kept, steps };
        let update = state.trie.prepare(Subtree::EMPTY, &oldest)?;
        let (mut root, _) = state.trie.apply(update);
        state.keep(first, root)?;
        let reached =
            replaced.iter().skip(1).map(|block| Head { version: block.version, root: block.root });
        let reached: Vec<Head> = reached.chain([head]).collect();
        let blocks = replaced.into_iter().zip(forward.into_iter().rev());
        for ((block, changes), reached) in blocks.zip(reached) {
            let update = state.trie.prepare(root, &changes)?;
            let retired;
            (root, retired) = state.trie.apply(update);
            state.steps.push_back(Step { replaced: block.values, retired });
            state.keep(reached, root)?;
        }
        state.forget();
        Ok(state)
    }

    fn keep(&mut self, head: Head, root: Subtree) -> Result<(), StateError> {
        if root.hash != head.root {
            let (version, expected, found) = (head.version, head.root, root.hash);
            return Err(StateError::Damaged { version, expected, found });
        }
        self.kept.push_back(Kept { version: head.version, root });
        Ok(())
    }

    /// Forgets the oldest versions beyond those that are to be kept.
    fn forget(&mut self) {
        while self.kept.len() > self.keep_versions {
            self.kept.pop_front();
            if let Some(step) = self.steps.pop_front() {
                self.trie.release(step.retired);
            }
        }
    }

    fn present(&self) -> Kept {
        let none = Kept { version: 0, root: Subtree::EMPTY };
        self.kept.back().copied().unwrap_or(none)
    }

    /// The present version and its root.
    #[must_use]
    pub fn head(&self) -> Head {
        let Kept { version, root } = self.present();
        Head { version, root: root.hash }
    }

    /// The versions that are kept, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = Head> + '_ {
        self.kept.iter().map(|kept| Head { version: kept.version, root: kept.root.hash })
    }

    /// How many bytes the trie takes in memory.
    #[must_use]
    pub fn trie_bytes(&self) -> usize {
        self.trie.memory_bytes()
    }

    /// Computes what a block's changes make of the present version, without changing anything.
    pub fn prepare(&self, version: u64, changes: Changes) -> Result<Prepared, StateError> {
        let base = self.head();
        if version <= base.version {
            return Err(StateError::Order { wanted: version, newest: base.version });
        }
        let update = self.trie.prepare(self.present().root, &hashed(&changes))?;
        let head = Head { version, root: update.root.hash };
        Ok(Prepared { base, head, changes, update })
    }

    /// Makes a block part of the state, and returns when it is on stable storage.
    ///
    /// # Errors
    /// [`StateError::Stale`] where another block was committed since it was prepared. After a
    /// [`StateError::File`] the block may be there or not: open the state again.
    pub fn commit(&mut self, prepared: Prepared) -> Result<Head, StateError> {
        let Prepared { base, head, changes, update } = prepared;
        if base != self.head() || !self.trie.fits(&update) {
            return Err(StateError::Stale);
        }
        let mut replaced =
            Replaced { root: base.root, version: base.version, ..Replaced::default() };
        for key in changes.keys() {
            replaced.values.insert(key.clone(), self.store.get(key)?);
        }
        let surplus = (self.kept.len() + 1).saturating_sub(self.keep_versions);
        let oldest = self.kept.get(surplus).map_or(head.version, |kept| kept.version);
        self.store.write(&Write {
            head,
            changes: &changes,
            replaced: (self.keep_versions > 1).then_some(&replaced),
            forget_to: oldest,
        })?;
        let (root, retired) = self.trie.apply(update);
        self.steps.push_back(Step { replaced: replaced.values, retired });
        self.kept.push_back(Kept { version: head.version, root });
        self.forget();
        Ok(head)
    }

    /// Where a version is among those that are kept.
    fn index_of(&self, version: u64) -> Result<usize, StateError> {
        self.kept.binary_search_by_key(&version, |kept| kept.version).map_err(|_| {
            let oldest = self.kept.front().map_or(0, |kept| kept.version);
            StateError::Version { wanted: version, oldest, newest: self.present().version }
        })
    }

    /// The value that a key had in a kept version.
    pub fn get_at(&self, version: u64, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let index = self.index_of(version)?;
        match self.steps.range(index..).find_map(|step| step.replaced.get(key)) {
            Some(old) => Ok(old.clone()),
            None => self.store.get(key),
        }
    }

    /// The value that a key had in a kept version, or that it had none, with a proof.
    pub fn prove(
        &self,
        version: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, StateProof), StateError> {
        let root = self.kept.get(self.index_of(version)?).map(|kept| kept.root);
        let hash = key_hash(key);
        let (beside, end) = self.trie.descend(root.unwrap_or(Subtree::EMPTY), &hash, 256);
        let end = match self.trie.leaf(end) {
            Some(leaf) if leaf.key == hash => ProofEnd::Present,
            Some(leaf) => ProofEnd::Other { key: leaf.key, value: leaf.value },
            None => ProofEnd::Empty,
        };
        let value = match end {
            ProofEnd::Present => self.get_at(version, key)?,
            _ => None,
        };
        Ok((value, StateProof { beside: written(&beside), end }))
    }

    /// A kept version, to be read.
    ///
    /// # Errors
    /// [`StateError::Version`] where it is not kept.
    pub fn at(&self, version: u64) -> Result<Overlay<'_>, StateError> {
        let old = self.replaced_since(self.index_of(version)?);
        let owned =
            |(key, value): (&[u8], Option<&[u8]>)| (key.to_vec(), value.map(<[u8]>::to_vec));
        Ok(Overlay::over(self, old.into_iter().map(owned).collect()))
    }

    /// A kept version, to be read on another thread while this one goes on.
    ///
    /// # Errors
    /// [`StateError::Version`] where it is not kept.
    pub fn reader(&self, version: u64) -> Result<StateReader, StateError> {
        let index = self.index_of(version)?;
        let root = self.kept.get(index).map_or(Subtree::EMPTY, |kept| kept.root).hash;
        let owned =
            |(key, value): (&[u8], Option<&[u8]>)| (key.to_vec(), value.map(<[u8]>::to_vec));
        let old = self.replaced_since(index).into_iter().map(owned).collect();
        Ok(StateReader::new(Head { version, root }, self.store.view()?, old))
    }

    /// What those keys held in a kept version that have changed since.
    fn replaced_since(&self, index: usize) -> BTreeMap<&[u8], Option<&[u8]>> {
        let mut old: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for step in self.steps.range(index..) {
            for (key, value) in &step.replaced {
                old.entry(key).or_insert(value.as_deref());
            }
        }
        old
    }

    /// Calls `each` with every entry of a kept version; those that changed since come last.
    pub fn for_each_at(
        &self,
        version: u64,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), StateError> {
        let old = self.replaced_since(self.index_of(version)?);
        self.store.scan(&[], None, &mut |key, value| {
            if !old.contains_key(key) {
                each(key, value);
            }
            true
        })?;
        for (key, value) in old {
            if let Some(value) = value {
                each(key, value);
            }
        }
        Ok(())
    }
}

fn hashed(changes: &Changes) -> Vec<Change> {
    let change = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| Change {
        key: key_hash(key),
        value: value.as_deref().map(value_hash),
    };
    let mut hashed: Vec<Change> = changes.iter().map(change).collect();
    hashed.sort_unstable_by_key(|change| change.key);
    hashed
}

impl View for State {
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.store.get(key)
    }

    fn scan_bytes(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.store.scan(from, until, each)
    }
}
