//! The definitions' file `metrics`: frames of definitions, appended as metrics come.
//!
//! ```text
//! frame: length of the record u32 · record { zstd of: count varint · definitions }
//! ```
//!
//! The manifest says how many bytes of the file count; what stands behind them is left over from
//! a write that was not finished, and is cut off.

use chronolith_disk::{Disk, read_all};

use crate::encoding::{Reader, put_varint};
use crate::error::{DiskContext, DiskError, Fault, ReadError};
use crate::protect::{Protect, Purpose};
use crate::record;

use super::codec::{put_defined, read_defined};
use super::{Defined, Registry};

/// The name of the file.
pub(crate) const FILE: &str = "metrics";
/// Definitions in one frame at most, which bounds what a reader must allocate.
const FRAME_DEFINITIONS: usize = 4096;
/// A frame ends behind the definition that makes it as long as this, unpacked: bytes.
const FRAME_BYTES: usize = 16 << 20;
/// The longest definition, encoded: bytes.
pub(super) const DEFINITION_BYTES_MAX: usize = 16 << 20;
/// The most that a frame may hold when unpacked: bytes.
const FRAME_BYTES_MAX: usize = 1 << 30;

const _: () = assert!(FRAME_BYTES + DEFINITION_BYTES_MAX < FRAME_BYTES_MAX);

/// Writes definitions behind the first `len` bytes of the file and syncs it; returns the new
/// length.
pub(crate) fn append(
    disk: &dyn Disk,
    protect: &dyn Protect,
    len: u64,
    definitions: &[Defined],
) -> Result<u64, DiskError> {
    let mut bytes = Vec::new();
    let mut rest = definitions.iter().peekable();
    while rest.peek().is_some() {
        let (mut count, mut encoded) = (0, Vec::new());
        while count < FRAME_DEFINITIONS
            && encoded.len() < FRAME_BYTES
            && let Some(defined) = rest.next()
        {
            put_defined(&mut encoded, defined);
            count += 1;
        }
        let mut plain = Vec::with_capacity(encoded.len() + 10);
        put_varint(&mut plain, count as u64);
        plain.extend_from_slice(&encoded);
        let packed = zstd::bulk::compress(&plain, 3).at(disk, "compress", FILE)?;
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        let size = record::put(&mut bytes, protect, Purpose::Definitions, &packed) as u32;
        bytes[start..start + 4].copy_from_slice(&size.to_le_bytes());
    }
    let file = disk.open(FILE).at(disk, "open", FILE)?;
    file.set_len(len).at(disk, "cut", FILE)?;
    file.append(&bytes).at(disk, "write", FILE)?;
    file.sync().at(disk, "sync", FILE)?;
    Ok(len + bytes.len() as u64)
}

/// Reads the first `len` bytes of the file into a registry.
pub(crate) fn load(
    disk: &dyn Disk,
    protect: &dyn Protect,
    len: u64,
    registry: &mut Registry,
) -> Result<(), ReadError> {
    if len == 0 {
        return Ok(());
    }
    let bytes = read_all(disk, FILE).at(disk, "read", FILE)?;
    let bytes = usize::try_from(len)
        .ok()
        .and_then(|len| bytes.get(..len))
        .ok_or_else(|| Fault::new(FILE, bytes.len() as u64, format!("ends before byte {len}")))?;
    let mut at = 0;
    while at < bytes.len() {
        let fault = |what: String| Fault::new(FILE, at as u64, what);
        let mut frame = Reader::new(&bytes[at..]);
        let size = frame.u32().map_err(|error| fault(error.to_string()))?;
        let bytes = frame.bytes(size as usize).map_err(|error| fault(error.to_string()))?;
        let packed = record::get(bytes, protect, Purpose::Definitions, FILE, at as u64)?;
        let plain = zstd::bulk::decompress(&packed, unpacked_size(&packed).map_err(fault)?)
            .map_err(|error| fault(format!("cannot be unpacked: {error}")))?;
        let mut reader = Reader::new(&plain);
        let mut read = || {
            for _ in 0..reader.varint_usize(FRAME_DEFINITIONS)? {
                registry.define(read_defined(&mut reader)?, 0);
            }
            reader.finish()
        };
        read().map_err(|error| fault(error.to_string()))?;
        at += 4 + size as usize;
    }
    registry.saved(usize::MAX);
    Ok(())
}

/// How large a zstd frame says its content is, where that is within the bound.
fn unpacked_size(packed: &[u8]) -> Result<usize, String> {
    match zstd::zstd_safe::get_frame_content_size(packed) {
        Ok(Some(size)) if size <= FRAME_BYTES_MAX as u64 => Ok(size as usize),
        _ => Err("a compressed frame without a sensible size".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::sync::Arc;

    use chronolith_disk::SimDisk;

    use crate::model::{Definition, Kind, Limits, Metric};
    use crate::protect::Clear;

    use super::*;

    /// Symptom: with a raised limit of metadata a database could not be opened again. Loss: all of
    /// it. Cause: a frame of definitions was cut by their number alone and grew beyond what its
    /// reader takes. Fix: it is cut by its length, too, and a longer definition is refused.
    #[test]
    fn frames_of_large_definitions_are_read_again() {
        let large = |number: u32, size: usize| {
            let mut definition =
                Definition::new(Metric::new("car-1", format!("metric-{number}")), Kind::F64);
            definition.metadata.insert("long".to_owned(), "x".repeat(size));
            Defined { metric: number, definition: Arc::new(definition) }
        };
        let definitions: Vec<Defined> = (0..70).map(|number| large(number, 1 << 20)).collect();
        let disk = SimDisk::new();
        let len = append(&disk, &Clear, 0, &definitions).unwrap();
        let mut registry = Registry::default();
        load(&disk, &Clear, len, &mut registry).unwrap();
        assert_eq!(registry.len(), 70);
        let bytes = disk.read_file(FILE).unwrap();
        let (mut at, mut sizes) = (0, Vec::new());
        while at < bytes.len() {
            let size = u32::from_le_bytes(*bytes[at..].first_chunk().unwrap()) as usize;
            let packed =
                record::get(&bytes[at + 4..at + 4 + size], &Clear, Purpose::Definitions, FILE, 0);
            sizes.push(unpacked_size(&packed.unwrap()).unwrap());
            at += 4 + size;
        }
        assert!(sizes.len() > 4 && sizes.iter().all(|size| *size <= FRAME_BYTES + (2 << 20)));
        let mut definition = large(70, DEFINITION_BYTES_MAX).definition.as_ref().clone();
        let limits = Limits { metadata_bytes: usize::MAX, ..Limits::default() };
        assert!(registry.check(&definition, &limits).is_err(), "longer than a frame takes");
        definition.metadata.insert("long".to_owned(), "x".repeat(1 << 20));
        assert!(registry.check(&definition, &limits).is_ok());
    }
}
