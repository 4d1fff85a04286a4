//! Runs: unsealed records on disk (level 0), written when the memtable is full.
//!
//! ```text
//! header, 16 bytes: "CLRUN\0" · version u16 · reserved [u8; 8]
//! sections, one record each, in the order of (metric, window)
//! table: one record { for each section 48 bytes:
//!   metric u32 · count u32 · window i64 · offset u64 · size u32 · form u32 · first i64 · last i64 }
//! trailer, 28 bytes: table offset u64 · table length u64 · crc32 u32 · "CLRUNEND"
//! ```
//!
//! Form 0 is a Gorilla stream, form 1 the columns of a chunk's body. A window of very many records
//! has several sections of form 1, by time.

mod mend;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use chronolith_disk::{Disk, DiskFile, Mapped};

use crate::block::Block;
use crate::chunk::body::{BodyView, encode_columns};
use crate::chunk::codec::gorilla::{self, Gorilla};
use crate::chunk::codec::{MAX_COUNT, Policy};
use crate::encoding::Reader;
use crate::error::{DiskContext, DiskError, Fault, ReadError};
use crate::memtable::column_from_bits;
use crate::model::{Kind, Window};
use crate::protect::{Protect, Purpose};
use crate::record;

pub(crate) use mend::mend;

/// The folder of all runs.
pub(crate) const DIR: &str = "runs";
const VERSION: u16 = 1;
const MAGIC: [u8; 6] = *b"CLRUN\0";
const END_MAGIC: [u8; 8] = *b"CLRUNEND";
const HEADER_BYTES: usize = 16;
const TRAILER_BYTES: usize = 28;
const ROW_BYTES: usize = 48;
const BUFFER_BYTES: usize = 1 << 20;

const GORILLA: u32 = 0;
const COLUMNS: u32 = 1;

/// The name of the run with a number.
pub(crate) fn file_name(number: u64) -> String {
    format!("{DIR}/{number:012}.run")
}

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..6].copy_from_slice(&MAGIC);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header
}

/// One metric's records of one window in a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Section {
    pub(crate) metric: u32,
    pub(crate) window: Window,
    pub(crate) count: u32,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
    offset: u64,
    size: u32,
    form: u32,
}

impl Section {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.metric.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.window.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.form.to_le_bytes());
        out.extend_from_slice(&self.first_ns.to_le_bytes());
        out.extend_from_slice(&self.last_ns.to_le_bytes());
    }

    fn read(row: &[u8; ROW_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(row);
        let signed = |reader: &mut Reader<'_>| Some(reader.u64().ok()? as i64);
        Some(Self {
            metric: reader.u32().ok()?,
            count: reader.u32().ok()?,
            window: signed(&mut reader)?,
            offset: reader.u64().ok()?,
            size: reader.u32().ok()?,
            form: reader.u32().ok()?,
            first_ns: signed(&mut reader)?,
            last_ns: signed(&mut reader)?,
        })
    }
}

/// The most records of a section of columns.
const SECTION_RECORDS_MAX: usize = 1 << 20;
/// A section of columns is cut into two where it is longer, unless it has one record only: bytes.
const SECTION_BYTES_MAX: usize = 16 << 20;
/// The longest stream that is kept as it is: bytes.
const STREAM_BYTES_MAX: usize = 64 << 20;

/// A run under construction, removed again where it is not finished. Sections must come in the
/// order of metric, window and time.
pub(crate) struct RunWriter<'a> {
    disk: &'a dyn Disk,
    protect: &'a dyn Protect,
    name: String,
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    offset: u64,
    table: Vec<u8>,
    is_finished: bool,
}

impl Drop for RunWriter<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            // What fails here is removed by the next opening.
            let _ = self.disk.remove(&self.name);
        }
    }
}

impl<'a> RunWriter<'a> {
    pub(crate) fn create(
        disk: &'a dyn Disk,
        protect: &'a dyn Protect,
        name: String,
    ) -> Result<Self, DiskError> {
        let file = disk.open(&name).at(disk, "create", &name)?;
        file.set_len(0).at(disk, "empty", &name)?;
        let (buffer, offset) = (header().to_vec(), HEADER_BYTES as u64);
        let table = Vec::new();
        Ok(Self { disk, protect, name, file, buffer, offset, table, is_finished: false })
    }

    /// Adds a stream as it is; `false`, and nothing is added, where it is too long to be read back.
    pub(crate) fn push_stream(
        &mut self,
        metric: u32,
        window: Window,
        stream: &Gorilla,
    ) -> Result<bool, DiskError> {
        let (Some(first_ns), Some((last_ns, _))) = (stream.first_time(), stream.last()) else {
            return Ok(false);
        };
        if stream.len() > MAX_COUNT || stream.size_bytes() > STREAM_BYTES_MAX {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        stream.copy_stream(&mut bytes);
        self.put((metric, window), stream.len(), first_ns, last_ns, GORILLA, &bytes)?;
        Ok(true)
    }

    /// Adds records by time.
    pub(crate) fn push_block(
        &mut self,
        metric: u32,
        window: Window,
        block: &Block,
    ) -> Result<(), DiskError> {
        let (Some(first_ns), Some(last_ns)) = (block.first_time(), block.last_time()) else {
            return Ok(());
        };
        if block.len() <= SECTION_RECORDS_MAX {
            let bytes = encode_columns(block, Policy::Fastest);
            if bytes.len() <= SECTION_BYTES_MAX || block.len() == 1 {
                return self.put((metric, window), block.len(), first_ns, last_ns, COLUMNS, &bytes);
            }
        }
        let middle = block.len() / 2;
        self.push_block(metric, window, &block.part(0..middle))?;
        self.push_block(metric, window, &block.part(middle..block.len()))
    }

    /// Adds a section of another run: its whole record, unchanged.
    pub(crate) fn push_record(
        &mut self,
        section: &Section,
        record: &[u8],
    ) -> Result<(), DiskError> {
        self.buffer.extend_from_slice(record);
        self.note(Section { offset: self.offset, size: record.len() as u32, ..*section })
    }

    fn put(
        &mut self,
        (metric, window): (u32, Window),
        count: usize,
        first_ns: i64,
        last_ns: i64,
        form: u32,
        bytes: &[u8],
    ) -> Result<(), DiskError> {
        let size = record::put(&mut self.buffer, self.protect, Purpose::Run, bytes) as u32;
        let (count, offset) = (count as u32, self.offset);
        self.note(Section { metric, window, count, first_ns, last_ns, offset, size, form })
    }

    fn note(&mut self, section: Section) -> Result<(), DiskError> {
        section.put(&mut self.table);
        self.offset += u64::from(section.size);
        self.write_out(BUFFER_BYTES)
    }

    fn write_out(&mut self, threshold: usize) -> Result<(), DiskError> {
        if self.buffer.len() >= threshold {
            self.file.append(&self.buffer).at(self.disk, "write", &self.name)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes the table and syncs the file; returns its length in bytes.
    pub(crate) fn finish(mut self) -> Result<u64, DiskError> {
        let size = record::put(&mut self.buffer, self.protect, Purpose::Run, &self.table);
        let mut trailer = Vec::with_capacity(TRAILER_BYTES);
        trailer.extend_from_slice(&self.offset.to_le_bytes());
        trailer.extend_from_slice(&(size as u64).to_le_bytes());
        let crc = crc32fast::hash(&trailer);
        trailer.extend_from_slice(&crc.to_le_bytes());
        trailer.extend_from_slice(&END_MAGIC);
        self.buffer.extend_from_slice(&trailer);
        self.write_out(1)?;
        self.file.sync().at(self.disk, "sync", &self.name)?;
        self.is_finished = true;
        Ok(self.offset + (size + TRAILER_BYTES) as u64)
    }
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

    fn fault(&self, offset: u64, what: impl Into<String>) -> Fault {
        Fault::new(&self.name, offset, what)
    }

    fn opened(&self) -> Result<&Opened, ReadError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let map = self.disk.map(&self.name).at(&*self.disk, "read", &self.name)?;
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
        if map.get(..HEADER_BYTES) != Some(&header()) {
            return Err(self.fault(0, "the header of the run is damaged or of another version"));
        }
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
        let opened = Opened { map, table: range, unprotected };
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

    /// The records of a section.
    pub(crate) fn decode(&self, section: &Section, kind: Kind) -> Result<Block, ReadError> {
        let record = self.record_of(section)?;
        let protect = &*self.protect;
        let bytes = record::get(record, protect, Purpose::Run, &self.name, section.offset)?;
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
