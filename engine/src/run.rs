//! Runs: unsealed records on disk (level 0), written when the memtable is full.
//!
//! ```text
//! header, 16 bytes: "CLRUN\0" · version u16 · reserved [u8; 8]
//! sections in the order of (metric, window, first time), each:
//!   mark u32 · record length u32 · record { what it holds · content }
//! table: one record { for each section 48 bytes:
//!   metric u32 · count u32 · window i64 · offset u64 · size u32 · form u32 · first i64 · last i64 }
//! trailer, 28 bytes: table offset u64 · table length u64 · crc32 u32 · "CLRUNEND"
//! ```
//!
//! Form 0 is a Gorilla stream, form 1 the columns of a chunk's body. A window of very many records
//! has several sections of form 1, by time.
//!
//! The table is what readers search. A section says itself what it holds, so that one without a
//! table is still found: its mark is that of the file alone, and no value can pass for one. Sections
//! of version 1 had neither mark nor words of their own, and are still read.

mod mend;
mod section;
mod writer;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use chronolith_disk::{Disk, Mapped};

use crate::block::Block;
use crate::chunk::body::BodyView;
use crate::chunk::codec::gorilla;
use crate::encoding::Reader;
use crate::error::{DiskContext, Fault, ReadError};
use crate::memtable::column_from_bits;
use crate::model::{Kind, Window};
use crate::protect::{Protect, Purpose};
use crate::record;

pub(crate) use mend::{Mended, mend};
pub(crate) use section::{Mark, Section};
pub(crate) use writer::{Columns, RunWriter, encode_sections, fits_section};

/// The folder of all runs.
pub(crate) const DIR: &str = "runs";
/// The version that this program writes.
const VERSION: u16 = 2;
/// The version whose sections have no words of their own.
const VERSION_BARE: u16 = 1;
const MAGIC: [u8; 6] = *b"CLRUN\0";
const END_MAGIC: [u8; 8] = *b"CLRUNEND";
const HEADER_BYTES: usize = 16;
const TRAILER_BYTES: usize = 28;
const ROW_BYTES: usize = 48;

const GORILLA: u32 = 0;
const COLUMNS: u32 = 1;

/// The name of the run with a number.
pub(crate) fn file_name(number: u64) -> String {
    format!("{DIR}/{number:012}.run")
}

fn header(version: u16) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..6].copy_from_slice(&MAGIC);
    header[6..8].copy_from_slice(&version.to_le_bytes());
    header
}

/// The last bytes of a run whose table is a record of `size` bytes at `offset`.
fn trailer(offset: u64, size: u64) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[..8].copy_from_slice(&offset.to_le_bytes());
    trailer[8..16].copy_from_slice(&size.to_le_bytes());
    let crc = crc32fast::hash(&trailer[..16]);
    trailer[16..20].copy_from_slice(&crc.to_le_bytes());
    trailer[20..].copy_from_slice(&END_MAGIC);
    trailer
}

/// The version that the header of a run names, where this program reads it.
fn version_of(bytes: &[u8]) -> Option<u16> {
    let known = [VERSION, VERSION_BARE];
    known.into_iter().find(|version| bytes.get(..HEADER_BYTES) == Some(&header(*version)))
}

/// A run on disk. Opened when it is first read from.
pub(crate) struct Run {
    disk: Arc<dyn Disk>,
    protect: Arc<dyn Protect>,
    name: String,
    size_bytes: u64,
    opened: OnceLock<Opened>,
}

struct Opened {
    map: Mapped,
    version: u16,
    /// Where the table begins in the map; the table itself where it had to be opened with a key.
    table: std::ops::Range<usize>,
    unprotected: Option<Vec<u8>>,
}

impl Opened {
    fn rows(&self) -> &[[u8; ROW_BYTES]] {
        let table = match &self.unprotected {
            Some(table) => table,
            None => &self.map[self.table.clone()],
        };
        table.as_chunks().0
    }
}

impl Run {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        protect: Arc<dyn Protect>,
        name: String,
        size_bytes: u64,
    ) -> Self {
        Self { disk, protect, name, size_bytes, opened: OnceLock::new() }
    }

    /// Its file, relative to the database directory.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn fault(&self, offset: u64, what: impl Into<String>) -> Fault {
        Fault::new(&self.name, offset, what)
    }

    fn opened(&self) -> Result<&Opened, ReadError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let map = match self.disk.map(&self.name).at(&*self.disk, "read", &self.name) {
            Ok(map) => map,
            // Whoever removes a file has it open: since the look above, in that case.
            Err(error) => return self.opened.get().ok_or_else(|| error.into()),
        };
        let opened = self.read_table(map)?;
        Ok(self.opened.get_or_init(|| opened))
    }

    /// Opens the file, which stays readable from then on.
    pub(crate) fn hold(&self) -> Result<(), ReadError> {
        self.opened().map(drop)
    }

    fn read_table(&self, map: Mapped) -> Result<Opened, Fault> {
        if map.len() as u64 != self.size_bytes {
            let (found, expected) = (map.len(), self.size_bytes);
            let what = format!("the file has {found} bytes instead of {expected}");
            return Err(self.fault(expected.min(found as u64), what));
        }
        let Some(version) = version_of(&map) else {
            return Err(self.fault(0, "the header of the run is damaged or of another version"));
        };
        let at = map.len().saturating_sub(TRAILER_BYTES);
        let damaged = || self.fault(at as u64, "the trailer of the run is damaged");
        let trailer: [u8; TRAILER_BYTES] = map[at..].try_into().map_err(|_| damaged())?;
        let mut reader = Reader::new(&trailer);
        let read = (reader.u64(), reader.u64(), reader.u32());
        let (Ok(offset), Ok(size), Ok(crc)) = read else { return Err(damaged()) };
        if crc != crc32fast::hash(&trailer[..16]) || trailer[20..] != END_MAGIC {
            return Err(damaged());
        }
        let start = usize::try_from(offset).map_err(|_| damaged())?;
        let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
        let record = end.and_then(|end| map.get(start..end)).ok_or_else(damaged)?;
        let table = record::get(record, &*self.protect, Purpose::Run, &self.name, offset)?;
        if table.len() % ROW_BYTES != 0 {
            return Err(self.fault(offset, "the table of the run is cut short"));
        }
        let (unprotected, range) = match table {
            Cow::Owned(table) => (Some(table), 0..0),
            // In the clear a record is one byte of scheme, the content and the checksum.
            Cow::Borrowed(table) => (None, start + 1..start + 1 + table.len()),
        };
        let opened = Opened { map, version, table: range, unprotected };
        let key = |row: &[u8; ROW_BYTES]| {
            Section::read(row).map(|section| (section.metric, section.window, section.first_ns))
        };
        if !opened.rows().is_sorted_by(|a, b| key(a) < key(b)) {
            return Err(self.fault(offset, "the table of the run is not in order"));
        }
        Ok(opened)
    }

    /// All sections, in order.
    pub(crate) fn sections(&self) -> Result<impl Iterator<Item = Section>, ReadError> {
        Ok(self.opened()?.rows().iter().filter_map(Section::read))
    }

    /// The metric's sections with windows from `first` to `last`, in order.
    pub(crate) fn sections_of(
        &self,
        metric: u32,
        first: Window,
        last: Window,
    ) -> Result<impl Iterator<Item = Section>, ReadError> {
        let rows = self.opened()?.rows();
        let key = |row: &[u8; ROW_BYTES]| Section::read(row).map(|s| (s.metric, s.window));
        let start = rows.partition_point(|row| key(row) < Some((metric, first)));
        let found = rows[start..].iter().filter_map(Section::read);
        Ok(found.take_while(move |s| (s.metric, s.window) <= (metric, last)))
    }

    /// The whole record of a section, not checked.
    pub(crate) fn record_of(&self, section: &Section) -> Result<&[u8], ReadError> {
        let opened = self.opened()?;
        let start = usize::try_from(section.offset).ok();
        let record = start
            .and_then(|start| opened.map.get(start..start.checked_add(section.size as usize)?));
        Ok(record.ok_or_else(|| self.fault(section.offset, "a section reaches past the end"))?)
    }

    /// The content of a section, without what it says of itself, which must be what the table does.
    fn content(&self, section: &Section) -> Result<Cow<'_, [u8]>, ReadError> {
        let record = self.record_of(section)?;
        let content =
            record::get(record, &*self.protect, Purpose::Run, &self.name, section.offset)?;
        if self.opened()?.version == VERSION_BARE {
            return Ok(content);
        }
        let mut reader = Reader::new(&content);
        let fault = |what: String| self.fault(section.offset, what);
        let words = Section::read_words(&mut reader).map_err(|error| fault(error.to_string()))?;
        if words != (Section { offset: 0, size: 0, ..*section }) {
            return Err(fault("a section is another than the table says".to_owned()).into());
        }
        let start = content.len() - reader.remaining();
        Ok(match content {
            Cow::Borrowed(content) => Cow::Borrowed(&content[start..]),
            Cow::Owned(mut content) => Cow::Owned(content.split_off(start)),
        })
    }

    /// Checks what only a repair reads: the mark before a section, which is that of this file.
    pub(crate) fn check_mark(&self, section: &Section, mark: Mark) -> Result<(), ReadError> {
        let opened = self.opened()?;
        if opened.version == VERSION_BARE {
            return Ok(());
        }
        let end = usize::try_from(section.offset).unwrap_or(usize::MAX);
        let place = end.checked_sub(Mark::BYTES).and_then(|start| opened.map.get(start..end));
        if place != Some(&mark.before(section.size)) {
            let offset = section.offset.saturating_sub(Mark::BYTES as u64);
            return Err(self.fault(offset, "the mark of a section is damaged").into());
        }
        Ok(())
    }

    /// The records of a section.
    pub(crate) fn decode(&self, section: &Section, kind: Kind) -> Result<Block, ReadError> {
        let bytes = self.content(section)?;
        let fault = |what: String| self.fault(section.offset, what);
        let count = section.count as usize;
        let block = match section.form {
            GORILLA if matches!(kind, Kind::Text | Kind::Bytes) => {
                return Err(fault(format!("a Gorilla stream cannot hold {kind}")).into());
            }
            GORILLA => {
                let (mut times, mut bits) = (Vec::new(), Vec::new());
                gorilla::decode(&bytes, count, &mut times, &mut bits)
                    .map_err(|error| fault(error.to_string()))?;
                if !times.is_sorted_by(|a, b| a < b) {
                    return Err(fault("the times of a section do not rise".to_owned()).into());
                }
                Block::from_columns(times, column_from_bits(kind, bits))
            }
            COLUMNS => BodyView::parse_columns(&bytes, count)
                .and_then(|view| view.decode(kind))
                .map_err(|error| fault(error.to_string()))?,
            form => return Err(fault(format!("form {form} of a section is not known")).into()),
        };
        Ok(block)
    }
}
