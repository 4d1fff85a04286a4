//! Reading a blob: a stream with seek, every block checked against its content id.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use chronolith_disk::{Disk, Mapped};
use chronolith_merkle::matches;

use crate::encoding::Reader;
use crate::error::{DiskContext, Fault, ReadError};
use crate::model::BlobRef;
use crate::protect::{Protect, Purpose};
use crate::record;

use super::{BLOCK_BYTES, BlockList, END_MAGIC, MAGIC, TRAILER_BYTES, file_name};

/// The content of a blob. A damaged block is an error of kind `InvalidData` that names the file
/// and the place.
pub struct BlobReader {
    protect: Arc<dyn Protect>,
    name: String,
    map: Mapped,
    list: BlockList,
    /// Where each block's record begins in the file, and the end of the last.
    offsets: Vec<u64>,
    /// The block that was read last, and its number.
    block: Option<(usize, Vec<u8>)>,
    position: u64,
}

impl BlobReader {
    pub(crate) fn open(
        disk: &dyn Disk,
        protect: Arc<dyn Protect>,
        blob: &BlobRef,
    ) -> Result<Self, ReadError> {
        let name = file_name(&blob.cid);
        if !disk.exists(&name).at(disk, "look for", &name)? {
            return Err(ReadError::UnknownBlob(blob.cid.to_string()));
        }
        let map = disk.map(&name).at(disk, "read", &name)?;
        let (list, offsets) = read_list(&*protect, &name, &map, blob)?;
        Ok(Self { protect, name, map, list, offsets, block: None, position: 0 })
    }

    /// The length of the content: bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.list.len_bytes()
    }

    /// Checks all blocks; the places of those that are damaged.
    pub(crate) fn faults(&mut self) -> Vec<Fault> {
        let blocks = 0..self.list.blocks.len();
        blocks.filter_map(|number| self.read_block(number).err()).collect()
    }

    fn read_block(&self, number: usize) -> Result<Vec<u8>, Fault> {
        let offset = self.offsets[number];
        let range = offset as usize..self.offsets[number + 1] as usize;
        let fault = |what: &str| Fault::new(&self.name, offset, what);
        let record = self.map.get(range).ok_or_else(|| fault("a block is cut short"))?;
        let block = record::get(record, &*self.protect, Purpose::Blob, &self.name, offset)?;
        let before = number.checked_sub(1).map_or(0, |before| self.list.blocks[before].1);
        let (cid, end) = &self.list.blocks[number];
        if !matches(cid, &block) || block.len() as u64 != end - before {
            return Err(fault("a block is not what the blob's list names"));
        }
        Ok(block.into_owned())
    }
}

fn read_list(
    protect: &dyn Protect,
    name: &str,
    map: &[u8],
    blob: &BlobRef,
) -> Result<(BlockList, Vec<u64>), Fault> {
    let at = map.len().saturating_sub(TRAILER_BYTES);
    let fault = |offset: usize, what: &str| Fault::new(name, offset as u64, what);
    let damaged = || fault(at, "the trailer of the blob is damaged");
    if map.get(..MAGIC.len()) != Some(&MAGIC) {
        return Err(fault(0, "the header of the blob is damaged or of another version"));
    }
    let mut reader = Reader::new(&map[at..]);
    let read = (reader.u64(), reader.u32(), reader.u32(), reader.array::<8>());
    let (Ok(offset), Ok(size), Ok(crc), Ok(end)) = read else { return Err(damaged()) };
    if crc != crc32fast::hash(&map[at..at + 12]) || end != END_MAGIC {
        return Err(damaged());
    }
    let start = usize::try_from(offset).map_err(|_| damaged())?;
    let record = start.checked_add(size as usize).and_then(|end| map.get(start..end));
    let record = record.ok_or_else(damaged)?;
    let listed = record::get(record, protect, Purpose::Blob, name, offset)?;
    let list = BlockList::from_bytes(&listed).filter(|_| matches(&blob.cid, &listed));
    let list = list.filter(|list| list.len_bytes() == blob.len_bytes);
    let list = list.ok_or_else(|| fault(start, "the list is not what the blob's id names"))?;
    // Records of blocks differ from the blocks by the same number of bytes each.
    let payload = offset.checked_sub(MAGIC.len() as u64 + list.len_bytes());
    let blocks = list.blocks.len() as u64;
    let overhead = match (payload, blocks) {
        (Some(0), 0) => 0,
        (Some(extra), 1..) if extra % blocks == 0 => extra / blocks,
        _ => return Err(fault(start, "the blocks do not fill the file")),
    };
    let mut offsets = vec![MAGIC.len() as u64];
    let mut before = 0;
    let mut next = MAGIC.len() as u64;
    for (_, end) in &list.blocks {
        next += end - before + overhead;
        before = *end;
        offsets.push(next);
    }
    Ok((list, offsets))
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.len_bytes() || buffer.is_empty() {
            return Ok(0);
        }
        let number = self.list.blocks.partition_point(|(_, end)| *end <= self.position);
        if self.block.as_ref().is_none_or(|(read, _)| *read != number) {
            let block = self.read_block(number);
            let block = block.map_err(|f| io::Error::new(io::ErrorKind::InvalidData, f))?;
            self.block = Some((number, block));
        }
        let Some((_, block)) = &self.block else { return Ok(0) };
        let before = number.checked_sub(1).map_or(0, |before| self.list.blocks[before].1);
        let rest = block.get((self.position - before) as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.len_bytes().checked_add_signed(offset),
        };
        let before_start = || io::Error::new(io::ErrorKind::InvalidInput, "before the start");
        self.position = position.ok_or_else(before_start)?;
        Ok(self.position)
    }
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, position) = (&self.name, self.position);
        f.debug_struct("BlobReader").field("name", name).field("position", &position).finish()
    }
}

const _: () = assert!(BLOCK_BYTES <= u32::MAX as usize);
