//! CAR files, version 1: blocks with their content ids behind each other, as IPLD tools exchange them
//! (<https://ipld.io/specs/transport/car/carv1/>).
//!
//! ```text
//! length varint · header in DAG-CBOR { roots: [CID], version: 1 }
//! length varint · CID · block, for each block; the length is that of both
//! ```
//!
//! Read are CIDv1 of DAG-CBOR and raw blocks by SHA-256 or BLAKE3 with 256 bits; every block is
//! checked by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use chronolith_chain::content::ContentId;
use chronolith_fragment::BODY_BYTES_MAX;
use chronolith_merkle::DAG_CBOR;
use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::pack::{Item, Pack, PackError, PackHeader, linked_body};

/// The longest header: bytes. It holds some 25,000 roots.
const HEADER_BYTES_MAX: u64 = 1 << 20;
const CID_BYTES: usize = 36;

/// Why a CAR file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarError {
    /// The file fails.
    #[error("at byte {offset} of the CAR file: {source}")]
    Io {
        /// How many bytes were read before.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The bytes are not a CAR file of version 1.
    #[error("at byte {offset} of the CAR file: {reason}")]
    Malformed {
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// What the blocks make is no pack, or nothing that a pack takes.
    #[error(transparent)]
    Pack(#[from] PackError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    roots: Vec<Cid>,
    version: u64,
}

/// Writes a CAR file.
pub struct CarWriter<W> {
    out: W,
}

fn put_varint(out: &mut impl Write, mut value: u64) -> io::Result<()> {
    while value >= 0x80 {
        out.write_all(&[value as u8 | 0x80])?;
        value >>= 7;
    }
    out.write_all(&[value as u8])
}

impl<W: Write> CarWriter<W> {
    /// Begins a file with these roots.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn new(mut out: W, roots: &[ContentId]) -> io::Result<Self> {
        let roots = roots.iter().map(|root| Cid::from(*root)).collect();
        let header = serde_ipld_dagcbor::to_vec(&Header { roots, version: 1 });
        let header = header.map_err(io::Error::other)?;
        put_varint(&mut out, header.len() as u64)?;
        out.write_all(&header)?;
        Ok(Self { out })
    }

    /// Writes a block, which the id must name.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn block(&mut self, cid: ContentId, block: &[u8]) -> io::Result<()> {
        put_varint(&mut self.out, (CID_BYTES + block.len()) as u64)?;
        self.out.write_all(cid.as_bytes())?;
        self.out.write_all(block)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a CAR file, block by block.
pub struct CarReader<R> {
    input: R,
    offset: u64,
    roots: Vec<ContentId>,
}

impl<R: Read> CarReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(input: R) -> Result<Self, CarError> {
        let mut reader = Self { input, offset: 0, roots: Vec::new() };
        let Some(length) = reader.varint()? else {
            return Err(reader.malformed("an empty file"));
        };
        if length > HEADER_BYTES_MAX {
            return Err(reader.malformed(format!("a header of {length} bytes")));
        }
        let bytes = reader.bytes(length as usize)?;
        let header = serde_ipld_dagcbor::from_slice::<Header>(&bytes);
        let header = header.map_err(|error| reader.malformed(format!("the header: {error}")))?;
        if header.version != 1 {
            let version = header.version;
            return Err(reader.malformed(format!("version {version}; this program reads 1")));
        }
        let roots = header.roots.iter().map(|root| {
            ContentId::try_from(root)
                .map_err(|error| reader.malformed(format!("{root} is {error}")))
        });
        reader.roots = roots.collect::<Result<_, _>>()?;
        Ok(reader)
    }

    /// The roots.
    #[must_use]
    pub fn roots(&self) -> &[ContentId] {
        &self.roots
    }

    /// The next block, which is what its id names; none at the end of the file.
    ///
    /// # Errors
    /// A block that is cut short, too long, of another kind or not what its id names.
    pub fn next_block(&mut self) -> Result<Option<(ContentId, Vec<u8>)>, CarError> {
        let start = self.offset;
        let at = |reason: String| CarError::Malformed { offset: start, reason };
        let Some(length) = self.varint()? else { return Ok(None) };
        let most = CID_BYTES + BODY_BYTES_MAX;
        let length = usize::try_from(length).ok().filter(|length| *length <= most);
        let length = length.ok_or_else(|| at(format!("a block of more than {most} bytes")))?;
        let mut bytes = self.bytes(length)?;
        let cid = bytes.first_chunk().and_then(|cid| ContentId::from_bytes(*cid).ok());
        let cid = cid.ok_or_else(|| {
            at("no CIDv1 of DAG-CBOR or raw bytes by SHA-256 or BLAKE3".to_owned())
        })?;
        let block = bytes.split_off(CID_BYTES);
        if !cid.matches(&block) {
            return Err(at(format!("the block is not what {cid} names")));
        }
        Ok(Some((cid, block)))
    }

    fn malformed(&self, reason: impl Into<String>) -> CarError {
        CarError::Malformed { offset: self.offset, reason: reason.into() }
    }

    /// A varint; none at the end of the file.
    fn varint(&mut self) -> Result<Option<u64>, CarError> {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            let mut byte = [0];
            let read = self.input.read(&mut byte);
            let offset = self.offset;
            match read.map_err(|source| CarError::Io { offset, source })? {
                0 if shift == 0 => return Ok(None),
                0 => return Err(self.malformed("the file ends within a length")),
                _ => self.offset += 1,
            }
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(Some(value));
            }
        }
        Err(self.malformed("a length of more than 63 bits"))
    }

    /// So many bytes; memory grows as they come.
    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, CarError> {
        let mut bytes = Vec::new();
        let read = (&mut self.input).take(length as u64).read_to_end(&mut bytes);
        let offset = self.offset;
        read.map_err(|source| CarError::Io { offset, source })?;
        self.offset += bytes.len() as u64;
        if bytes.len() < length {
            return Err(self.malformed("the file ends within a block"));
        }
        Ok(bytes)
    }
}

/// Writes a pack as a CAR file of two blocks, header and body; that is also how packs are kept in
/// files.
///
/// # Errors
/// Where it cannot be written.
pub fn write_pack<W: Write>(out: W, pack: &Pack) -> io::Result<W> {
    let (header, body) = (pack.header(), pack.body().bytes());
    let cid = pack.content_id();
    let mut car = CarWriter::new(out, &[cid])?;
    car.block(cid, &header.to_bytes())?;
    car.block(header.body, body)?;
    car.finish()
}

/// Reads a pack that [`write_pack`] wrote, and checks every byte of it.
///
/// # Errors
/// A file that is not one pack.
pub fn read_pack<R: Read>(input: R) -> Result<Pack, CarError> {
    let mut car = CarReader::new(input)?;
    let &[root] = car.roots() else {
        return Err(car.malformed("a pack has one root"));
    };
    let lacks = |car: &CarReader<R>| car.malformed("a pack is its header and then its body");
    let Some((cid, header)) = car.next_block()? else { return Err(lacks(&car)) };
    let header = PackHeader::from_bytes(&header)?;
    let Some((_, body)) = car.next_block()? else { return Err(lacks(&car)) };
    if cid != root || car.next_block()?.is_some() {
        return Err(lacks(&car));
    }
    Ok(Pack::of_parts(header, body)?)
}

/// Writes the items of a pack as the blocks they are: what IPLD tools walk. The roots are the items.
///
/// # Errors
/// Where it cannot be written.
pub fn write_items<W: Write>(out: W, pack: &Pack) -> io::Result<W> {
    let items = pack.body().items();
    let roots: Vec<ContentId> = items.iter().map(Item::cid).collect();
    let mut car = CarWriter::new(out, &roots)?;
    let mut written = BTreeSet::new();
    for item in &items {
        if written.insert(item.cid()) {
            car.block(item.cid(), item.lead())?;
        }
        if let Some(body) = item.body_cid()
            && written.insert(body)
        {
            car.block(body, item.body())?;
        }
    }
    car.finish()
}

/// Reads items from the blocks of a CAR file: each DAG-CBOR block with its linked body, where that is
/// in the file, and each root and each block that is no body by itself; in the order of the file. Every block is held in memory,
/// at most `limit` bytes of them.
///
/// # Errors
/// A file that is malformed or larger.
pub fn read_items<R: Read>(input: R, limit: u64) -> Result<Vec<Item>, CarError> {
    let mut car = CarReader::new(input)?;
    let mut order = Vec::new();
    let mut blocks = BTreeMap::new();
    while let Some((cid, block)) = car.next_block()? {
        if car.offset > limit {
            return Err(car.malformed(format!("more than {limit} bytes; split the file")));
        }
        if blocks.insert(cid, block).is_none() {
            order.push(cid);
        }
    }
    let link = |cid: &ContentId| {
        let lead = blocks.get(cid).filter(|_| cid.codec() == DAG_CBOR)?;
        linked_body(lead).filter(|body| body != cid && blocks.contains_key(body))
    };
    let mut bodies: BTreeSet<ContentId> = order.iter().filter_map(link).collect();
    // A block that is named as a root stands for itself, whatever links it.
    car.roots().iter().for_each(|root| {
        bodies.remove(root);
    });
    let mut items = Vec::new();
    for cid in order.iter().filter(|cid| !bodies.contains(cid)) {
        let body = link(cid).and_then(|body| blocks.get(&body)).cloned().unwrap_or_default();
        let lead = blocks.get(cid).cloned().unwrap_or_default();
        items.push(Item::chunk(*cid, lead, body)?);
    }
    Ok(items)
}
