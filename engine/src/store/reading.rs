//! Reading moved segments: through the cache, and each piece from the store once, however many
//! readers ask for it at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chronolith_disk::Disk;
use parking_lot::{Condvar, Mutex};

use super::pieces::{PieceBytes, PieceKey, Pieces};
use super::{ObjectPlace, SegmentStoreOptions, StoreError, StoreProblem};

/// The most pieces that are fetched at once.
const FETCH_PIECES_MAX: u64 = 8;
/// Read-ahead takes at most this part of the cache.
const AHEAD_OF_CACHE: u64 = 4;
/// How many readers that go forward in one segment are told apart.
const STREAMS_MAX: usize = 4;
/// How long a reader waits for what another fetches. The store's own deadline comes first.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// A segment store, with what is kept of it here.
pub(crate) struct StoreReader {
    pub(crate) options: SegmentStoreOptions,
    pieces: Pieces,
    traffic: Mutex<Traffic>,
    requests: AtomicU64,
    fetched_bytes: AtomicU64,
    hits: AtomicU64,
    failure: Mutex<Option<String>>,
}

#[derive(Default)]
struct Traffic {
    under_way: HashMap<PieceKey, Arc<Flight>>,
    /// By segment: who reads forward in it.
    streams: HashMap<u64, Vec<Stream>>,
}

/// A reader that goes forward.
struct Stream {
    /// The piece behind the last that was fetched.
    next: u64,
    /// How many were fetched at once.
    pieces: u64,
}

/// Pieces on their way, side by side.
struct Flight {
    first: u64,
    landed: Mutex<Option<Result<PieceBytes, StoreError>>>,
    wake: Condvar,
}

/// Bytes of an object from a piece on.
struct Fetched {
    first: u64,
    bytes: PieceBytes,
}

impl Flight {
    fn wait(&self) -> Option<Result<Fetched, StoreError>> {
        let deadline = Instant::now() + WAIT_MAX;
        let mut landed = self.landed.lock();
        while landed.is_none() {
            if self.wake.wait_until(&mut landed, deadline).timed_out() {
                break;
            }
        }
        let first = self.first;
        landed.clone().map(|landed| landed.map(|bytes| Fetched { first, bytes }))
    }
}

/// Lets a flight land, also where the store panics.
struct Landing<'a> {
    reader: &'a StoreReader,
    flight: Arc<Flight>,
    keys: Vec<PieceKey>,
    result: Option<Result<PieceBytes, StoreError>>,
    place: &'a ObjectPlace,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let panicked = || {
            let problem = StoreProblem::Other("reading it ended without an answer".to_owned());
            Err(self.reader.error("read", &self.place.object, problem))
        };
        *self.flight.landed.lock() = Some(self.result.take().unwrap_or_else(panicked));
        self.flight.wake.notify_all();
        let mut traffic = self.reader.traffic.lock();
        self.keys.iter().for_each(|key| drop(traffic.under_way.remove(key)));
    }
}

impl StoreReader {
    /// A reader that keeps pieces on the disk, or in memory alone.
    pub(crate) fn new(
        disk: &Arc<dyn Disk>,
        options: SegmentStoreOptions,
        keeps_on_disk: bool,
    ) -> Self {
        let piece_bytes = u64::from(options.piece_bytes.max(1));
        let pieces = Pieces::new(Arc::clone(disk), piece_bytes, options.cache_bytes, keeps_on_disk);
        Self {
            options,
            pieces,
            traffic: Mutex::default(),
            requests: AtomicU64::new(0),
            fetched_bytes: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            failure: Mutex::new(None),
        }
    }

    pub(crate) fn error(
        &self,
        action: &'static str,
        object: &str,
        problem: StoreProblem,
    ) -> StoreError {
        let store = self.options.store.describe();
        StoreError { action, store, object: object.to_owned(), problem }
    }

    fn piece_bytes(&self) -> u64 {
        u64::from(self.options.piece_bytes.max(1))
    }

    /// The place of a piece in its object: where it begins, and how long it is.
    fn span(&self, place: &ObjectPlace, index: u64) -> (u64, u64) {
        let start = index.saturating_mul(self.piece_bytes());
        (start, self.piece_bytes().min(place.size_bytes.saturating_sub(start)))
    }

    /// Some bytes of an object, which must have as many.
    pub(crate) fn read(
        &self,
        place: &ObjectPlace,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; len];
        let mut done = 0;
        let mut found_kept = None;
        while done < len {
            let at = offset + done as u64;
            let index = at / self.piece_bytes();
            let (start, piece_len) = self.span(place, index);
            let part = (piece_len.saturating_sub(at - start)).min((len - done) as u64) as usize;
            let target = &mut bytes[done..done + part];
            if part == 0 {
                let what = format!("it ends before byte {}", offset + len as u64);
                return Err(self.error("read", &place.object, StoreProblem::Damaged(what)));
            }
            if self.pieces.read((place.number, index), piece_len, (at - start) as usize, target) {
                self.hits.fetch_add(1, Ordering::Relaxed);
                done += part;
                continue;
            }
            let last = (offset + len as u64 - 1) / self.piece_bytes();
            let may_be_kept = found_kept.replace(index) != Some(index);
            let Some(fetched) = self.fetch(place, index, last, may_be_kept)? else { continue };
            let skipped = (at - fetched.first * self.piece_bytes()) as usize;
            let rest = fetched.bytes.get(skipped..).unwrap_or_default();
            let part = rest.len().min(len - done);
            bytes[done..done + part].copy_from_slice(&rest[..part]);
            done += part;
        }
        Ok(bytes)
    }

    /// Gets a piece from the store, with what is behind it of the pieces up to `last`, and more
    /// where a reader goes forward; or waits for whoever is getting it. `None` where it was not kept
    /// when this reader looked, and is by now: one that may be kept is looked for once more.
    fn fetch(
        &self,
        place: &ObjectPlace,
        index: u64,
        last: u64,
        may_be_kept: bool,
    ) -> Result<Option<Fetched>, StoreError> {
        let mut traffic = self.traffic.lock();
        if let Some(flight) = traffic.under_way.get(&(place.number, index)).cloned() {
            drop(traffic);
            let late = || StoreProblem::Unreachable("another reader waits for it, too".to_owned());
            let late = || Err(self.error("read", &place.object, late()));
            return flight.wait().unwrap_or_else(late).map(Some);
        }
        // Pieces are kept before they are no longer under way.
        if may_be_kept && self.pieces.has((place.number, index)) {
            return Ok(None);
        }
        let pieces = place.size_bytes.div_ceil(self.piece_bytes());
        let wanted = (last + 1).saturating_sub(index);
        let most = self.pieces_at_once(traffic.streams.entry(place.number).or_default(), index);
        let limit = index.saturating_add(most.max(wanted).min(FETCH_PIECES_MAX)).min(pieces);
        let mut end = index + 1;
        let is_open = |traffic: &Traffic, piece: u64| {
            let key = (place.number, piece);
            !traffic.under_way.contains_key(&key) && !self.pieces.has(key)
        };
        while end < limit && is_open(&traffic, end) {
            end += 1;
        }
        note_stream(traffic.streams.entry(place.number).or_default(), index, end);
        let flight = Flight { first: index, landed: Mutex::default(), wake: Condvar::new() };
        let flight = Arc::new(flight);
        let keys: Vec<PieceKey> = (index..end).map(|piece| (place.number, piece)).collect();
        for key in &keys {
            traffic.under_way.insert(*key, Arc::clone(&flight));
        }
        drop(traffic);
        let mut landing = Landing { reader: self, flight, keys, result: None, place };
        let result = self.get(place, index, end);
        landing.result = Some(result.clone());
        drop(landing);
        result.map(|bytes| Some(Fetched { first: index, bytes }))
    }

    /// How many pieces a reader at this place gets at once.
    fn pieces_at_once(&self, streams: &[Stream], index: u64) -> u64 {
        let most = self.options.cache_bytes / AHEAD_OF_CACHE / self.piece_bytes();
        let doubled = streams.iter().find(|stream| stream.next == index);
        doubled.map_or(1, |stream| (2 * stream.pieces).min(most.min(FETCH_PIECES_MAX)).max(1))
    }

    /// Gets the pieces from `first` up to, and not with, `end`, and keeps them.
    fn get(&self, place: &ObjectPlace, first: u64, end: u64) -> Result<PieceBytes, StoreError> {
        let start = first * self.piece_bytes();
        let len = (end * self.piece_bytes()).min(place.size_bytes).saturating_sub(start);
        let got = self.get_range(&place.object, start, len);
        *self.failure.lock() = got.as_ref().err().map(ToString::to_string);
        let bytes = PieceBytes::from(got?);
        for (index, piece) in bytes.chunks(self.piece_bytes() as usize).enumerate() {
            let piece = match end - first {
                1 => Arc::clone(&bytes),
                _ => PieceBytes::from(piece),
            };
            self.pieces.put((place.number, first + index as u64), &piece);
        }
        Ok(bytes)
    }

    /// Some bytes of an object, from the store itself.
    pub(crate) fn get_range(
        &self,
        object: &str,
        offset: u64,
        len: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let bytes = self.options.store.get_range(object, offset, len)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.fetched_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if bytes.len() as u64 == len {
            return Ok(bytes);
        }
        let what = format!("it gave {} bytes instead of {len} from byte {offset} on", bytes.len());
        Err(self.error("read", object, StoreProblem::Damaged(what)))
    }

    /// Drops the pieces that hold some bytes, which are not what they should be.
    pub(crate) fn forget(&self, place: &ObjectPlace, offset: u64, len: usize) {
        let last = offset.saturating_add(len as u64).saturating_sub(1) / self.piece_bytes();
        for index in offset / self.piece_bytes()..=last {
            self.pieces.forget((place.number, index));
        }
    }

    /// Drops everything of a segment that is gone.
    pub(crate) fn forget_segment(&self, number: u64) {
        self.pieces.forget_segment(number);
        self.traffic.lock().streams.remove(&number);
    }

    /// How much is kept, in bytes; requests and bytes that were fetched; what the cache had; what
    /// the last request failed with.
    pub(crate) fn figures(&self) -> (u64, (u64, u64), u64, Option<String>) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let fetched = (load(&self.requests), load(&self.fetched_bytes));
        (self.pieces.len_bytes(), fetched, load(&self.hits), self.failure.lock().clone())
    }
}

/// Notes that pieces were fetched, by the reader that was there or by a new one.
fn note_stream(streams: &mut Vec<Stream>, index: u64, end: u64) {
    streams.retain(|stream| stream.next != index);
    if streams.len() >= STREAMS_MAX {
        streams.remove(0);
    }
    streams.push(Stream { next: end, pieces: end - index });
}
