//! Keeping what others told: taken or refused one by one, durable when it is acknowledged.

use std::sync::Arc;

use chronolith_disk::{Disk, DiskLock, RealDisk};
use chronolith_engine::chunk::ChunkHeader;
use chronolith_merkle::HashFunction;
use cid::Cid;

use super::codec::{self, HeaderEntry, MetricKey, Operation, Place, ShortCid};
use super::entry::{Bounds, Provenance, Refused, Trust, check_header};
use super::error::RemoteError;
use super::live::Live;
use super::log::{BATCH_BYTES, End, FILE, LOCK, Log, LogId, NEW, START};
use super::offer::{Listing, Offer, OfferId};
use super::state::State;
use crate::bytes::Bytes;

/// A batch is written when it is so long: bytes.
pub(super) const BATCH_TARGET_BYTES: usize = 4 << 20;
/// A log is rewritten where it is longer than twice what is kept, and this: bytes.
const SLACK_BYTES: u64 = 1 << 20;

/// A change of what is kept.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "the longest part of each is on the heap")]
pub enum Change {
    /// A header of a chunk.
    Header {
        /// Its content id.
        cid: Cid,
        /// Its bytes.
        bytes: Vec<u8>,
        /// Where it comes from, and how sure it is.
        provenance: Provenance,
    },
    /// A header is taken out.
    Forget {
        /// Its content id.
        cid: Cid,
    },
    /// An offer, or more about one.
    Offer {
        /// The offer.
        offer: Offer,
        /// Where it comes from, and how sure it is.
        provenance: Provenance,
    },
    /// An offer is closed. Where the ledger says it, it does not open again; who told an offer may take
    /// it back.
    Close {
        /// Which.
        offer: OfferId,
        /// Where that comes from, and how sure it is.
        provenance: Provenance,
    },
    /// All that one told is taken out.
    ForgetTeller {
        /// Who.
        from: String,
    },
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Taken {
    /// It is kept now, and was not before.
    New,
    /// It was kept, and nothing is changed.
    Known,
    /// It was kept, and more is known of it now.
    Risen,
    /// It was kept, and is taken out.
    Gone,
    /// It was not kept.
    Absent,
}

/// How much is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteStatistics {
    /// How many headers.
    pub headers: u64,
    /// How many of them hide what they are of.
    pub hidden: u64,
    /// How many metrics the others are of.
    pub metrics: u64,
    /// How many offers are open.
    pub offers: u64,
    /// How many closed offers are remembered.
    pub closed: u64,
    /// The length of the file: bytes.
    pub size_bytes: u64,
    /// Who told what is kept: a name, headers, offers.
    pub tellers: Vec<(String, u64, u64)>,
}

/// Headers and offers of others, kept durably. One process at a time changes them.
pub struct RemoteStore {
    disk: Arc<dyn Disk>,
    bounds: Bounds,
    log: Log,
    end: u64,
    torn_bytes: u64,
    state: State,
    /// The content of the batch that is being made.
    batch: Vec<u8>,
    has_failed: bool,
    _lock: Box<dyn DiskLock>,
}

pub(super) fn random_id(place: &str) -> Result<LogId, RemoteError> {
    let mut id = LogId::default();
    let filled = getrandom::fill(&mut id);
    filled.map_err(|error| RemoteError::disk(place, std::io::Error::other(error)))?;
    Ok(id)
}

pub(super) fn lock(disk: &dyn Disk) -> Result<Box<dyn DiskLock>, RemoteError> {
    let place = disk.describe(LOCK);
    disk.lock(LOCK).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => RemoteError::Locked { place },
        _ => RemoteError::disk(&place, error),
    })
}

/// The content id as it is kept; headers have no others.
fn short(cid: &Cid) -> Result<ShortCid, Refused> {
    let bytes = ShortCid::try_from(cid.to_bytes());
    bytes.map_err(|_| Refused::ContentId { cid: cid.to_string() })
}

/// What stands for the metric of a header.
fn metric_key(header: &ChunkHeader) -> Option<MetricKey> {
    let shown = header.shown.as_ref()?;
    let mut bytes = header.producer.to_vec();
    let tags = shown.tags.iter().flat_map(|(key, value)| [key, value]);
    for text in [&shown.device, &shown.name].into_iter().chain(tags) {
        crate::bytes::put_bytes(&mut bytes, text.as_bytes());
    }
    HashFunction::Sha256.digest(&bytes).first_chunk().copied()
}

/// Reads the operations of a batch; each with its place in the file and its length.
pub(super) fn operations<'a>(
    place: &str,
    at: u64,
    content: &'a [u8],
    take: &mut dyn FnMut(Operation<'a>, u64, u32) -> Result<(), RemoteError>,
) -> Result<(), RemoteError> {
    let mut bytes = Bytes::new(content);
    while !bytes.is_empty() {
        let start = content.len() - bytes.len();
        let offset = at + start as u64;
        let operation = codec::get(&mut bytes);
        let operation =
            operation.map_err(|problem| RemoteError::damaged(place, offset, problem))?;
        let len = content.len() - bytes.len() - start;
        take(operation, offset, len as u32)?;
    }
    Ok(())
}

impl RemoteStore {
    /// Opens the store of a directory, which is made where there is none. What a process that was
    /// killed had not finished is taken off.
    pub fn open(directory: &std::path::Path, bounds: Bounds) -> Result<Self, RemoteError> {
        let place = directory.display().to_string();
        let disk = RealDisk::create(directory).map_err(|error| RemoteError::disk(&place, error))?;
        Self::open_on(Arc::new(disk), bounds)
    }

    /// Opens the store of a disk.
    pub fn open_on(disk: Arc<dyn Disk>, bounds: Bounds) -> Result<Self, RemoteError> {
        let lock = lock(&*disk)?;
        let place = disk.describe(NEW);
        let removed = match disk.exists(NEW) {
            Ok(true) => disk.remove(NEW),
            other => other.map(drop),
        };
        removed.map_err(|error| RemoteError::disk(&place, error))?;
        let Opened { log, state, end, last } = Opened::read(&*disk, &bounds)?;
        log.settle(end, last)?;
        let End { at: end, torn_bytes } = end;
        let (batch, has_failed) = (Vec::new(), false);
        Ok(Self { disk, bounds, log, end, torn_bytes, state, batch, has_failed, _lock: lock })
    }

    /// How many bytes behind the last whole batch were taken off when it was opened: what was being
    /// written when the process or the power went away.
    #[must_use]
    pub const fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Carries out changes in their order. When it returns, what was taken is on stable storage; what is
    /// refused changes nothing and keeps nothing else from being taken. After an error the store has
    /// to be opened again, and has some of the first changes.
    pub fn apply(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
    ) -> Result<Vec<Result<Taken, Refused>>, RemoteError> {
        if self.has_failed {
            return Err(RemoteError::Failed { place: self.log.place.clone() });
        }
        let applied = self.apply_all(&mut changes.into_iter());
        self.has_failed = applied.is_err();
        applied
    }

    fn apply_all(
        &mut self,
        changes: &mut dyn Iterator<Item = Change>,
    ) -> Result<Vec<Result<Taken, Refused>>, RemoteError> {
        let mut results = Vec::new();
        for change in changes {
            results.push(match change {
                Change::Header { cid, bytes, provenance } => {
                    self.header(&cid, &bytes, provenance)?
                }
                Change::Forget { cid } => Ok(self.forget(&cid)?),
                Change::Offer { offer, provenance } => self.offer(offer, provenance)?,
                Change::Close { offer, provenance } => self.close(offer, &provenance)?,
                Change::ForgetTeller { from } => Ok(self.forget_teller(&from)?),
            });
            self.relieve()?;
        }
        self.write()?;
        if self.end > 2 * self.state.live_bytes + SLACK_BYTES {
            self.compact()?;
        }
        Ok(results)
    }

    /// Adds an operation to the batch and carries it out.
    fn put(&mut self, operation: &Operation<'_>) -> Result<(), RemoteError> {
        let start = self.batch.len();
        codec::put(&mut self.batch, operation);
        let at = self.end + (BATCH_BYTES + start) as u64;
        let applied = self.state.apply(operation, at, (self.batch.len() - start) as u32);
        applied.map_err(|problem| RemoteError::damaged(&self.log.place, at, problem))
    }

    /// Writes the batch where it is long. Not between operations that belong together: what takes out a
    /// header and what describes its metric from then on are in one batch.
    fn relieve(&mut self) -> Result<(), RemoteError> {
        if self.batch.len() >= BATCH_TARGET_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), RemoteError> {
        if !self.batch.is_empty() {
            self.end = self.log.append(self.end, &self.batch)?;
            self.batch.clear();
        }
        Ok(())
    }

    /// Whether there is room for so many bytes more.
    fn has_room(&self, bytes: usize) -> Result<(), Refused> {
        let most = self.bounds.size_bytes;
        match self.state.live_bytes + bytes as u64 > most {
            true => Err(Refused::Full { what: "bytes of headers and offers", most }),
            false => Ok(()),
        }
    }

    fn header(
        &mut self,
        cid: &Cid,
        bytes: &[u8],
        provenance: Provenance,
    ) -> Result<Result<Taken, Refused>, RemoteError> {
        let checked = provenance.check().and_then(|()| check_header(cid, bytes));
        let checked = checked.and_then(|header| Ok((short(cid)?, header)));
        let (short, header) = match checked {
            Ok(checked) => checked,
            Err(refused) => return Ok(Err(refused)),
        };
        let known = self.state.headers.get(&short).copied();
        if known.is_some_and(|known| provenance.trust <= known.trust) {
            return Ok(Ok(Taken::Known));
        }
        let key = metric_key(&header);
        if let Err(refused) = self.has_room_for_header(known.is_some(), key, bytes, &provenance) {
            return Ok(Err(refused));
        }
        let (window, generation, part) = (header.window, header.generation, header.part);
        let place = Place { window, generation, part, sequence: self.state.next_sequence };
        let replaces = known.map(|known| known.place);
        let entry = HeaderEntry {
            place,
            cid: short,
            of: key.map(|key| self.state.of(key, place, replaces)),
            replaces: replaces.map(|place| place.sequence),
            provenance,
            bytes,
        };
        self.put(&Operation::Header(entry))?;
        Ok(Ok(if known.is_some() { Taken::Risen } else { Taken::New }))
    }

    fn has_room_for_header(
        &self,
        is_known: bool,
        key: Option<MetricKey>,
        bytes: &[u8],
        provenance: &Provenance,
    ) -> Result<(), Refused> {
        let full = |what, most: usize| Err(Refused::Full { what, most: most as u64 });
        let (state, bounds) = (&self.state, &self.bounds);
        if !is_known && state.headers.len() >= bounds.headers {
            return full("headers", bounds.headers);
        }
        let teller = state.teller(&provenance.from);
        if teller.is_some_and(|teller| teller.headers >= bounds.headers_of_one) {
            return full("headers of this teller", bounds.headers_of_one);
        }
        let is_new_metric = key.is_some_and(|key| !state.by_key.contains_key(&key));
        if is_new_metric && state.metrics.len() >= bounds.metrics {
            return full("metrics", bounds.metrics);
        }
        self.has_room(bytes.len())
    }

    /// The bytes of a header that is kept.
    fn bytes_of(&self, cid: &ShortCid) -> Result<Option<Vec<u8>>, RemoteError> {
        let Some(kept) = self.state.headers.get(cid) else { return Ok(None) };
        let (at, len) = (kept.at, kept.len as usize);
        let operation = match at.checked_sub(self.end + BATCH_BYTES as u64) {
            // It is in the batch that is being made.
            Some(start) => {
                self.batch.get(start as usize..start as usize + len).unwrap_or_default().to_vec()
            }
            None => self.log.bytes(at, len)?,
        };
        match codec::get(&mut Bytes::new(&operation)) {
            Ok(Operation::Header(entry)) => Ok(Some(entry.bytes.to_vec())),
            _ => Err(RemoteError::damaged(&self.log.place, at, "there is another operation")),
        }
    }

    /// The bytes of a header that is kept; `None` where it is not.
    pub fn header_bytes(&self, cid: &Cid) -> Result<Option<Vec<u8>>, RemoteError> {
        short(cid).map_or(Ok(None), |short| self.bytes_of(&short))
    }

    /// How sure it is that the ledger knows of a header; `None` where it is not kept.
    #[must_use]
    pub fn trust_of(&self, cid: &Cid) -> Option<Trust> {
        Some(self.state.headers.get(&short(cid).ok()?)?.trust)
    }

    /// Who told a header; `None` where it is not kept.
    #[must_use]
    pub fn teller_of(&self, cid: &Cid) -> Option<&str> {
        let kept = self.state.headers.get(&short(cid).ok()?)?;
        Some(&self.state.tellers.get(kept.teller as usize)?.name)
    }

    fn forget(&mut self, cid: &Cid) -> Result<Taken, RemoteError> {
        match short(cid) {
            Ok(short) => self.forget_short(&short),
            Err(_) => Ok(Taken::Absent),
        }
    }

    fn forget_short(&mut self, cid: &ShortCid) -> Result<Taken, RemoteError> {
        let Some(kept) = self.state.headers.get(cid).copied() else { return Ok(Taken::Absent) };
        let members = |state: &State| {
            let metric = kept.metric.and_then(|metric| state.metrics.get(&metric))?;
            metric.members.last_key_value().map(|(place, cid)| (*place, *cid))
        };
        let described = members(&self.state).is_some_and(|(place, _)| place == kept.place);
        self.put(&Operation::Forget { sequence: kept.place.sequence })?;
        let Some(metric) = kept.metric else { return Ok(Taken::Gone) };
        match members(&self.state) {
            None => self.put(&Operation::Undescribe { metric })?,
            Some((place, next)) if described => {
                let bytes = self.bytes_of(&next)?.unwrap_or_default();
                let sequence = place.sequence;
                self.put(&Operation::Describe { metric, sequence, bytes: &bytes })?;
            }
            Some(_) => {}
        }
        Ok(Taken::Gone)
    }

    fn offer(
        &mut self,
        offer: Offer,
        provenance: Provenance,
    ) -> Result<Result<Taken, Refused>, RemoteError> {
        let (offer, provenance, was) = match self.merged(offer, provenance) {
            Ok(Some(merged)) => merged,
            Ok(None) => return Ok(Ok(Taken::Known)),
            Err(refused) => return Ok(Err(refused)),
        };
        let number = was.unwrap_or(self.state.next_number);
        self.put(&Operation::Offer { number, is_new: was.is_none(), provenance, offer })?;
        Ok(Ok(if was.is_none() { Taken::New } else { Taken::Risen }))
    }

    /// What is kept of an offer together with what is told of it now, and its number; `None` where
    /// nothing is new.
    fn merged(
        &self,
        offer: Offer,
        provenance: Provenance,
    ) -> Result<Option<(Offer, Provenance, Option<u32>)>, Refused> {
        provenance.check()?;
        offer.check()?;
        let state = &self.state;
        if state.is_closed(offer.id) {
            return Err(Refused::Closed);
        }
        let Some(known) = state.offers.get(&offer.id) else {
            let full = |what, most: usize| Err(Refused::Full { what, most: most as u64 });
            if state.offers.len() >= self.bounds.offers {
                return full("offers", self.bounds.offers);
            }
            let teller = state.teller(&provenance.from);
            if teller.is_some_and(|teller| teller.offers >= self.bounds.offers_of_one) {
                return full("offers of this teller", self.bounds.offers_of_one);
            }
            self.has_room(offer.listing.description.len())?;
            return Ok(Some((offer, provenance, None)));
        };
        let bare = |offer: &Offer| offer.with(Listing::default());
        let agrees = bare(&known.offer) == bare(&offer);
        let is_surer = provenance.trust > known.provenance.trust;
        let is_own =
            provenance.trust == known.provenance.trust && provenance.from == known.provenance.from;
        if !agrees && !is_surer && !is_own {
            return Err(Refused::Contradicts("its scope, price, level or owner"));
        }
        let is_listed = known.offer.listing != Listing::default();
        let listing = match offer.listing == Listing::default() {
            true if agrees => known.offer.listing.clone(),
            _ if agrees && is_listed && !is_own && offer.listing != known.offer.listing => {
                return Err(Refused::Contradicts("how it is listed"));
            }
            _ => offer.listing.clone(),
        };
        let provenance = if is_surer { provenance } else { known.provenance.clone() };
        let merged = offer.with(listing);
        if merged == known.offer && provenance == known.provenance {
            return Ok(None);
        }
        self.has_room(merged.listing.description.len())?;
        Ok(Some((merged, provenance, Some(known.number))))
    }

    fn close(
        &mut self,
        id: OfferId,
        provenance: &Provenance,
    ) -> Result<Result<Taken, Refused>, RemoteError> {
        if let Err(refused) = provenance.check() {
            return Ok(Err(refused));
        }
        if self.state.is_closed(id) {
            return Ok(Ok(Taken::Known));
        }
        let known = self.state.offers.get(&id);
        let was = known.map(|entry| entry.number);
        if provenance.trust > Trust::Told {
            self.put(&Operation::Close { id, was })?;
            self.state.forget_closed(self.bounds.closed);
            return Ok(Ok(if was.is_some() { Taken::Gone } else { Taken::Absent }));
        }
        match known.map(|entry| entry.provenance == *provenance) {
            Some(false) => Ok(Err(Refused::Contradicts("that it is open"))),
            _ => {
                let Some(was) = was else { return Ok(Ok(Taken::Absent)) };
                self.put(&Operation::Withdraw { id, was })?;
                Ok(Ok(Taken::Gone))
            }
        }
    }

    fn forget_teller(&mut self, from: &str) -> Result<Taken, RemoteError> {
        let Some(teller) = self.state.teller_number(from) else { return Ok(Taken::Absent) };
        let headers = self.state.headers.iter().filter(|(_, kept)| kept.teller == teller);
        let mut headers: Vec<(u64, ShortCid)> =
            headers.map(|(cid, kept)| (kept.place.sequence, *cid)).collect();
        // The newest last, so that a metric is described anew as rarely as can be.
        headers.sort_unstable();
        let offers = self.state.offers.values().filter(|entry| entry.teller == teller);
        let mut offers: Vec<(u32, OfferId)> =
            offers.map(|entry| (entry.number, entry.offer.id)).collect();
        offers.sort_unstable();
        for (_, cid) in &headers {
            self.forget_short(cid)?;
            self.relieve()?;
        }
        for (was, id) in &offers {
            self.put(&Operation::Withdraw { id: *id, was: *was })?;
            self.relieve()?;
        }
        let is_none = headers.is_empty() && offers.is_empty();
        Ok(if is_none { Taken::Absent } else { Taken::Gone })
    }

    /// Writes what is kept into a new file that takes the place of the old one.
    pub fn compact(&mut self) -> Result<(), RemoteError> {
        let mut live =
            Live { closed: self.state.closed.iter().copied().collect(), ..Live::default() };
        for kept in self.state.headers.values() {
            live.headers.insert(kept.place.sequence, (kept.at, kept.len));
        }
        for entry in self.state.offers.values() {
            let told = (entry.offer.clone(), entry.provenance.clone());
            live.offers.insert(entry.offer.id, told);
        }
        live.rewrite(&*self.disk, &self.log)?;
        let opened = Opened::read(&*self.disk, &self.bounds)?;
        (self.log, self.state, self.end) = (opened.log, opened.state, opened.end.at);
        Ok(())
    }

    /// How much is kept.
    #[must_use]
    pub fn statistics(&self) -> RemoteStatistics {
        let state = &self.state;
        let hidden = state.headers.values().filter(|kept| kept.metric.is_none()).count();
        let tellers = state.tellers.iter().filter(|teller| teller.headers + teller.offers > 0);
        let mut tellers: Vec<_> = tellers
            .map(|teller| (teller.name.clone(), teller.headers as u64, teller.offers as u64))
            .collect();
        tellers.sort();
        RemoteStatistics {
            headers: state.headers.len() as u64,
            hidden: hidden as u64,
            metrics: state.metrics.len() as u64,
            offers: state.offers.len() as u64,
            closed: state.closed.len() as u64,
            size_bytes: self.end,
            tellers,
        }
    }

    /// The offers that are open, by their ids, with where they come from.
    #[must_use]
    pub fn offers(&self) -> Vec<(Offer, Provenance)> {
        let entries = self.state.offers.values();
        let mut offers: Vec<_> =
            entries.map(|entry| (entry.offer.clone(), entry.provenance.clone())).collect();
        offers.sort_unstable_by_key(|(offer, _)| offer.id);
        offers
    }

    /// The headers that are kept: their content ids, in order, with who told each and how sure it is.
    #[must_use]
    pub fn headers(&self) -> Vec<(Cid, &str, Trust)> {
        let mut headers: Vec<_> = self.state.headers.iter().collect();
        headers.sort_unstable_by_key(|(cid, _)| **cid);
        let told = headers.into_iter().filter_map(|(cid, kept)| {
            let teller = self.state.tellers.get(kept.teller as usize)?;
            Some((Cid::try_from(cid.as_slice()).ok()?, teller.name.as_str(), kept.trust))
        });
        told.collect()
    }
}

/// A file that was read.
struct Opened {
    log: Log,
    state: State,
    end: End,
    /// Where the last batch begins.
    last: Option<u64>,
}

impl Opened {
    /// Reads the file, which is made where there is none.
    fn read(disk: &dyn Disk, bounds: &Bounds) -> Result<Self, RemoteError> {
        let place = disk.describe(FILE);
        let log = match Log::open(disk, true)? {
            Some(log) => log,
            None => {
                Log::begin(disk, random_id(&place)?)?.finish(disk)?;
                let missing = || RemoteError::disk(&place, std::io::ErrorKind::NotFound.into());
                Log::open(disk, true)?.ok_or_else(missing)?
            }
        };
        let (mut state, mut last) = (State::default(), None);
        let end = log.for_each(START, &mut |batch| {
            last = Some(batch.at - BATCH_BYTES as u64);
            operations(&log.place, batch.at, &batch.content, &mut |operation, at, len| {
                let applied = state.apply(&operation, at, len);
                applied.map_err(|problem| RemoteError::damaged(&log.place, at, problem))
            })
        })?;
        state.forget_closed(bounds.closed);
        Ok(Self { log, state, end, last })
    }
}
