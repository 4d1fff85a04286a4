//! Reading the log back: everything that is whole, in order; damage told from a torn end.

use std::collections::VecDeque;

use chronolith_disk::{Disk, Mapped, read_all};

use crate::error::{DiskContext, Fault, ReadError};
use crate::manifest::Manifest;
use crate::protect::{Protect, Purpose};

use super::frame::{FILE_HEADER_BYTES, FrameView, Salt, read_file_header};
use super::payload::{Payload, decode};
use super::{DIR, Sequence, file_name, file_number};

/// The end of the log that was never acknowledged as synced and could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The file, relative to the database directory.
    pub file: String,
    /// Where what is whole ends: bytes.
    pub offset: u64,
    /// How many bytes behind it are dropped, over all files.
    pub dropped_bytes: u64,
}

/// A place in the log.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct LogEnd {
    pub(crate) file: u64,
    pub(crate) offset: u64,
}

/// What reading the log found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The files that are there, rising.
    pub(crate) files: Vec<u64>,
    /// Where what is whole ends.
    pub(crate) end: LogEnd,
    /// What stands before it is known to be on stable storage; what stands behind it may be in
    /// the system's memory only, even where a sync says otherwise (see [`Unconfirmed`]).
    pub(crate) confirmed: LogEnd,
    pub(crate) last_sequence: Sequence,
    pub(crate) torn: Option<TornTail>,
}

/// Finds where the part of the log begins that no later frame confirms.
///
/// After a failed sync the system may keep pages that it never wrote and call them clean: a new
/// process reads them, and its own sync says that all is well. What nothing confirms must
/// therefore be written anew before anything is built on it.
#[derive(Debug, Default)]
struct Unconfirmed {
    /// Frames that were made when the same sequence was known to be synced: the first sequence,
    /// and where it stands. Only groups that may hold unconfirmed frames.
    groups: VecDeque<(Sequence, LogEnd)>,
    synced: Option<Sequence>,
}

impl Unconfirmed {
    fn note(&mut self, frame: &FrameView<'_>, place: LogEnd) {
        if self.synced == Some(frame.synced) {
            return;
        }
        self.synced = Some(frame.synced);
        self.groups.push_back((frame.sequence, place));
        while self.groups.get(1).is_some_and(|(first, _)| *first <= frame.synced.saturating_add(1))
        {
            self.groups.pop_front();
        }
    }

    fn begins(&self, first_file: u64, confirmed: Option<LogEnd>) -> LogEnd {
        let start = LogEnd { file: first_file, offset: 0 };
        let start = self.groups.front().map_or(start, |(_, place)| *place);
        confirmed.map_or(start, |confirmed| confirmed.max(start))
    }
}

/// The files of the log from `first` on, rising; fails where one up to `last`, which are durable
/// before a manifest names them, or one in between is missing.
fn files(disk: &dyn Disk, first: u64, last: u64) -> Result<Vec<u64>, ReadError> {
    let names = disk.list(DIR).at(disk, "list", DIR)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| file_number(name)).collect();
    numbers.retain(|number| *number >= first);
    numbers.sort_unstable();
    let last = numbers.last().map_or(last, |found| last.max(*found));
    for (index, expected) in (first..=last).enumerate() {
        if numbers.get(index) != Some(&expected) {
            return Err(Fault::new(&file_name(expected), 0, "this file of the log is gone").into());
        }
    }
    Ok(numbers)
}

/// What the manifest says of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogStart<'a> {
    /// The bytes that name the database.
    pub(crate) database: &'a [u8],
    pub(crate) first_file: u64,
    /// The last file that must be there.
    pub(crate) last_file: u64,
    /// What stands up to here is in runs and chunks.
    pub(crate) after: Sequence,
    /// Frames up to here cannot be torn: the manifest names what came with them.
    pub(crate) named: Sequence,
    /// The end that a clean close recorded: what stands before it cannot be torn.
    pub(crate) confirmed: Option<LogEnd>,
    /// Another process may cut the files meanwhile: they are copied, not mapped.
    pub(crate) is_shared: bool,
}

impl<'a> LogStart<'a> {
    pub(crate) fn of(manifest: &'a Manifest) -> Self {
        Self {
            database: &manifest.database,
            first_file: manifest.first_log,
            last_file: manifest.last_known_log(),
            after: manifest.flushed,
            named: manifest.last_in_files(),
            confirmed: manifest.clean_end,
            is_shared: false,
        }
    }
}

/// Hands every whole frame that is not flushed yet to `take`, in order.
pub(crate) fn replay(
    disk: &dyn Disk,
    protect: &dyn Protect,
    log: LogStart<'_>,
    take: &mut dyn FnMut(Sequence, Payload) -> Result<(), ReadError>,
) -> Result<Recovered, ReadError> {
    let LogStart { database, first_file, last_file, after, named, confirmed, is_shared } = log;
    let numbers = files(disk, first_file, last_file)?;
    // The first file may begin with frames that were flushed already.
    let mut last_sequence = None;
    let mut end = LogEnd { file: first_file, offset: 0 };
    let mut unconfirmed = Unconfirmed::default();
    let mut maps: Vec<(u64, Mapped)> = Vec::new();
    for number in &numbers {
        let name = file_name(*number);
        let bytes = match is_shared {
            true => read_all(disk, &name).map(Mapped::from_vec),
            false => disk.map(&name),
        };
        maps.push((*number, bytes.at(disk, "read", &name)?));
    }
    for (index, (number, bytes)) in maps.iter().enumerate() {
        let name = file_name(*number);
        let salt = Salt::new(database, *number);
        let mut at = 0;
        let problem = loop {
            if at == 0 {
                let synced = match read_file_header(bytes, salt, *number) {
                    Ok(synced) => synced,
                    Err(problem) => break Some(problem),
                };
                let last = last_sequence.unwrap_or(after).max(after);
                if synced > last {
                    let what = format!("was synced before {name} began, and is not there");
                    return Err(missing_end(&maps[..index], synced, &what).into());
                }
                at = FILE_HEADER_BYTES;
            }
            end = LogEnd { file: *number, offset: at as u64 };
            if at == bytes.len() {
                break None;
            }
            let Some(frame) = FrameView::parse(&bytes[at..], salt) else {
                break Some("a frame of the log cannot be read".to_owned());
            };
            let expected = last_sequence.map_or(frame.sequence.min(after + 1), |last| last + 1);
            if frame.sequence != expected {
                let found = frame.sequence;
                if at == FILE_HEADER_BYTES && found > expected {
                    let what = format!("is not there, and {name} goes on with frame {found}");
                    return Err(missing_end(&maps[..index], found - 1, &what).into());
                }
                break Some(format!("frame {found} of the log stands where {expected} should"));
            }
            last_sequence = Some(frame.sequence);
            // The first frame of a file answers for the file's header, too.
            let is_first = at == FILE_HEADER_BYTES;
            let offset = if is_first { 0 } else { at as u64 };
            unconfirmed.note(&frame, LogEnd { file: *number, offset });
            if frame.sequence <= after {
                at += frame.len();
                continue;
            }
            let fault = |what: String| Fault::new(&name, at as u64, what);
            let payload = protect
                .open(Purpose::Wal, frame.protection, frame.payload)
                .map_err(|error| fault(error.to_string()))?;
            let payload = decode(&payload).map_err(|error| fault(error.to_string()))?;
            take(frame.sequence, payload)?;
            at += frame.len();
        };
        let short = confirmed
            .is_some_and(|confirmed| *number == confirmed.file && (at as u64) < confirmed.offset);
        let problem = match problem {
            None if short => "the log ends before the end that was recorded".to_owned(),
            None => continue,
            Some(problem) => problem,
        };
        let place = LogEnd { file: *number, offset: at as u64 };
        // Nothing is written behind a header, or to a later file, and no manifest names a file,
        // before the header is on stable storage.
        let is_named = *number <= last_file;
        let is_header =
            at == 0 && (bytes.len() > FILE_HEADER_BYTES || is_named || index + 1 < maps.len());
        let is_confirmed = is_header
            || last_sequence.unwrap_or(after).max(after) < named
            || confirmed.is_some_and(|confirmed| place < confirmed)
            || is_confirmed_later(database, &maps[index..], at, last_sequence.unwrap_or(after));
        if is_confirmed {
            return Err(Fault::new(&name, at as u64, problem).into());
        }
        let behind: usize = maps[index + 1..].iter().map(|(_, bytes)| bytes.len()).sum();
        let dropped_bytes = (bytes.len() - at + behind) as u64;
        let last_sequence = last_sequence.unwrap_or(after).max(after);
        let torn = TornTail { file: name, offset: at as u64, dropped_bytes };
        let confirmed = unconfirmed.begins(first_file, confirmed);
        let torn = Some(torn);
        return Ok(Recovered { files: numbers, end: place, confirmed, last_sequence, torn });
    }
    let last_sequence = last_sequence.unwrap_or(after).max(after);
    if last_sequence < named {
        return Err(
            missing_end(&maps, named, "is not there, and the manifest names its run").into()
        );
    }
    let confirmed = unconfirmed.begins(first_file, confirmed);
    Ok(Recovered { files: numbers, end, confirmed, last_sequence, torn: None })
}

/// The fault of a file of the log that ends, at a frame, before all that it held.
fn missing_end(before: &[(u64, Mapped)], sequence: Sequence, what: &str) -> Fault {
    let (number, len) = before.last().map_or((0, 0), |(number, bytes)| (*number, bytes.len()));
    let what = format!("the file ends early: frame {sequence} {what}");
    Fault::new(&file_name(number), len as u64, what)
}

/// Whether a whole frame behind the place, or the header of a later file, says that what stood
/// behind `last` had been synced before.
fn is_confirmed_later(database: &[u8], maps: &[(u64, Mapped)], at: usize, last: Sequence) -> bool {
    let mut from = at;
    for (index, (number, bytes)) in maps.iter().enumerate() {
        let salt = Salt::new(database, *number);
        if index > 0 && read_file_header(bytes, salt, *number).is_ok_and(|synced| synced > last) {
            return true;
        }
        while let Some((place, frame)) = FrameView::search(bytes, from, salt) {
            if frame.synced > last {
                return true;
            }
            from = place + frame.len();
        }
        from = 0;
    }
    false
}
