//! What peers announced that they have, kept between runs.
//!
//! The store in memory that Kademlia brings ends at 1,024 keys and forgets all when the process
//! ends. This one is bounded by [`MOST_KEYS`] and [`MOST_OF_ONE_PEER`], and writes what it learns to
//! a log, so that a node that restarts answers at once. Announcements are hints: losing some after a
//! crash costs a lookup, so nothing waits for the disk. Values are not kept at all.
//!
//! ```text
//! file     "CHRPROV1" · record*
//! record   length u32 · CRC-32 of the rest u32 · borsh of Announcement
//! ```

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::encoding::{Bytes, List, decode, encode};
use chronolith_disk::{Disk, DiskFile};
use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use libp2p::{Multiaddr, PeerId};

const MAGIC: &[u8; 8] = b"CHRPROV1";
const PATH: &str = "providers.log";
const NEW_PATH: &str = "providers.new";

/// The most keys of others that are kept.
pub(super) const MOST_KEYS: usize = 1 << 20;
/// The most keys that one other peer may announce here.
pub(super) const MOST_OF_ONE_PEER: usize = 1 << 16;
/// The most providers of one key, as many as Kademlia replicates to.
const MOST_PROVIDERS: usize = 20;
/// The most addresses of a provider, and the longest.
const MOST_ADDRESSES: usize = 8;
const ADDRESS_BYTES: usize = 128;
/// Keys are multihashes of content ids.
const KEY_BYTES: usize = 64;
const RECORD_BYTES: usize = 2 + KEY_BYTES + 64 + MOST_ADDRESSES * (2 + ADDRESS_BYTES) + 64;
/// The log is written anew when it holds more than twice what is live, and at least so much.
const REWRITE_BYTES: u64 = 1 << 20;
/// Ended announcements are looked for at most so often.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);
/// How long an announcement that was read from the log counts, where it says nothing else.
const LIFE: Duration = Duration::from_secs(48 * 3_600);

/// An announcement, or that one is taken back.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Announcement {
    key: Bytes<KEY_BYTES>,
    provider: Bytes<64>,
    /// When it ends, in seconds since the epoch; 0 takes it back.
    until_s: u64,
    addresses: List<Bytes<ADDRESS_BYTES>, MOST_ADDRESSES>,
}

/// Keeps announcements.
pub(super) struct ProviderStore {
    own: PeerId,
    keys: HashMap<RecordKey, Vec<ProviderRecord>>,
    /// How many keys each peer announced here.
    counts: HashMap<PeerId, usize>,
    /// The keys this node announced.
    provided: BTreeSet<Vec<u8>>,
    /// When announcements that ended were last swept out.
    swept: Instant,
    log: Option<Log>,
}

struct Log {
    disk: Box<dyn Disk>,
    file: Box<dyn DiskFile>,
    bytes: u64,
    /// The size after the log was written anew.
    live_bytes: u64,
}

impl ProviderStore {
    /// A store in memory.
    pub(super) fn in_memory(own: PeerId) -> Self {
        let (keys, counts, provided) = (HashMap::new(), HashMap::new(), BTreeSet::new());
        Self { own, keys, counts, provided, swept: Instant::now(), log: None }
    }

    /// Opens the store on a disk. A log that is damaged is read up to the damage.
    pub(super) fn open(own: PeerId, disk: Box<dyn Disk>) -> io::Result<Self> {
        let mut store = Self::in_memory(own);
        if disk.exists(PATH)? {
            let bytes = disk.map(PATH)?;
            store.replay(&bytes);
        }
        let (file, bytes) = store.write_anew(&*disk)?;
        store.log = Some(Log { disk, file, bytes, live_bytes: bytes });
        Ok(store)
    }

    fn replay(&mut self, bytes: &[u8]) {
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else { return };
        let now = seconds_since_epoch();
        while let Some((announcement, next)) = read_record(rest) {
            rest = next;
            let Some(record) = to_record(&announcement, now) else { continue };
            match announcement.until_s {
                0 => self.take_out(&record.key, &record.provider),
                until_s if until_s > now => drop(self.put_in(record)),
                _ => {}
            }
        }
    }

    /// Writes everything into a new file in the place of the old one.
    fn write_anew(&self, disk: &dyn Disk) -> io::Result<(Box<dyn DiskFile>, u64)> {
        let mut bytes = MAGIC.to_vec();
        let now = Instant::now();
        for record in self.keys.values().flatten().filter(|record| !record.is_expired(now)) {
            write_record(&mut bytes, &to_announcement(record));
        }
        if disk.exists(NEW_PATH)? {
            disk.remove(NEW_PATH)?;
        }
        let file = disk.open(NEW_PATH)?;
        file.append(&bytes)?;
        file.sync()?;
        disk.rename(NEW_PATH, PATH)?;
        disk.sync_dir("")?;
        Ok((file, bytes.len() as u64))
    }

    /// Notes a change in the log. Where that fails, the log is given up: what is in memory serves on.
    fn note(&mut self, announcement: &Announcement) {
        let Some(log) = &mut self.log else { return };
        let mut bytes = Vec::new();
        write_record(&mut bytes, announcement);
        log.bytes += bytes.len() as u64;
        let is_long = log.bytes > REWRITE_BYTES.max(2 * log.live_bytes);
        let written = log.file.append(&bytes).is_ok();
        if !written || is_long {
            self.log = self.log.take().and_then(|log| {
                let (file, bytes) = self.write_anew(&*log.disk).ok()?;
                Some(Log { file, bytes, live_bytes: bytes, ..log })
            });
        }
    }

    fn put_in(&mut self, mut record: ProviderRecord) -> Result<()> {
        record.addresses.retain(|address| address.len() <= ADDRESS_BYTES);
        record.addresses.truncate(MOST_ADDRESSES);
        let is_own = record.provider == self.own;
        let is_new_key = !self.keys.contains_key(&record.key);
        let known = self.keys.get(&record.key);
        let is_known =
            known.is_some_and(|all| all.iter().any(|one| one.provider == record.provider));
        if record.key.as_ref().len() > KEY_BYTES {
            return Err(Error::ValueTooLarge);
        }
        if !is_own && !is_known {
            let is_full = |store: &Self| {
                let count = store.counts.get(&record.provider).copied().unwrap_or_default();
                count >= MOST_OF_ONE_PEER || (is_new_key && store.keys.len() >= MOST_KEYS)
            };
            if is_full(self) && self.swept.elapsed() >= SWEEP_PAUSE {
                self.sweep();
            }
            if is_full(self) {
                return Err(Error::MaxProvidedKeys);
            }
        }
        let all = self.keys.entry(record.key.clone()).or_default();
        match all.iter_mut().find(|one| one.provider == record.provider) {
            Some(one) => *one = record,
            None => {
                if is_own {
                    self.provided.insert(record.key.to_vec());
                }
                // Full of others: the one that ends first makes room.
                if all.len() >= MOST_PROVIDERS {
                    let others = all.iter().enumerate().filter(|(_, one)| one.provider != self.own);
                    let first = others.min_by_key(|(_, one)| one.expires).map(|(at, _)| at);
                    if let Some(at) = first {
                        let gone = all.swap_remove(at);
                        forget_one(&mut self.counts, &gone.provider);
                    }
                }
                *self.counts.entry(record.provider).or_default() += 1;
                all.push(record);
            }
        }
        Ok(())
    }

    /// Takes out what has ended.
    fn sweep(&mut self) {
        let now = Instant::now();
        self.swept = now;
        let counts = &mut self.counts;
        self.keys.retain(|_, all| {
            all.retain(|record| {
                let is_over = record.is_expired(now);
                if is_over {
                    forget_one(counts, &record.provider);
                }
                !is_over
            });
            !all.is_empty()
        });
    }

    fn take_out(&mut self, key: &RecordKey, provider: &PeerId) {
        let Some(all) = self.keys.get_mut(key) else { return };
        let before = all.len();
        all.retain(|one| one.provider != *provider);
        if all.len() < before {
            forget_one(&mut self.counts, provider);
        }
        if all.is_empty() {
            self.keys.remove(key);
        }
        if *provider == self.own {
            self.provided.remove(&key.to_vec());
        }
    }
}

fn forget_one(counts: &mut HashMap<PeerId, usize>, provider: &PeerId) {
    if let Some(count) = counts.get_mut(provider) {
        *count -= 1;
        if *count == 0 {
            counts.remove(provider);
        }
    }
}

impl RecordStore for ProviderStore {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::vec::IntoIter<Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }

    fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
        let announcement = to_announcement(&record);
        self.put_in(record)?;
        self.note(&announcement);
        Ok(())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let now = Instant::now();
        let all = self.keys.get(key).into_iter().flatten();
        all.filter(|record| !record.is_expired(now)).cloned().collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        let all = self.provided.iter().filter_map(|key| {
            let all = self.keys.get(&RecordKey::from(key.clone()))?;
            all.iter().find(|one| one.provider == self.own).map(Cow::Borrowed)
        });
        all.collect::<Vec<_>>().into_iter()
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        let known = self.keys.get(key);
        let known = known.and_then(|all| all.iter().find(|one| one.provider == *provider));
        if let Some(record) = known {
            let gone = Announcement { until_s: 0, ..to_announcement(record) };
            self.take_out(key, provider);
            self.note(&gone);
        }
    }
}

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn to_announcement(record: &ProviderRecord) -> Announcement {
    let left = record.expires.map(|until| until.saturating_duration_since(Instant::now()));
    let addresses = record.addresses.iter().filter_map(|one| Bytes::new(one.to_vec()).ok());
    Announcement {
        key: Bytes::new(record.key.to_vec()).unwrap_or_default(),
        provider: Bytes::new(record.provider.to_bytes()).unwrap_or_default(),
        until_s: seconds_since_epoch() + left.unwrap_or(LIFE).as_secs(),
        addresses: List::new(addresses.take(MOST_ADDRESSES).collect::<Vec<_>>())
            .unwrap_or_default(),
    }
}

fn to_record(announcement: &Announcement, now_s: u64) -> Option<ProviderRecord> {
    let left = announcement.until_s.saturating_sub(now_s).min(LIFE.as_secs());
    let addresses = announcement.addresses.iter();
    Some(ProviderRecord {
        key: RecordKey::from(announcement.key.to_vec()),
        provider: PeerId::from_bytes(&announcement.provider).ok()?,
        expires: Some(Instant::now() + Duration::from_secs(left)),
        addresses: addresses.filter_map(|one| Multiaddr::try_from(one.to_vec()).ok()).collect(),
    })
}

fn write_record(out: &mut Vec<u8>, announcement: &Announcement) {
    let bytes = encode(announcement);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// The first record and what follows it; none where it is cut or damaged.
fn read_record(bytes: &[u8]) -> Option<(Announcement, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (record, rest) = rest.split_at_checked(length).filter(|_| length <= RECORD_BYTES)?;
    if crc32fast::hash(record) != u32::from_le_bytes(*sum) {
        return None;
    }
    Some((decode("an announcement", record, RECORD_BYTES).ok()?, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_disk::RealDisk;

    use super::*;

    fn record(key: u32, provider: PeerId, seconds: u64) -> ProviderRecord {
        ProviderRecord {
            key: RecordKey::from(key.to_le_bytes().to_vec()),
            provider,
            expires: Some(Instant::now() + Duration::from_secs(seconds)),
            addresses: vec!["/ip4/192.0.2.1/tcp/1".parse().unwrap()],
        }
    }

    #[test]
    fn announcements_survive_a_restart_and_a_torn_end() {
        let directory = tempfile::tempdir().unwrap();
        let disk = || Box::new(RealDisk::create(directory.path()).unwrap());
        let (own, peer) = (PeerId::random(), PeerId::random());
        let mut store = ProviderStore::open(own, disk()).unwrap();
        for key in 0..100 {
            store.add_provider(record(key, peer, 1_000)).unwrap();
        }
        store.add_provider(record(7, own, 1_000)).unwrap();
        store.remove_provider(&record(8, peer, 0).key, &peer);
        store.add_provider(record(101, peer, 0)).unwrap();
        drop(store);
        let path = directory.path().join(PATH);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"\x40\0\0\0torn");
        std::fs::write(&path, bytes).unwrap();
        let store = ProviderStore::open(own, disk()).unwrap();
        let providers = |key| store.providers(&record(key, peer, 0).key);
        assert_eq!(providers(3), [record(3, peer, 0)]);
        assert_eq!(providers(3)[0].addresses.len(), 1);
        assert_eq!(providers(7).len(), 2);
        assert_eq!(providers(8), []);
        assert_eq!(providers(101), [], "it has ended");
        assert_eq!(store.provided().count(), 1);
    }

    #[test]
    fn every_damaged_byte_of_the_log_loses_announcements_and_nothing_more() {
        let directory = tempfile::tempdir().unwrap();
        let disk = || Box::new(RealDisk::create(directory.path()).unwrap());
        let (own, peer) = (PeerId::random(), PeerId::random());
        let mut store = ProviderStore::open(own, disk()).unwrap();
        (0..3).for_each(|key| store.add_provider(record(key, peer, 1_000)).unwrap());
        drop(store);
        let path = directory.path().join(PATH);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            std::fs::write(&path, damaged).unwrap();
            let store = ProviderStore::open(own, disk()).unwrap();
            for (key, all) in &store.keys {
                assert!((0..3).any(|one| record(one, peer, 0).key == *key));
                assert!(all.iter().all(|one| one.provider == peer));
            }
        }
    }

    #[test]
    fn one_peer_cannot_fill_the_store_and_a_key_keeps_so_many_providers() {
        let own = PeerId::random();
        let mut store = ProviderStore::in_memory(own);
        let greedy = PeerId::random();
        let taken = (0..MOST_OF_ONE_PEER as u32 + 10)
            .filter(|key| store.add_provider(record(*key, greedy, 1_000)).is_ok())
            .count();
        assert_eq!(taken, MOST_OF_ONE_PEER);
        store.add_provider(record(0, own, 1)).unwrap();
        for _ in 0..50 {
            store.add_provider(record(0, PeerId::random(), 1_000)).unwrap();
        }
        let providers = store.providers(&record(0, own, 0).key);
        assert_eq!(providers.len(), MOST_PROVIDERS);
        assert!(providers.iter().any(|one| one.provider == own));
        let counted: usize = store.counts.values().sum();
        assert_eq!(counted, store.keys.values().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn a_log_of_changes_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (own, peer) = (PeerId::random(), PeerId::random());
        let disk = Box::new(RealDisk::create(directory.path()).unwrap());
        let mut store = ProviderStore::open(own, disk).unwrap();
        for _ in 0..20_000 {
            store.add_provider(record(1, peer, 1_000)).unwrap();
        }
        let length = std::fs::metadata(directory.path().join(PATH)).unwrap().len();
        assert!(length <= REWRITE_BYTES + RECORD_BYTES as u64, "{length}");
    }
}
