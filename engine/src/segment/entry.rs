//! Entries: what a segment's footer knows of each chunk.

use chronolith_keys::TreeId;
use chronolith_merkle::HashFunction;

use crate::chunk::{ChunkKey, Statistics};
use crate::encoding::{Malformed, Reader, put_signed, put_varint};
use crate::model::Kind;

/// Where a chunk's body is and what it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Body {
    /// Where its record begins in the file.
    pub(crate) offset: u64,
    /// The length of its record: bytes.
    pub(crate) size: u32,
    pub(crate) count: u32,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
    pub(crate) has_blobs: bool,
    pub(crate) statistics: Option<Statistics>,
}

/// One chunk of a segment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChunkEntry {
    pub(crate) key: ChunkKey,
    pub(crate) kind: Kind,
    /// The last generation whose records this chunk replaces.
    pub(crate) supersedes: Option<u32>,
    /// The version of the metric's definition that the header was made from.
    pub(crate) definition: u32,
    /// Which of the segment's seal batches it belongs to.
    pub(crate) batch: u32,
    pub(crate) function: HashFunction,
    /// The key tree that the body is encrypted under; `None` in the clear.
    pub(crate) tree: Option<TreeId>,
    /// `None` where the body was dropped; the header's digest stays.
    pub(crate) body: Option<Body>,
}

const HAS_GENERATION: u8 = 1;
const HAS_PART: u8 = 2;
const SUPERSEDES: u8 = 4;
const DROPPED: u8 = 8;
const HAS_BLOBS: u8 = 16;
const HAS_BATCH: u8 = 32;
const HAS_DEFINITION: u8 = 64;
const BLAKE3: u8 = 128;
/// Beside the kind, in segments of version 2: a key tree follows.
const HAS_TREE: u8 = 128;
/// Beside the kind, in segments of version 2: the key tree of the entry before.
const SAME_TREE: u8 = 64;

/// What entries are written relative to: the entry before, on the same page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    metric: u32,
    window: i64,
    last_ns: i64,
    next_offset: u64,
    /// The last key tree that was named.
    tree: Option<TreeId>,
}

impl Before {
    /// The state before the first entry of a page, whose bodies begin at an offset.
    pub(crate) const fn page(offset: u64) -> Self {
        Self { metric: 0, window: 0, last_ns: 0, next_offset: offset, tree: None }
    }
}

const TENS: [i64; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

impl ChunkEntry {
    pub(crate) fn put(&self, before: &mut Before, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.key.metric - before.metric));
        put_signed(out, self.key.window.wrapping_sub(before.window));
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let has_blobs = self.body.is_some_and(|body| body.has_blobs);
        out.push(
            flag(self.key.generation != 0, HAS_GENERATION)
                | flag(self.key.part != 0, HAS_PART)
                | flag(self.supersedes.is_some(), SUPERSEDES)
                | flag(self.body.is_none(), DROPPED)
                | flag(has_blobs, HAS_BLOBS)
                | flag(self.batch != 0, HAS_BATCH)
                | flag(self.definition != 0, HAS_DEFINITION)
                | flag(self.function == HashFunction::Blake3, BLAKE3),
        );
        let is_same = self.tree.is_some() && self.tree == before.tree;
        let new_tree = self.tree.filter(|_| !is_same);
        out.push(self.kind.code() | flag(is_same, SAME_TREE) | flag(new_tree.is_some(), HAS_TREE));
        if let Some(tree) = new_tree {
            out.extend_from_slice(&tree.0);
            before.tree = Some(tree);
        }
        let optional = [
            (self.key.generation != 0).then_some(self.key.generation),
            (self.key.part != 0).then_some(self.key.part),
            self.supersedes,
            (self.batch != 0).then_some(self.batch),
            (self.definition != 0).then_some(self.definition),
        ];
        optional.into_iter().flatten().for_each(|value| put_varint(out, value.into()));
        if let Some(body) = &self.body {
            put_varint(out, body.size.into());
            put_varint(out, body.count.into());
            let from_before = body.first_ns.wrapping_sub(before.last_ns);
            let span = body.last_ns.wrapping_sub(body.first_ns);
            let exponent = TENS.iter().rposition(|ten| from_before % ten == 0 && span % ten == 0);
            let exponent = exponent.unwrap_or(0);
            out.push(exponent as u8);
            put_signed(out, from_before / TENS[exponent]);
            put_signed(out, span / TENS[exponent]);
            if let Some(statistics) = &body.statistics {
                statistics.put(self.kind, out);
            }
            before.last_ns = body.last_ns;
            before.next_offset = body.offset + u64::from(body.size);
        }
        before.metric = self.key.metric;
        before.window = self.key.window;
    }

    pub(crate) fn read(before: &mut Before, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let metric = before.metric.checked_add(reader.varint_u32()?);
        let metric = metric.ok_or(reader.malformed("a metric number beyond 32 bits"))?;
        let window = before.window.wrapping_add(reader.signed()?);
        let flags = reader.u8()?;
        let code = reader.u8()?;
        let kind = Kind::from_code(code & !(HAS_TREE | SAME_TREE));
        let kind = kind.ok_or(reader.malformed("no such kind"))?;
        let tree = match (code & HAS_TREE != 0, code & SAME_TREE != 0) {
            (false, false) => None,
            (true, false) => Some(TreeId(reader.array()?)),
            (false, true) if before.tree.is_some() => before.tree,
            _ => return Err(reader.malformed("a key tree that is not there")),
        };
        before.tree = tree.or(before.tree);
        let mut optional = |flag: u8| match flags & flag {
            0 => Ok(None),
            _ => reader.varint_u32().map(Some),
        };
        let generation = optional(HAS_GENERATION)?.unwrap_or(0);
        let part = optional(HAS_PART)?.unwrap_or(0);
        let supersedes = optional(SUPERSEDES)?;
        let batch = optional(HAS_BATCH)?.unwrap_or(0);
        let definition = optional(HAS_DEFINITION)?.unwrap_or(0);
        let body = match flags & DROPPED {
            0 => Some(read_body(before, reader, kind, flags)?),
            _ => None,
        };
        before.metric = metric;
        before.window = window;
        Ok(Self {
            key: ChunkKey { metric, window, generation, part },
            kind,
            supersedes,
            definition,
            batch,
            function: match flags & BLAKE3 {
                0 => HashFunction::Sha256,
                _ => HashFunction::Blake3,
            },
            tree,
            body,
        })
    }
}

fn read_body(
    before: &mut Before,
    reader: &mut Reader<'_>,
    kind: Kind,
    flags: u8,
) -> Result<Body, Malformed> {
    let size = reader.varint_u32()?;
    let count = reader.varint_u32()?;
    let ten = TENS.get(reader.u8()? as usize);
    let ten = *ten.ok_or(reader.malformed("an impossible unit of time"))?;
    let first_ns = before.last_ns.wrapping_add(reader.signed()?.wrapping_mul(ten));
    let last_ns = first_ns.wrapping_add(reader.signed()?.wrapping_mul(ten));
    let statistics = match kind {
        Kind::Text | Kind::Bytes => None,
        _ => Some(Statistics::read(kind, reader)?),
    };
    let offset = before.next_offset;
    let next_offset = offset.checked_add(size.into());
    before.next_offset = next_offset.ok_or(reader.malformed("an offset beyond 64 bits"))?;
    before.last_ns = last_ns;
    if count == 0 {
        return Err(reader.malformed("a chunk without records"));
    }
    let has_blobs = flags & HAS_BLOBS != 0;
    Ok(Body { offset, size, count, first_ns, last_ns, has_blobs, statistics })
}
