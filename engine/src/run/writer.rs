//! Writing a run.

use chronolith_disk::Disk;

use crate::block::Block;
use crate::chunk::body::encode_columns;
use crate::chunk::codec::gorilla::Gorilla;
use crate::chunk::codec::{MAX_COUNT, Policy};
use crate::error::{DiskError, ReadError};
use crate::model::Window;
use crate::new_file::NewFile;
use crate::protect::{Protect, Purpose};
use crate::record;

use super::{
    COLUMNS, GORILLA, Mark, Run, Section, VERSION, VERSION_BARE, file_name, header, trailer,
};

/// The most records of a section of columns.
const SECTION_RECORDS_MAX: usize = 1 << 20;
/// A section of columns is cut into two where it is longer, unless it has one record only: bytes,
/// of the records as they are.
const SECTION_BYTES_MAX: usize = 16 << 20;
/// The longest stream that is kept as it is: bytes.
const STREAM_BYTES_MAX: usize = 64 << 20;

/// Encoded columns of records of one window.
pub(crate) struct Columns {
    pub(crate) count: u32,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
    pub(crate) bytes: Vec<u8>,
}

/// Encodes records as columns that sections take: cut into two where one would be too long. They are handed over by
/// time.
pub(crate) fn encode_sections<E>(
    block: &Block,
    put: &mut impl FnMut(Columns) -> Result<(), E>,
) -> Result<(), E> {
    let (Some(first_ns), Some(last_ns)) = (block.first_time(), block.last_time()) else {
        return Ok(());
    };
    if fits_section(block) {
        let bytes = encode_columns(block, Policy::Fastest);
        return put(Columns { count: block.len() as u32, first_ns, last_ns, bytes });
    }
    let middle = block.len() / 2;
    encode_sections(&block.part(0..middle), put)?;
    encode_sections(&block.part(middle..block.len()), put)
}

/// Whether one section takes the records of a block.
pub(crate) fn fits_section(block: &Block) -> bool {
    block.len() <= SECTION_RECORDS_MAX && block.size_bytes() <= SECTION_BYTES_MAX
        || block.len() == 1
}

/// A run under construction, removed again where it is not finished. Sections must come in the
/// order of metric, window and time.
pub(crate) struct RunWriter<'a> {
    protect: &'a dyn Protect,
    mark: Mark,
    file: NewFile<'a>,
    table: Vec<u8>,
}

impl<'a> RunWriter<'a> {
    /// Begins run `number` of the database that these bytes name.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        protect: &'a dyn Protect,
        database: &[u8],
        number: u64,
    ) -> Result<Self, DiskError> {
        let file = NewFile::create(disk, file_name(number), &header(VERSION))?;
        Ok(Self { protect, mark: Mark::new(database, number), file, table: Vec::new() })
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
        let count = stream.len() as u32;
        let (offset, size, form) = (0, 0, GORILLA);
        let section = Section { metric, window, count, first_ns, last_ns, offset, size, form };
        self.put(section, |out| stream.copy_stream(out))?;
        Ok(true)
    }

    /// Adds records by time.
    pub(crate) fn push_block(
        &mut self,
        metric: u32,
        window: Window,
        block: &Block,
    ) -> Result<(), DiskError> {
        encode_sections(block, &mut |columns| self.push_columns(metric, window, &columns))
    }

    /// Adds encoded columns as they are.
    pub(crate) fn push_columns(
        &mut self,
        metric: u32,
        window: Window,
        columns: &Columns,
    ) -> Result<(), DiskError> {
        let Columns { count, first_ns, last_ns, ref bytes } = *columns;
        let (offset, size, form) = (0, 0, COLUMNS);
        let section = Section { metric, window, count, first_ns, last_ns, offset, size, form };
        self.put(section, |out| out.extend_from_slice(bytes))
    }

    /// Adds a section of another run: its record unchanged, where it says itself what it holds.
    pub(crate) fn push_section(&mut self, run: &Run, section: &Section) -> Result<(), ReadError> {
        if run.opened()?.version == VERSION_BARE {
            let content = run.content(section)?;
            return Ok(self.put(*section, |out| out.extend_from_slice(&content))?);
        }
        Ok(self.put_record(*section, run.record_of(section)?)?)
    }

    fn put(
        &mut self,
        section: Section,
        content: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), DiskError> {
        let (mut bytes, mut record) = (Vec::new(), Vec::new());
        section.put_words(&mut bytes);
        content(&mut bytes);
        record::put(&mut record, self.protect, Purpose::Run, &bytes);
        self.put_record(section, &record)
    }

    fn put_record(&mut self, section: Section, record: &[u8]) -> Result<(), DiskError> {
        let size = record.len() as u32;
        let buffer = self.file.buffer();
        buffer.extend_from_slice(&self.mark.before(size));
        buffer.extend_from_slice(record);
        let offset = self.file.len() - u64::from(size);
        Section { offset, size, ..section }.put(&mut self.table);
        self.file.relieve()
    }

    /// Writes the table and syncs the file; returns its length in bytes.
    pub(crate) fn finish(mut self) -> Result<u64, DiskError> {
        let offset = self.file.len();
        let size = record::put(self.file.buffer(), self.protect, Purpose::Run, &self.table);
        self.file.buffer().extend_from_slice(&trailer(offset, size as u64));
        self.file.finish()
    }
}
