//! The keys that chunks are sealed under and opened with, and those that files are encrypted with.
//!
//! Invariant: a tree is in the keystore's file before a chunk is sealed under it, so that no power cut
//! leaves a chunk whose key nobody has.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chronolith_keys::{
    BodyKey, ChunkSlot, Encryption, KeyTree, Keystore, KeystoreError, KeystoreFile,
    KeystoreFileError, MetricId, MetricIdentity, NotHeld, Secret, TreeFrom, TreeId,
};
use parking_lot::{Mutex, RwLock};
use rand_core::{TryCryptoRng, TryRng};
use zeroize::{Zeroize, Zeroizing};

use crate::model::{Definition, Window};

/// Why a key is not at hand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The database was opened without keys.
    #[error(
        "{place}: the chunk of window {window} is encrypted under the key tree {tree}, and the database \
         was opened without keys; open it with a keystore that has this tree"
    )]
    NotGiven {
        /// The segment and the byte in it.
        place: String,
        /// The key tree.
        tree: TreeId,
        /// The window.
        window: Window,
    },
    /// The keystore has no key of the window.
    #[error(
        "{place}: the chunk of window {window} is encrypted under the key tree {tree}, and the keystore \
         has no such key of that window: it was destroyed, or never bought"
    )]
    NotHeld {
        /// The segment and the byte in it.
        place: String,
        /// The key tree.
        tree: TreeId,
        /// The window.
        window: Window,
    },
    /// Chunks are there that were sealed under keys, and new ones would not be.
    #[error(
        "the database has chunks that are encrypted, and was opened without keys: open it with its \
         keystore, so that nothing is sealed in the clear by mistake"
    )]
    WouldBeClear,
    /// The key that files are encrypted with is gone.
    #[error(
        "the keystore's key at rest was destroyed: what it encrypted is lost; take another keystore for a \
         new database"
    )]
    AtRest,
    /// The keystore cannot be changed.
    #[error(transparent)]
    Keystore(#[from] KeystoreFileError),
    /// The keystore was read, and not opened to be changed.
    #[error(
        "the keystore was opened for reading only, and this would change it: open the database for writing"
    )]
    ReadOnly,
    /// There are no such keys any more.
    #[error("the keys of window {window} were destroyed: nobody can be given them")]
    Destroyed {
        /// The first such window.
        window: Window,
    },
    /// There is no randomness for new keys.
    #[error("cannot get random bytes for new keys: {0}")]
    Random(std::io::Error),
}

impl KeyError {
    /// Whether there are keys, but not this one.
    pub(crate) const fn is_not_held(&self) -> bool {
        matches!(self, Self::NotHeld { .. })
    }

    /// Whether it is the key of a chunk that is missing.
    pub(crate) const fn is_of_chunk(&self) -> bool {
        matches!(self, Self::NotGiven { .. } | Self::NotHeld { .. })
    }
}

/// The key trees of a keystore, to seal and open chunks with. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct ChunkKeys {
    shared: Arc<Shared>,
}

struct Shared {
    /// None where the keystore is only read.
    file: Option<Mutex<KeystoreFile>>,
    /// What is in the file, so that no reader waits for the disk.
    keystore: RwLock<Arc<Keystore>>,
    accounts: Accounts,
}

/// Who a device is on the ledger. The ids of key trees are made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceAccount {
    /// The device's key.
    pub key: [u8; 32],
    /// How many owners it had before, which is the number of the ledger's key tree.
    pub era: u32,
}

/// The account of each device, by its name.
type Accounts = Box<dyn Fn(&str) -> DeviceAccount + Send + Sync>;

impl ChunkKeys {
    /// The keys in a file. `accounts` says of each device's name who it is on the ledger.
    #[must_use]
    pub fn new(
        file: KeystoreFile,
        accounts: impl Fn(&str) -> DeviceAccount + Send + Sync + 'static,
    ) -> Self {
        let keystore = RwLock::new(Arc::new(file.keystore().clone()));
        let (file, accounts) = (Some(Mutex::new(file)), Box::new(accounts));
        Self { shared: Arc::new(Shared { file, keystore, accounts }) }
    }

    /// Keys to read with, which are never changed; their file may be open elsewhere. `accounts` as in
    /// [`ChunkKeys::new`].
    #[must_use]
    pub fn read_only(
        keystore: Keystore,
        accounts: impl Fn(&str) -> DeviceAccount + Send + Sync + 'static,
    ) -> Self {
        let accounts = Box::new(accounts);
        let keystore = RwLock::new(Arc::new(keystore));
        Self { shared: Arc::new(Shared { file: None, keystore, accounts }) }
    }

    /// Whether the keys are only read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.shared.file.is_none()
    }

    /// Who a device is on the ledger.
    #[must_use]
    pub fn account(&self, device: &str) -> DeviceAccount {
        (self.shared.accounts)(device)
    }

    /// What is in the keystore now. It is kept as long as somebody holds it, also what was destroyed
    /// since: let go of it soon.
    #[must_use]
    pub fn keystore(&self) -> Arc<Keystore> {
        Arc::clone(&self.shared.keystore.read())
    }

    /// Changes the keystore and writes its file.
    ///
    /// # Errors
    /// Where the change is refused, the disk fails or there is no randomness.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Keystore) -> Result<T, KeystoreError>,
    ) -> Result<T, KeyError> {
        self.change_with(|keystore, _| change(keystore))
    }

    fn change_with<T>(
        &self,
        change: impl FnOnce(&mut Keystore, &mut KeyRandom) -> Result<T, KeystoreError>,
    ) -> Result<T, KeyError> {
        let (mut for_file, mut for_keys) = (KeyRandom::new()?, KeyRandom::new()?);
        let mut file = self.shared.file.as_ref().ok_or(KeyError::ReadOnly)?.lock();
        let done = file.change(&mut for_file, |keystore| change(keystore, &mut for_keys))?;
        *self.shared.keystore.write() = Arc::new(file.keystore().clone());
        Ok(done)
    }

    /// What a metric's trees are found by in the keystore, as long as its definition is this one.
    #[must_use]
    pub fn metric_id(&self, definition: &Definition) -> MetricId {
        let id = self.open_id(definition);
        if definition.level.hides_metric() { id.hidden() } else { id }
    }

    fn open_id(&self, definition: &Definition) -> MetricId {
        let DeviceAccount { key, era } = self.account(definition.metric.device());
        MetricId::of(&key, era, definition.window_ns, &identity(definition))
    }

    /// The tree that a window of a metric is sealed under, where there is one that has its key.
    fn known_tree(&self, definition: &Definition, window: Window) -> Found {
        let (keystore, metric) = (self.keystore(), self.metric_id(definition));
        let mut before = 0;
        for times in 0..u32::MAX {
            let trees = keystore.trees_of(&metric.again(times));
            if trees.is_empty() {
                return Found::Begin { times, rotation: before };
            }
            before += u32::try_from(trees.len()).unwrap_or(u32::MAX);
            let tree = keystore.tree_at(&metric.again(times), window);
            let holds = |tree: &TreeId| keystore.tree(tree).is_some_and(|tree| tree.holds(window));
            if let Some(tree) = tree.filter(holds) {
                return Found::Tree(tree);
            }
        }
        // Nobody gets here: so many trees are more than a keystore takes.
        Found::Begin { times: u32::MAX, rotation: before }
    }

    /// The tree that a window of a metric is sealed under; begins one where there is none.
    pub(crate) fn tree(&self, definition: &Definition, window: Window) -> Result<TreeId, KeyError> {
        loop {
            match self.known_tree(definition, window) {
                Found::Tree(tree) => return Ok(tree),
                Found::Begin { .. } => self.begin(&[(definition, window)])?,
            }
        }
    }

    /// The ids of all trees that a metric has or had; one is begun where there is none yet.
    ///
    /// # Errors
    /// Where the keystore cannot be changed.
    pub fn trees(&self, definition: &Definition) -> Result<Vec<TreeId>, KeyError> {
        let metric = self.metric_id(definition);
        if self.keystore().trees_of(&metric).is_empty() {
            self.begin(&[(definition, 0)])?;
        }
        let keystore = self.keystore();
        let all = (0..u32::MAX).map(|times| keystore.trees_of(&metric.again(times)));
        let there = all.take_while(|trees| !trees.is_empty());
        Ok(there.flat_map(|trees| trees.iter().map(|tree| tree.tree)).collect())
    }

    /// The keys of a range of a metric's windows that are still held, from each tree its own: what a
    /// [`chronolith_keys::Grant`] is made of. A tree is begun where there is none yet.
    ///
    /// # Errors
    /// Where there is no key of any of these windows any more, or the keystore cannot be changed.
    pub fn cover(
        &self,
        definition: &Definition,
        windows: RangeInclusive<Window>,
    ) -> Result<Vec<KeyTree>, KeyError> {
        let (metric, start) = (self.metric_id(definition), *windows.start());
        if self.keystore().trees_of(&metric).is_empty() {
            self.begin(&[(definition, start)])?;
        }
        let keystore = self.keystore();
        let mut parts = Vec::new();
        for times in 0..u32::MAX {
            let trees = keystore.trees_of(&metric.again(times));
            if trees.is_empty() {
                break;
            }
            for (at, TreeFrom { from, tree }) in trees.iter().enumerate() {
                let next = trees.get(at + 1).map_or(i64::MAX, |next| next.from.saturating_sub(1));
                let (first, last) = (*windows.start().max(from), *windows.end().min(&next));
                let Some(tree) = keystore.tree(tree).filter(|_| first <= last) else { continue };
                for held in tree.windows() {
                    let (first, last) = (first.max(*held.start()), last.min(*held.end()));
                    if first <= last {
                        let part = tree.cover(first..=last);
                        parts.push(part.map_err(|NotHeld { window, .. }| Self::destroyed(window))?);
                    }
                }
            }
        }
        if parts.is_empty() { Err(Self::destroyed(start)) } else { Ok(parts) }
    }

    const fn destroyed(window: Window) -> KeyError {
        KeyError::Destroyed { window }
    }

    /// Begins the trees that some windows need, in one change of the file.
    pub(crate) fn begin(&self, windows: &[(&Definition, Window)]) -> Result<(), KeyError> {
        let mut wanted = Vec::new();
        let mut known = HashSet::new();
        for (definition, window) in windows {
            if let Found::Begin { times, rotation } = self.known_tree(definition, *window) {
                let metric = self.metric_id(definition).again(times);
                if known.insert(metric) {
                    wanted.push((metric, *definition, rotation));
                }
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.change_with(|keystore, random| {
            for (metric, definition, rotation) in wanted {
                // Somebody else may have begun it since.
                if keystore.trees_of(&metric).is_empty() {
                    let id = if definition.level.hides_metric() {
                        TreeId(*Secret::generate(random).bytes())
                    } else {
                        let DeviceAccount { key, era } = self.account(definition.metric.device());
                        let (window_ns, metric) = (definition.window_ns, &identity(definition));
                        TreeId::named(&key, era, rotation, window_ns, metric)
                    };
                    keystore.begin(metric, id, Secret::generate(random))?;
                }
            }
            Ok(())
        })
    }

    /// Destroys the keys of some windows, in all trees that the metric ever had.
    pub(crate) fn destroy(
        &self,
        windows: &[(Arc<Definition>, RangeInclusive<Window>)],
    ) -> Result<(), KeyError> {
        let keystore = self.keystore();
        let mut wanted = Vec::new();
        for (definition, windows) in windows {
            let open = self.open_id(definition);
            for metric in [open, open.hidden()] {
                let all = (0..u32::MAX).map(|times| metric.again(times));
                let with_trees = all.take_while(|metric| !keystore.trees_of(metric).is_empty());
                wanted.extend(with_trees.map(|metric| (metric, windows.clone())));
            }
        }
        drop(keystore);
        if wanted.is_empty() {
            return Ok(());
        }
        self.change(|keystore| {
            wanted.into_iter().try_for_each(|(metric, windows)| keystore.destroy(&metric, windows))
        })
    }

    /// The key of a body that is sealed now.
    pub(crate) fn sealing_key(&self, tree: &TreeId, slot: ChunkSlot) -> Option<BodyKey> {
        self.keystore().tree(tree)?.body_key(slot)
    }

    /// The key of a body by what its header says.
    pub(crate) fn opening_key(&self, chunk: &Encryption, slot: ChunkSlot) -> Option<BodyKey> {
        self.keystore().body_key(chunk, slot)
    }

    /// Whether there ever was a key at rest.
    pub(crate) fn has_begun_at_rest(&self) -> bool {
        !self.keystore().trees_of(&MetricId::at_rest()).is_empty()
    }

    /// Begins the keys at rest, where the keystore has none.
    pub(crate) fn begin_at_rest(&self) -> Result<(), KeyError> {
        if self.has_begun_at_rest() {
            return Ok(());
        }
        self.change_with(|keystore, random| {
            let id = TreeId(*Secret::generate(random).bytes());
            keystore.begin_at_rest(id, Secret::generate(random))
        })
    }
}

impl std::fmt::Debug for ChunkKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ChunkKeys");
        shown.field("keystore", &self.keystore()).finish_non_exhaustive()
    }
}

/// Where a window's tree is.
enum Found {
    Tree(TreeId),
    /// It is to be begun: how often the metric was begun before, and with how many trees.
    Begin {
        times: u32,
        rotation: u32,
    },
}

fn identity(definition: &Definition) -> MetricIdentity<'_> {
    let metric = &definition.metric;
    let tags = metric.tags().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    MetricIdentity { device: metric.device(), name: metric.name(), tags }
}

/// Randomness for keys, from a seed of the operating system, so that only taking the seed can fail: BLAKE3's
/// extended output under a key, which is a stream of the kind that keys may be made of.
pub struct KeyRandom(blake3::OutputReader);

impl KeyRandom {
    /// Takes a seed.
    ///
    /// # Errors
    /// Where the operating system gives none.
    pub fn new() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        let filled = getrandom::fill(seed.as_mut_slice());
        filled.map_err(|error| KeyError::Random(std::io::Error::other(error)))?;
        Ok(Self(blake3::Hasher::new_keyed(&seed).finalize_xof()))
    }
}

impl Drop for KeyRandom {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl TryRng for KeyRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for KeyRandom {}
