//! Nodes of catalogues: the block that a content id names, and the shorter form of proofs.
//!
//! The block is canonical DAG-CBOR (`docs/format/chunk.md`). In a proof the verifier makes the block anew
//! and compares its hash, so a proof may say the same in fewer bytes:
//!
//! ```text
//! height varint · entries varint · entries
//! entry:  metric flag u8 (0 as in the entry before · 1 and 32 bytes) · window signed varint, less the entry
//!         before's where the metric is as in it · generation varint · part varint · header id
//!         above height 0: chunks varint · id of the node below
//! id:     number of the hash function u8 · digest [u8; 32]
//! ```

use std::collections::BTreeMap;

use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};
use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::Deserialize;
use serde_bytes::ByteArray;

use super::CatalogueEntry;
use crate::encoding::{Malformed, Reader, put_signed, put_varint};

/// The version of nodes that this program writes.
const VERSION: u64 = 1;
/// An entry of a proof takes so many bytes at least.
const ENTRY_BYTES_MIN: usize = 37;

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// 0 where the entries are chunks.
    pub(super) height: u32,
    pub(super) entries: Vec<NodeEntry>,
}

/// A chunk; above height 0 the first one below, and the node that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeEntry {
    pub(super) first: CatalogueEntry,
    pub(super) below: Option<Below>,
}

/// A node below, and how many chunks there are under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Below {
    pub(super) chunks: u64,
    pub(super) node: Cid,
}

impl CatalogueEntry {
    fn to_ipld(self) -> Ipld {
        Ipld::List(vec![
            Ipld::Bytes(self.metric.to_vec()),
            Ipld::Integer(self.window.into()),
            Ipld::Integer(self.generation.into()),
            Ipld::Integer(self.part.into()),
            Ipld::Link(self.header),
        ])
    }
}

impl NodeEntry {
    fn to_ipld(self) -> Ipld {
        match self.below {
            None => self.first.to_ipld(),
            Some(Below { chunks, node }) => Ipld::List(vec![
                self.first.to_ipld(),
                Ipld::Integer(chunks.into()),
                Ipld::Link(node),
            ]),
        }
    }

    /// How many chunks there are under it, itself where it is one.
    pub(super) fn chunks(&self) -> u64 {
        self.below.map_or(1, |below| below.chunks)
    }
}

impl Node {
    /// The block.
    pub(super) fn block(&self) -> Vec<u8> {
        let fields = BTreeMap::from([
            ("v".to_owned(), Ipld::Integer(VERSION.into())),
            ("height".to_owned(), Ipld::Integer(self.height.into())),
            ("entries".to_owned(), Ipld::List(self.entries.iter().map(|e| e.to_ipld()).collect())),
        ]);
        // Writing to memory cannot fail, and nothing in it is a float.
        serde_ipld_dagcbor::to_vec(&Ipld::Map(fields)).unwrap_or_default()
    }

    /// The block with its content id.
    pub(super) fn identified(&self, function: HashFunction) -> (Cid, Vec<u8>) {
        let block = self.block();
        (content_id(DAG_CBOR, function, &block), block)
    }

    /// Reads a block; `None` where it is not one that [`Node::block`] makes.
    pub(super) fn from_block(block: &[u8]) -> Option<Self> {
        let Head { height } = serde_ipld_dagcbor::from_slice(block).ok()?;
        let entries = if height == 0 {
            let read: Leaves = serde_ipld_dagcbor::from_slice(block).ok()?;
            read.entries.into_iter().map(|leaf| leaf.entry(None)).collect()
        } else {
            let read: Branches = serde_ipld_dagcbor::from_slice(block).ok()?;
            let below = |Branch(first, chunks, node)| first.entry(Some(Below { chunks, node }));
            read.entries.into_iter().map(below).collect()
        };
        let node = Self { height, entries };
        (node.block() == block).then_some(node)
    }

    /// Appends the form of proofs.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.height.into());
        put_varint(out, self.entries.len() as u64);
        let mut before: Option<CatalogueEntry> = None;
        for NodeEntry { first, below } in &self.entries {
            match before.filter(|before| before.metric == first.metric) {
                Some(before) => {
                    out.push(0);
                    put_signed(out, first.window.wrapping_sub(before.window));
                }
                None => {
                    out.push(1);
                    out.extend_from_slice(&first.metric);
                    put_signed(out, first.window);
                }
            }
            put_varint(out, first.generation.into());
            put_varint(out, first.part.into());
            put_id(out, &first.header);
            if let Some(Below { chunks, node }) = below {
                put_varint(out, *chunks);
                put_id(out, node);
            }
            before = Some(*first);
        }
    }

    /// Reads the form of proofs.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let height = reader.varint_u32()?;
        let count = reader.varint_usize(reader.remaining() / ENTRY_BYTES_MIN)?;
        let mut entries: Vec<NodeEntry> = Vec::new();
        for _ in 0..count {
            let before = entries.last().map(|entry| entry.first);
            let (metric, since) = match (reader.u8()?, before) {
                (0, Some(before)) => (before.metric, before.window),
                (1, _) => (reader.array()?, 0),
                _ => return Err(reader.malformed("no such flag of a metric")),
            };
            let window = since.wrapping_add(reader.signed()?);
            let (generation, part) = (reader.varint_u32()?, reader.varint_u32()?);
            let first =
                CatalogueEntry { metric, window, generation, part, header: read_id(reader)? };
            let below = match height {
                0 => None,
                _ => Some(Below { chunks: reader.varint()?, node: read_id(reader)? }),
            };
            entries.push(NodeEntry { first, below });
        }
        Ok(Self { height, entries })
    }
}

fn put_id(out: &mut Vec<u8>, cid: &Cid) {
    // The functions that are known have numbers below 128, and 32 bytes of digest.
    out.push(cid.hash().code() as u8);
    out.extend_from_slice(cid.hash().digest());
}

fn read_id(reader: &mut Reader<'_>) -> Result<Cid, Malformed> {
    let function = HashFunction::from_code(reader.u8()?.into());
    let function = function.ok_or(reader.malformed("no such hash function"))?;
    Ok(function.content_id_of_digest(DAG_CBOR, &reader.array()?))
}

/// What says how the entries read.
#[derive(Deserialize)]
struct Head {
    height: u32,
}

#[derive(Deserialize)]
struct Leaves {
    entries: Vec<Leaf>,
}

#[derive(Deserialize)]
struct Branches {
    entries: Vec<Branch>,
}

#[derive(Deserialize)]
struct Leaf(ByteArray<32>, i64, u32, u32, Cid);

#[derive(Deserialize)]
struct Branch(Leaf, u64, Cid);

impl Leaf {
    fn entry(self, below: Option<Below>) -> NodeEntry {
        let Self(metric, window, generation, part, header) = self;
        let metric = metric.into_array();
        NodeEntry { first: CatalogueEntry { metric, window, generation, part, header }, below }
    }
}
