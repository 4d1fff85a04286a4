//! Small records of the storage role that survive power cuts: which leases it consented to, and which
//! secrets repairers were entrusted with.
//!
//! ```text
//! consents/HASH.OWNER.consent   "CLCONS\x01\0" · borsh of Consent · CRC-32 of everything before u32
//! secrets/PACK.OWNER.secret     "CLSECR\x01\0" · pack 36 · owner 32 · secret 32 · CRC-32 u32
//! ```
//!
//! Each is a file that is written whole or not at all. HASH is that of the fragments, as the ledger's
//! lease has it. Only the file's owner may read a secret.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{List, decode, encode};
use chronolith_chain::hash::{Domain, Hash};
use chronolith_chain::ledger::{AssignedFragment, Fragment};
use chronolith_disk::Disk;
use chronolith_fragment::MaskSecret;
use zeroize::Zeroizing;

use super::error::{DiskContext as _, RecordDamage, StoreError};
use super::lock;

/// The most records of a kind.
pub const RECORDS_MAX: usize = 1 << 20;
/// The longest file of a record: bytes. The consent to a lease of 256 fragments has less than 20 kB.
const FILE_BYTES_MAX: u64 = 32 << 10;
const MAGIC_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
const NEW: &str = ".new";

/// A lease that was consented to.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Consent {
    /// Who pays.
    pub owner: Address,
    /// Its fragments, in their order, as the tree over the lease has them: an audit is answered with
    /// them, without reading what it does not ask for.
    pub fragments: List<AssignedFragment, 256>,
    /// The last height at which the consent counts.
    pub valid_until: u64,
}

impl Consent {
    /// The hash of the fragments, by which the ledger's lease names them.
    #[must_use]
    pub fn fragments_hash(&self) -> Hash {
        let fragments = self.fragments.iter().map(|assigned| assigned.fragment);
        // A list of these has the encoding that the ledger hashes.
        Domain::LeaseEntries.hash_of(&fragments.collect::<Vec<Fragment>>())
    }
}

/// The records. Every method may be called from several threads; what returned is durable.
pub struct Records {
    disk: Arc<dyn Disk>,
    consents: Folder<Hash>,
    secrets: Folder<ContentId>,
}

/// What is told of the records that were there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FoundRecords {
    pub(super) unfinished: u64,
    pub(super) foreign: u64,
}

impl Records {
    /// The folders that must be there.
    pub(super) const FOLDERS: [&'static str; 2] = ["consents", "secrets"];

    pub(super) fn open(disk: Arc<dyn Disk>) -> Result<(Self, FoundRecords), StoreError> {
        let [consents, secrets] = Self::FOLDERS;
        let mut found = FoundRecords::default();
        let consents = Folder::open(&*disk, consents, ".consent", *b"CLCONS\x01\0", &mut found)?;
        let mut secrets = Folder::open(&*disk, secrets, ".secret", *b"CLSECR\x01\0", &mut found)?;
        secrets.is_private = true;
        Ok((Self { disk, consents, secrets }, found))
    }

    /// Keeps a consent; one to the same fragments for the same owner is replaced.
    ///
    /// # Errors
    /// A disk that fails, or more consents than [`RECORDS_MAX`].
    pub fn put_consent(&self, consent: &Consent) -> Result<(), StoreError> {
        let key = (consent.fragments_hash(), consent.owner);
        self.consents.put(&*self.disk, key, &encode(consent))
    }

    /// The consent to fragments of an owner, which a lease names by their hash.
    ///
    /// # Errors
    /// A disk that fails, or a record that is damaged.
    pub fn consent(&self, owner: Address, fragments: Hash) -> Result<Option<Consent>, StoreError> {
        self.consents.get(&*self.disk, (fragments, owner), |bytes| {
            let consent: Consent = decode("a consent", bytes, FILE_BYTES_MAX as usize)?;
            let key = (consent.fragments_hash(), consent.owner);
            if key == (fragments, owner) { Ok(consent) } else { Err(RecordDamage::Other) }
        })
    }

    /// The owners of all consents, and the hashes of their fragments.
    #[must_use]
    pub fn consents(&self) -> Vec<(Address, Hash)> {
        self.consents.keys().into_iter().map(|(hash, owner)| (owner, hash)).collect()
    }

    /// Removes a consent, a damaged one as well; whether there was one.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn remove_consent(&self, owner: Address, fragments: Hash) -> Result<bool, StoreError> {
        self.consents.remove(&*self.disk, (fragments, owner))
    }

    /// Keeps the secret that a pack is masked by; one for the same pack and owner is replaced. Whether
    /// it is the one that the pack's header commits to is for the caller to have checked.
    ///
    /// # Errors
    /// A disk that fails, or more secrets than [`RECORDS_MAX`].
    pub fn put_secret(
        &self,
        owner: Address,
        pack: ContentId,
        secret: &MaskSecret,
    ) -> Result<(), StoreError> {
        let mut content = Zeroizing::new(Vec::with_capacity(36 + 32 + 32));
        content.extend_from_slice(pack.as_bytes());
        content.extend_from_slice(&owner.0);
        content.extend_from_slice(secret.as_bytes());
        self.secrets.put(&*self.disk, (pack, owner), &content)
    }

    /// The secret of a pack of an owner.
    ///
    /// # Errors
    /// A disk that fails, or a record that is damaged.
    pub fn secret(
        &self,
        owner: Address,
        pack: ContentId,
    ) -> Result<Option<MaskSecret>, StoreError> {
        self.secrets.get(&*self.disk, (pack, owner), |bytes| {
            let (named, secret) = bytes.split_at_checked(36 + 32).ok_or(RecordDamage::Other)?;
            let secret = <&[u8; 32]>::try_from(secret).map_err(|_| RecordDamage::Other)?;
            if named != [&pack.as_bytes()[..], &owner.0].concat() {
                return Err(RecordDamage::Other);
            }
            Ok(MaskSecret::new(*secret))
        })
    }

    /// The owners and packs of all secrets.
    #[must_use]
    pub fn secrets(&self) -> Vec<(Address, ContentId)> {
        self.secrets.keys().into_iter().map(|(pack, owner)| (owner, pack)).collect()
    }

    /// Removes a secret, a damaged one as well; whether there was one.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn remove_secret(&self, owner: Address, pack: ContentId) -> Result<bool, StoreError> {
        self.secrets.remove(&*self.disk, (pack, owner))
    }
}

/// What a record is named by, beside its owner.
trait Key: Copy + Ord {
    fn text(&self) -> String;
    fn parse(text: &str) -> Option<Self>;
}

impl Key for ContentId {
    fn text(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Key for Hash {
    fn text(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut digits = text.as_bytes().chunks(2);
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let pair = std::str::from_utf8(digits.next()?).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// A folder of records of one kind.
struct Folder<K> {
    path: &'static str,
    suffix: &'static str,
    magic: [u8; MAGIC_BYTES],
    is_private: bool,
    /// What is there. Held while something is written or removed, so that one does after the other.
    keys: Mutex<BTreeSet<(K, Address)>>,
}

impl<K: Key> Folder<K> {
    /// Finds what is there by its names, and removes what is half-written.
    fn open(
        disk: &dyn Disk,
        path: &'static str,
        suffix: &'static str,
        magic: [u8; MAGIC_BYTES],
        found: &mut FoundRecords,
    ) -> Result<Self, StoreError> {
        let mut folder =
            Self { path, suffix, magic, is_private: false, keys: Mutex::new(BTreeSet::new()) };
        let mut keys = BTreeSet::new();
        for listed in disk.list(path).at(disk, "list", path)? {
            if let Some(key) = folder.parse(&listed) {
                keys.insert(key);
            } else if listed.strip_suffix(NEW).is_some_and(|name| folder.parse(name).is_some()) {
                let new = format!("{path}/{listed}");
                disk.remove(&new).at(disk, "remove", &new)?;
                found.unfinished += 1;
            } else {
                found.foreign += 1;
            }
        }
        disk.sync_dir(path).at(disk, "sync", path)?;
        folder.keys = Mutex::new(keys);
        Ok(folder)
    }

    fn parse(&self, listed: &str) -> Option<(K, Address)> {
        let (key, owner) = listed.strip_suffix(self.suffix)?.split_once('.')?;
        let named = (K::parse(key)?, owner.parse().ok()?);
        (self.name(&named) == listed).then_some(named)
    }

    fn name(&self, (key, owner): &(K, Address)) -> String {
        format!("{}.{owner}{}", key.text(), self.suffix)
    }

    fn file(&self, key: &(K, Address)) -> String {
        format!("{}/{}", self.path, self.name(key))
    }

    fn keys(&self) -> Vec<(K, Address)> {
        lock(&self.keys).iter().copied().collect()
    }

    fn put(&self, disk: &dyn Disk, key: (K, Address), content: &[u8]) -> Result<(), StoreError> {
        let mut keys = lock(&self.keys);
        if keys.len() >= RECORDS_MAX && !keys.contains(&key) {
            let place = disk.describe(self.path);
            return Err(StoreError::TooManyRecords { place, most: RECORDS_MAX });
        }
        let size = MAGIC_BYTES + content.len() + CHECKSUM_BYTES;
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(content);
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let path = self.file(&key);
        let new = format!("{path}{NEW}");
        let renamed = self.write(disk, &new, &bytes).and_then(|()| disk.rename(&new, &path));
        if renamed.is_err() {
            // What cannot be removed now is removed by the next opening.
            let _ = disk.remove(&new);
        } else {
            keys.insert(key);
        }
        renamed.and_then(|()| disk.sync_dir(self.path)).at(disk, "write", &path)
    }

    fn write(&self, disk: &dyn Disk, new: &str, bytes: &[u8]) -> io::Result<()> {
        // One that is left over may be readable by others.
        if disk.exists(new)? {
            disk.remove(new)?;
        }
        let file = if self.is_private { disk.open_private(new) } else { disk.open(new) }?;
        file.append(bytes)?;
        file.sync()
    }

    fn get<T>(
        &self,
        disk: &dyn Disk,
        key: (K, Address),
        take: impl FnOnce(&[u8]) -> Result<T, RecordDamage>,
    ) -> Result<Option<T>, StoreError> {
        let keys = lock(&self.keys);
        if !keys.contains(&key) {
            return Ok(None);
        }
        let path = self.file(&key);
        let damaged = |kind| StoreError::Record { place: disk.describe(&path), kind };
        let file = match disk.open_read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.at(disk, "open", &path)?,
        };
        let size = file.len().at(disk, "measure", &path)?;
        if size > FILE_BYTES_MAX {
            return Err(damaged(RecordDamage::Checksum));
        }
        let mut bytes = Zeroizing::new(vec![0; size as usize]);
        file.read_at(0, &mut bytes).at(disk, "read", &path)?;
        let content = self.content(&bytes).ok_or(RecordDamage::Checksum);
        content.and_then(take).map(Some).map_err(damaged)
    }

    /// What stands between magic and checksum, where both hold.
    fn content<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (front, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
        let holds = crc32fast::hash(front) == u32::from_le_bytes(*checksum);
        front.strip_prefix(&self.magic).filter(|_| holds)
    }

    fn remove(&self, disk: &dyn Disk, key: (K, Address)) -> Result<bool, StoreError> {
        let mut keys = lock(&self.keys);
        if !keys.contains(&key) {
            return Ok(false);
        }
        let path = self.file(&key);
        match disk.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.at(disk, "remove", &path)?,
        }
        // Until this succeeds it can be asked for again.
        disk.sync_dir(self.path).at(disk, "sync", self.path)?;
        keys.remove(&key);
        Ok(true)
    }
}
