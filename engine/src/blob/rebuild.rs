//! Rebuilding a damaged blob from its blocks.

use std::borrow::Cow;

use chronolith_disk::Disk;
use chronolith_merkle::{DAG_CBOR, HashFunction, RAW, content_id};

use crate::error::{DiskContext, DiskError};
use crate::protect::{Protect, Purpose};
use crate::record;

use super::{BLOCK_BYTES, BlockList, DIR, MAGIC, TRAILER_BYTES, file_name, writer};

/// Rebuilds the file of a blob where the content is whole, whatever became of its header, list,
/// trailer and checksums: what is written has the id that the file is named by. Whether it was.
pub(crate) fn rebuild(
    disk: &dyn Disk,
    protect: &dyn Protect,
    name: &str,
    bytes: &[u8],
) -> Result<bool, DiskError> {
    let end = bytes.len().saturating_sub(TRAILER_BYTES);
    let functions = [HashFunction::Sha256, HashFunction::Blake3];
    // With the blocks as they are, whatever their checksums say; then with what these mend.
    let ways = functions.into_iter().flat_map(|f| [(f, false), (f, true)]);
    let forms = record::forms(protect, Purpose::Blob);
    let ways = ways
        .flat_map(|(f, mends)| forms.iter().map(move |form| (f, Form { mends, overhead: form.1 })));
    for (function, form) in ways {
        // The list ends before the trailer. How long it is follows from the number of blocks,
        // how long the last block is from what is left.
        for blocks in 0..=bytes.len().div_ceil(BLOCK_BYTES) {
            let Some((list, content)) = content(bytes, end, blocks, function, &form, protect)
            else {
                continue;
            };
            let listed = list.to_bytes();
            if file_name(&content_id(DAG_CBOR, function, &listed)) != name {
                continue;
            }
            let mut built = MAGIC.to_vec();
            for block in content {
                record::put(&mut built, protect, Purpose::Blob, &block);
            }
            let offset = built.len() as u64;
            let size = record::put(&mut built, protect, Purpose::Blob, &listed) as u32;
            built.extend_from_slice(&writer::trailer(offset, size));
            let temporary = format!("{DIR}/rebuilt.part");
            let file = disk.open(&temporary).at(disk, "create", &temporary)?;
            file.set_len(0).at(disk, "empty", &temporary)?;
            file.append(&built).at(disk, "write", &temporary)?;
            file.sync().at(disk, "sync", &temporary)?;
            disk.rename(&temporary, name).at(disk, "rename", &temporary)?;
            disk.sync_dir(DIR).at(disk, "sync", DIR)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a file's records are taken for.
struct Form {
    /// Whether damaged ones are mended first.
    mends: bool,
    /// What each adds to its content: bytes.
    overhead: usize,
}

/// What is in the record of a block.
fn inner<'a>(block: &'a [u8], form: &Form, protect: &dyn Protect) -> Option<Cow<'a, [u8]>> {
    let end = block.len().checked_sub(4)?;
    let mended = (form.mends && !record::checksum_holds(block)).then(|| {
        let mut mended = block.to_vec();
        record::mend(&mut mended);
        mended
    });
    if form.overhead != record::OVERHEAD_BYTES {
        let record = mended.as_deref().unwrap_or(block);
        let content = record::get(record, protect, Purpose::Blob, "", 0).ok()?;
        return Some(Cow::Owned(content.into_owned()));
    }
    match mended {
        Some(mended) => Some(Cow::Owned(mended.get(1..end)?.to_vec())),
        None => block.get(1..end).map(Cow::Borrowed),
    }
}

/// The list and the blocks of a file of a form that would have so many.
fn content<'a>(
    bytes: &'a [u8],
    end: usize,
    blocks: usize,
    function: HashFunction,
    form: &Form,
    protect: &dyn Protect,
) -> Option<(BlockList, Vec<Cow<'a, [u8]>>)> {
    let zeros = BlockList { blocks: vec![(content_id(RAW, function, &[]), u64::MAX); blocks] };
    // How long a list is depends on the lengths in it a little.
    let longest = zeros.to_bytes().len() + form.overhead;
    let shortest = longest.saturating_sub(9 * blocks);
    for size in shortest..=longest {
        let Some(mut rest) = bytes.get(MAGIC.len()..end.checked_sub(size)?) else { continue };
        let (mut list, mut content) = (BlockList { blocks: Vec::new() }, Vec::new());
        while !rest.is_empty() {
            let (block, behind) = rest.split_at(rest.len().min(BLOCK_BYTES + form.overhead));
            let Some(inner) = inner(block, form, protect).filter(|inner| !inner.is_empty()) else {
                break;
            };
            let end = list.len_bytes() + inner.len() as u64;
            list.blocks.push((content_id(RAW, function, &inner), end));
            content.push(inner);
            rest = behind;
        }
        if rest.is_empty()
            && list.blocks.len() == blocks
            && list.to_bytes().len() + form.overhead == size
        {
            return Some((list, content));
        }
    }
    None
}
