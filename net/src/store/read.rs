//! Reading fragments. Nothing leaves that was not checked against its pack's header.

use std::ops::Range;

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{AssignedFragment, Fragment};
use chronolith_fragment::{BLOCK_BYTES, FragmentFault, FragmentTree, Shown};
use chronolith_merkle::{Proof, proof_len};

use super::error::{Damage, DamageKind, DiskContext as _, StoreError};
use super::file::{self, Unchecked};
use super::name::{DAMAGED, Name, shard};
use super::{ASIDE_BYTES_MAX, ASIDE_FILES_MAX, DAMAGES_MAX, FragmentStore, lock};

/// Why a file gives nothing.
enum Unreadable {
    Disk(StoreError),
    Damaged(DamageKind),
}

impl From<DamageKind> for Unreadable {
    fn from(kind: DamageKind) -> Self {
        Self::Damaged(kind)
    }
}

/// Blocks with their way, checked, and the tree they are of. That they lead to the root over all
/// fragments shows the whole fragment right, since the tree is over all of it.
fn show(found: &Unchecked, rows: Range<u32>) -> Result<(Shown, FragmentTree), DamageKind> {
    let (stored, header) = (&found.stored, &found.header);
    let tree = found.tree();
    let shown = Shown::of(header.shape, &stored.fragment, &tree, rows.clone())?;
    let (shape, root) = (header.shape, &header.fragments_root);
    Shown::check(shape, root, stored.fragment.index, &rows, &shown.to_bytes())?;
    Ok((shown, tree))
}

impl FragmentStore {
    /// The header of a pack of which a fragment is kept, as it is encoded. Reads about a kilobyte.
    ///
    /// # Errors
    /// A disk that fails, or a damaged file, which is moved aside.
    pub fn header(&self, pack: ContentId) -> Result<Option<Vec<u8>>, StoreError> {
        let first = self.index().of_pack(pack).next();
        let Some(first) = first else { return Ok(None) };
        if let Ok(Some(header)) = self.read_head(&Name::Fragment(first.fragment, first.bytes)) {
            return Ok(Some(header));
        }
        // Removed meanwhile, damaged, or an error of the disk that comes again.
        for index in self.held(pack) {
            let header = |found: Unchecked, _| Ok(found.header.to_bytes());
            match self.with_file(Fragment { pack, index }, header) {
                Err(StoreError::Damaged(_)) | Ok(None) => {}
                other => return other,
            }
        }
        Ok(None)
    }

    fn read_head(&self, name: &Name) -> std::io::Result<Option<Vec<u8>>> {
        let file = self.disk.open_read(&name.path())?;
        let size = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; size.min(file::HEAD_BYTES_MAX)];
        file.read_at(0, &mut bytes)?;
        let header = file::read_header(&name.fragment().pack, &bytes);
        Ok(header.ok().map(|(_, bytes)| bytes.to_vec()))
    }

    /// Which fragments of a pack are kept: rising indices, without reading anything.
    #[must_use]
    pub fn held(&self, pack: ContentId) -> Vec<u8> {
        let mut held: Vec<u8> =
            self.index().of_pack(pack).map(|kept| kept.fragment.index).collect();
        held.dedup();
        held
    }

    /// A fragment as [`StoredFragment`](crate::stored::StoredFragment) is written. All of it is read
    /// and hashed.
    ///
    /// # Errors
    /// A disk that fails, or [`StoreError::Damaged`] where the fragment was moved aside just now.
    pub fn fragment(&self, pack: ContentId, index: u8) -> Result<Option<Vec<u8>>, StoreError> {
        self.with_file(Fragment { pack, index }, |found, mut bytes| {
            let start = found.check()?;
            bytes.drain(..start);
            Ok(bytes)
        })
    }

    /// Neighbouring blocks of a fragment as [`Shown`] encodes them. All of the fragment is read and
    /// hashed.
    ///
    /// # Errors
    /// As [`FragmentStore::fragment`]; [`StoreError::Rows`] for blocks that it does not have.
    pub fn blocks(
        &self,
        pack: ContentId,
        index: u8,
        first: u32,
        count: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let shown = self.shown(pack, index, first, count, |shown, _| shown.to_bytes())?;
        Ok(shown.map(|(bytes, _)| bytes))
    }

    /// A block for an answer to an audit, and its way to the root of the fragment. All of the
    /// fragment is read and hashed.
    ///
    /// # Errors
    /// As [`FragmentStore::blocks`].
    pub fn sample(
        &self,
        pack: ContentId,
        index: u8,
        row: u32,
    ) -> Result<Option<([u8; BLOCK_BYTES], Proof)>, StoreError> {
        let shown = self.shown(pack, index, row, 1, |shown, _| shown)?;
        let Some((shown, blocks)) = shown else { return Ok(None) };
        let count = proof_len(&[row as usize], blocks as usize);
        let hashes = shown.hashes().take(count).copied().collect();
        let block = shown.blocks().first_chunk().copied();
        Ok(block.map(|block| (block, Proof { hashes })))
    }

    /// A fragment as the sum tree over a lease has it: with the root of its tree, and how many blocks
    /// it has. All of the fragment is read and hashed.
    ///
    /// # Errors
    /// As [`FragmentStore::fragment`].
    pub fn assigned(
        &self,
        pack: ContentId,
        index: u8,
    ) -> Result<Option<AssignedFragment>, StoreError> {
        let root = self.shown(pack, index, 0, 1, |_, tree| Hash(tree.root()))?;
        let fragment = Fragment { pack, index };
        Ok(root.map(|(root, blocks)| AssignedFragment { fragment, root, blocks }))
    }

    /// What is made of blocks of a fragment and its tree; and how many blocks it has.
    fn shown<T>(
        &self,
        pack: ContentId,
        index: u8,
        first: u32,
        count: u32,
        make: impl Fn(Shown, &FragmentTree) -> T,
    ) -> Result<Option<(T, u32)>, StoreError> {
        let fragment = Fragment { pack, index };
        let end = first.saturating_add(count);
        let shown = self.with_file(fragment, |found, _| {
            let blocks = found.header.shape.blocks();
            if count == 0 || end > blocks {
                return Ok(Err(FragmentFault::Rows { first, end, blocks }));
            }
            let (shown, tree) = show(&found, first..end)?;
            Ok(Ok((make(shown, &tree), blocks)))
        })?;
        shown.transpose().map_err(|fault| StoreError::Rows { fragment, fault })
    }

    /// Whether a fragment is there in every byte; for who holds its lock.
    pub(super) fn is_whole(&self, fragment: Fragment) -> bool {
        let bytes = self.index().bytes(fragment);
        bytes.is_some_and(|bytes| self.load(fragment, bytes, &|found, _| found.check()).is_ok())
    }

    /// Makes something of a file. Where that finds damage, the file is moved aside.
    pub(super) fn with_file<T>(
        &self,
        fragment: Fragment,
        make: impl Fn(Unchecked, Vec<u8>) -> Result<T, DamageKind>,
    ) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.index().bytes(fragment) else { return Ok(None) };
        match self.load(fragment, bytes, &make) {
            Ok(made) => return Ok(Some(made)),
            Err(Unreadable::Disk(error)) => return Err(error),
            Err(Unreadable::Damaged(_)) => {}
        }
        // It may have been removed or written meanwhile: once more, while nobody can.
        let _writing = self.writing(&fragment.pack);
        let Some(bytes) = self.index().bytes(fragment) else { return Ok(None) };
        match self.load(fragment, bytes, &make) {
            Ok(made) => Ok(Some(made)),
            Err(Unreadable::Disk(error)) => Err(error),
            Err(Unreadable::Damaged(kind)) => {
                Err(StoreError::Damaged(Box::new(self.set_aside(fragment, bytes, kind))))
            }
        }
    }

    fn load<T>(
        &self,
        fragment: Fragment,
        bytes: u32,
        make: &impl Fn(Unchecked, Vec<u8>) -> Result<T, DamageKind>,
    ) -> Result<T, Unreadable> {
        let (disk, path) = (&*self.disk, Name::Fragment(fragment, bytes).path());
        let file = match disk.open_read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(DamageKind::Gone.into());
            }
            opened => opened.at(disk, "open", &path).map_err(Unreadable::Disk)?,
        };
        let (expected, found) =
            (u64::from(bytes), file.len().at(disk, "measure", &path).map_err(Unreadable::Disk)?);
        if expected != found {
            return Err(DamageKind::Length { expected, found }.into());
        }
        // The name was read by a bound on its length.
        let mut content = vec![0; bytes as usize];
        file.read_at(0, &mut content).at(disk, "read", &path).map_err(Unreadable::Disk)?;
        let unchecked = Unchecked::read(&fragment, &content)?;
        Ok(make(unchecked, content)?)
    }

    /// Moves a damaged file aside, and forgets it; for who holds its lock. What fails here is found
    /// again by the next opening.
    fn set_aside(&self, fragment: Fragment, bytes: u32, kind: DamageKind) -> Damage {
        let name = Name::Fragment(fragment, bytes);
        let owners: Vec<_> = self.index().owners(fragment).collect();
        if kind != DamageKind::Gone {
            self.move_aside(&name);
        }
        for kept in &owners {
            let _ = self.remove_file(&Name::Owner(fragment, kept.owner, kept.height));
            self.index_mut().remove(fragment, kept.owner);
        }
        let _ = self.sync_folder(shard(&fragment.pack));
        let owners = owners.into_iter().map(|kept| (kept.owner, kept.height)).collect();
        let damage = Damage { fragment, owners, kind };
        let mut damages = lock(&self.damages);
        damages.total += 1;
        if damages.waiting.len() >= DAMAGES_MAX {
            damages.waiting.pop_front();
        }
        damages.waiting.push_back(damage.clone());
        damage
    }

    /// Moves a file to the damaged ones; removes it where those are many.
    fn move_aside(&self, name: &Name) {
        let mut aside = lock(&self.aside);
        let (from, to) = (name.path(), format!("{DAMAGED}/{name}"));
        let bytes = self.disk.len(&from).unwrap_or_default();
        let is_room = aside.files < ASIDE_FILES_MAX
            && aside.bytes.saturating_add(bytes) <= ASIDE_BYTES_MAX
            && !self.disk.exists(&to).unwrap_or(true);
        if is_room && self.disk.rename(&from, &to).is_ok() {
            aside.files += 1;
            aside.bytes = aside.bytes.saturating_add(bytes);
            let _ = self.disk.sync_dir(DAMAGED);
        } else {
            let _ = self.disk.remove(&from);
        }
    }
}
