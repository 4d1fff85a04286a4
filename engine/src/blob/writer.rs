//! Writing a blob without ever holding more than one block of it.

use std::io::{self, Read};

use chronolith_disk::Disk;
use chronolith_merkle::{DAG_CBOR, HashFunction, RAW, content_id};

use crate::error::{DiskContext, DiskError};
use crate::model::BlobRef;
use crate::protect::{Protect, Purpose};
use crate::record;

use super::{BLOCK_BYTES, BlockList, DIR, END_MAGIC, MAGIC, file_name};

/// Streams content into the blob store; it is on stable storage when this returns. `temporary`
/// must be a number that no other writer uses. `named` is told what the blob is called before its
/// name appears, so that nobody takes it for a blob that nothing needs. Where writing fails, what
/// was written is removed.
pub(crate) fn write(
    disk: &dyn Disk,
    protect: &dyn Protect,
    function: HashFunction,
    temporary: u64,
    content: &mut dyn Read,
    named: &mut dyn FnMut(BlobRef),
) -> Result<BlobRef, DiskError> {
    let name = format!("{DIR}/{temporary:012}.part");
    let written = write_part(disk, protect, function, &name, content).and_then(|blob| {
        named(blob);
        disk.rename(&name, &file_name(&blob.cid)).at(disk, "rename", &name)?;
        Ok(blob)
    });
    let Ok(blob) = written else {
        // What fails here is removed by the next opening.
        let _ = disk.remove(&name);
        return written;
    };
    disk.sync_dir(DIR).at(disk, "sync", DIR)?;
    Ok(blob)
}

fn write_part(
    disk: &dyn Disk,
    protect: &dyn Protect,
    function: HashFunction,
    name: &str,
    content: &mut dyn Read,
) -> Result<BlobRef, DiskError> {
    let file = disk.open(name).at(disk, "create", name)?;
    file.set_len(0).at(disk, "empty", name)?;
    file.append(&MAGIC).at(disk, "write", name)?;
    let mut list = BlockList { blocks: Vec::new() };
    let (mut block, mut bytes) = (Vec::new(), Vec::new());
    let mut offset = MAGIC.len() as u64;
    loop {
        block.clear();
        read_block(content, &mut block).at(disk, "read the content of", name)?;
        if block.is_empty() {
            break;
        }
        let end = list.len_bytes() + block.len() as u64;
        list.blocks.push((content_id(RAW, function, &block), end));
        bytes.clear();
        offset += record::put(&mut bytes, protect, Purpose::Blob, &block) as u64;
        file.append(&bytes).at(disk, "write", name)?;
    }
    let listed = list.to_bytes();
    bytes.clear();
    let size = record::put(&mut bytes, protect, Purpose::Blob, &listed) as u32;
    bytes.extend_from_slice(&trailer(offset, size));
    file.append(&bytes).at(disk, "write", name)?;
    file.sync().at(disk, "sync", name)?;
    let cid = content_id(DAG_CBOR, function, &listed);
    Ok(BlobRef { cid, len_bytes: list.len_bytes() })
}

/// The trailer of a blob whose list has its record here.
pub(super) fn trailer(offset: u64, size: u32) -> Vec<u8> {
    let mut trailer = Vec::new();
    trailer.extend_from_slice(&offset.to_le_bytes());
    trailer.extend_from_slice(&size.to_le_bytes());
    let crc = crc32fast::hash(&trailer);
    trailer.extend_from_slice(&crc.to_le_bytes());
    trailer.extend_from_slice(&END_MAGIC);
    trailer
}

fn read_block(content: &mut dyn Read, block: &mut Vec<u8>) -> io::Result<()> {
    content.take(BLOCK_BYTES as u64).read_to_end(block).map(drop)
}
