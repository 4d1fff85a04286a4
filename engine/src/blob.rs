//! Blobs: values too large for a chunk, streamed in blocks and named by their content.
//!
//! A blob's id is the content id of its list: a DAG-CBOR map of the total length and, for each
//! raw block of at most 1 MiB, its content id and the length up to its end. Any IPLD tool can
//! follow it.
//!
//! ```text
//! blobs/CID.blob: "CLBLOB" · version u16 · one record per block · one record { list }
//! trailer, 24 bytes: list offset u64 · list record length u32 · crc32 u32 · "CLBLOBED"
//! ```

mod reader;
mod rebuild;
mod writer;

use std::collections::BTreeMap;

use cid::Cid;
use ipld_core::ipld::Ipld;

pub use reader::BlobReader;
pub(crate) use rebuild::rebuild;
pub(crate) use writer::write;

/// The folder of blobs.
pub(crate) const DIR: &str = "blobs";
/// The longest block: bytes.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"CLBLOB\x01\0";
const END_MAGIC: [u8; 8] = *b"CLBLOBED";
const TRAILER_BYTES: usize = 24;

/// The file of a blob.
pub(crate) fn file_name(cid: &Cid) -> String {
    format!("{DIR}/{cid}.blob")
}

/// A list as it is encoded.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    v: u64,
    blocks: Vec<(Cid, u64)>,
}

/// The blocks of a blob: content id and the length of the content up to the block's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockList {
    pub(crate) blocks: Vec<(Cid, u64)>,
}

impl BlockList {
    /// The length of the content: bytes.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.blocks.last().map_or(0, |(_, end)| *end)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let block = |(cid, end): &(Cid, u64)| {
            Ipld::List(vec![Ipld::Link(*cid), Ipld::Integer((*end).into())])
        };
        let fields = BTreeMap::from([
            ("v".to_owned(), Ipld::Integer(1)),
            ("blocks".to_owned(), Ipld::List(self.blocks.iter().map(block).collect())),
        ]);
        // Writing to memory cannot fail, and nothing in it is a float.
        serde_ipld_dagcbor::to_vec(&Ipld::Map(fields)).unwrap_or_default()
    }

    /// Reads a list: `None` for anything that [`BlockList::to_bytes`] would not write.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Fields { v: 1, blocks } = serde_ipld_dagcbor::from_slice(bytes).ok()? else {
            return None;
        };
        let ends = || blocks.iter().map(|(_, end)| *end);
        let fits = |(before, end): (u64, u64)| {
            end.checked_sub(before).is_some_and(|size| (1..=BLOCK_BYTES as u64).contains(&size))
        };
        if !std::iter::once(0).chain(ends()).zip(ends()).all(fits) {
            return None;
        }
        let list = Self { blocks };
        (list.to_bytes() == bytes).then_some(list)
    }
}
