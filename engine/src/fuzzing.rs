//! Doors to the private decoders for the fuzz targets in `engine/fuzz`; compiled only for them.
//!
//! Each function hands bytes from outside to one decoder and checks what decodes: it must encode
//! again, and that must decode to the same. A broken promise panics, which a fuzzer takes for a
//! find. [`Swap`] puts the bytes behind the checksum of a file that is whole, so that a fuzzer
//! need not guess checksums.

mod blobs;
mod catalogues;
mod chunks;
mod definitions;
mod log;
mod manifest;
mod runs;
mod segments;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chronolith_disk::{Disk, SimDisk};

use crate::block::Block;
use crate::chunk::codec::Policy;
use crate::model::{Column, Definition, Kind, Level, Metric, Place, ValueRef};
use crate::protect::{Clear, Protect, ProtectError, Protection, Purpose};
use crate::registry::Defined;
use crate::wal::payload::Deletion;

pub use blobs::blob_list;
pub use catalogues::catalogue_proof;
pub use chunks::{body_decode, body_round_trip, header};
pub use definitions::{definitions, definitions_file, state_file};
pub use log::{wal_frame, wal_payload};
pub use manifest::{manifest, record};
pub use runs::run_table;
pub use segments::{segment_index, segment_page, segment_tail};

const SECOND_NS: i64 = 1_000_000_000;
const POLICIES: [Policy; 2] = [Policy::Smallest, Policy::Fastest];

/// Answers with other content than a record of one purpose holds: the records one after the
/// other, the last content again and again.
#[derive(Debug)]
struct Swap {
    purpose: Purpose,
    contents: Vec<Vec<u8>>,
    next: AtomicUsize,
}

impl Swap {
    fn new(purpose: Purpose, contents: Vec<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self { purpose, contents, next: AtomicUsize::new(0) })
    }
}

impl Protect for Swap {
    fn protect<'a>(&self, _: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>) {
        (Protection::CLEAR, Cow::Borrowed(bytes))
    }

    fn open<'a>(
        &self,
        purpose: Purpose,
        protection: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError> {
        if purpose != self.purpose {
            return Clear.open(purpose, protection, bytes);
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed).min(self.contents.len() - 1);
        Ok(Cow::Owned(self.contents[next].clone()))
    }
}

/// Writes down what is opened.
#[derive(Debug, Default)]
struct Spy(parking_lot::Mutex<Vec<Vec<u8>>>);

impl Protect for Spy {
    fn protect<'a>(&self, _: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>) {
        (Protection::CLEAR, Cow::Borrowed(bytes))
    }

    fn open<'a>(
        &self,
        _: Purpose,
        _: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError> {
        self.0.lock().push(bytes.to_vec());
        Ok(Cow::Borrowed(bytes))
    }
}

/// A front of so many bytes as two bytes say, and the rest.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((size, rest)) = data.split_first_chunk::<2>() else { return (&[], data) };
    rest.split_at((u16::from_le_bytes(*size) as usize).min(rest.len()))
}

fn disk_with(folder: &str, path: &str, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(folder).expect("a folder on an empty disk");
    let file = disk.open(path).expect("a file on an empty disk");
    file.append(bytes).expect("an empty disk takes bytes");
    disk
}

fn block_of(kind: Kind, count: i64) -> Block {
    let times = (0..count).map(|at| at * SECOND_NS).collect();
    let mut values = Column::new(kind);
    for at in 0..count {
        let text = format!("state {}", at % 3);
        let value = match kind {
            Kind::F64 => ValueRef::F64(at as f64 / 10.0),
            Kind::I64 => ValueRef::I64(at - 5),
            Kind::U64 => ValueRef::U64(at as u64 * at as u64),
            Kind::Bool => ValueRef::Bool(at % 3 == 0),
            Kind::Text => ValueRef::Text(&text),
            Kind::Bytes => ValueRef::Bytes(text.as_bytes()),
        };
        assert!(values.push(value));
    }
    Block::from_columns(times, values)
}

fn a_definition(level: Level) -> Definition {
    let metric = Metric::new("car-17", "speed").tag("class", "fleet");
    Definition {
        unit: "km/h".to_owned(),
        level,
        place: Some(Place { latitude_centidegrees: 4814, longitude_centidegrees: -1158 }),
        metadata: [("maker".to_owned(), "somebody".to_owned())].into(),
        ..Definition::new(metric, Kind::F64)
    }
}

fn two_definitions() -> [Defined; 2] {
    let defined = |level| Defined { metric: 0, definition: Arc::new(a_definition(level)) };
    [defined(Level::Regular), defined(Level::Personal)]
}

fn a_deletion() -> Deletion {
    Deletion { metric: 0, from_ns: 5, to_ns: SECOND_NS }
}

/// What opens more and more arrays.
fn deep() -> Vec<u8> {
    vec![0x81; 4000]
}

/// Inputs that decode, for every function here but the codecs: the target's name and the bytes.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    chunks::seeds(&mut seeds);
    log::seeds(&mut seeds);
    definitions::seeds(&mut seeds);
    manifest::seeds(&mut seeds);
    blobs::seeds(&mut seeds);
    catalogues::seeds(&mut seeds);
    runs::seeds(&mut seeds);
    segments::seeds(&mut seeds);
    seeds
}
