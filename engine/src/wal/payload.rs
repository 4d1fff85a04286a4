//! What a frame says: definitions, deletions, changes of state and records.
//!
//! ```text
//! definitions: count varint · each as in the definitions' file
//! deletions:   count varint · each: metric varint · from i64 · to i64
//! state:       count varint · each: namespace · key · 0 | 1 value
//! records:     count varint; where it is not 0:
//!   metrics: 0 first varint (each one more than the one before) | 1 varint (all the same)
//!            | 2 u32 each
//!   kinds:   0 u8 (all the same) | 1 u8 each
//!   times:   0 i64 (all the same) | 1 least i64, u32 above it each | 2 i64 each
//!   bits:    u64 each
//!   data:    length varint · bytes
//! ```

use crate::batch::{Batch, StateChange, read_value};
use crate::encoding::{Malformed, Reader, put_bytes, put_varint};
use crate::model::Kind;
use crate::registry::Defined;
use crate::registry::codec::{put_defined, read_defined};

/// Records of a metric in a span of time that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Deletion {
    pub(crate) metric: u32,
    pub(crate) from_ns: i64,
    /// The last nanosecond that is deleted.
    pub(crate) to_ns: i64,
}

/// The content of one frame.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    pub(crate) definitions: Vec<Defined>,
    pub(crate) deletions: Vec<Deletion>,
    pub(crate) batch: Batch,
}

/// Appends a frame's content.
pub(crate) fn encode(
    definitions: &[Defined],
    deletions: &[Deletion],
    batch: &Batch,
    out: &mut Vec<u8>,
) {
    put_varint(out, definitions.len() as u64);
    definitions.iter().for_each(|defined| put_defined(out, defined));
    put_varint(out, deletions.len() as u64);
    for deletion in deletions {
        put_varint(out, u64::from(deletion.metric));
        out.extend_from_slice(&deletion.from_ns.to_le_bytes());
        out.extend_from_slice(&deletion.to_ns.to_le_bytes());
    }
    put_varint(out, batch.state.len() as u64);
    for change in &batch.state {
        put_bytes(out, change.namespace.as_bytes());
        put_bytes(out, &change.key);
        match &change.value {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                put_bytes(out, value);
            }
        }
    }
    put_records(out, batch);
}

fn put_records(out: &mut Vec<u8>, batch: &Batch) {
    put_varint(out, batch.len() as u64);
    let (Some(&metric), Some(&kind)) = (batch.metrics.first(), batch.kinds.first()) else {
        return;
    };
    let mut next = metric;
    let rising = batch.metrics.iter().all(|metric| {
        let fits = *metric == next;
        next = next.wrapping_add(1);
        fits
    });
    if batch.metrics.iter().all(|other| *other == metric) {
        out.push(1);
        put_varint(out, u64::from(metric));
    } else if rising {
        out.push(0);
        put_varint(out, u64::from(metric));
    } else {
        out.push(2);
        out.extend(batch.metrics.iter().flat_map(|metric| metric.to_le_bytes()));
    }
    if batch.kinds.iter().all(|other| *other == kind) {
        out.extend([0, kind.code()]);
    } else {
        out.push(1);
        out.extend(batch.kinds.iter().map(|kind| kind.code()));
    }
    put_times(out, &batch.times);
    out.extend(batch.bits.iter().flat_map(|bits| bits.to_le_bytes()));
    put_bytes(out, &batch.data);
}

fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    let (Some(&least), Some(&most)) = (times.iter().min(), times.iter().max()) else { return };
    if least == most {
        out.push(0);
        out.extend_from_slice(&least.to_le_bytes());
    } else if most.checked_sub(least).is_some_and(|span| span <= i64::from(u32::MAX)) {
        out.push(1);
        out.extend_from_slice(&least.to_le_bytes());
        out.extend(times.iter().flat_map(|time| ((time - least) as u32).to_le_bytes()));
    } else {
        out.push(2);
        out.extend(times.iter().flat_map(|time| time.to_le_bytes()));
    }
}

/// Decodes a frame's content.
pub(crate) fn decode(bytes: &[u8]) -> Result<Payload, Malformed> {
    let reader = &mut Reader::new(bytes);
    let mut payload = Payload::default();
    for _ in 0..reader.varint_usize(reader.remaining())? {
        payload.definitions.push(read_defined(reader)?);
    }
    for _ in 0..reader.varint_usize(reader.remaining())? {
        let metric = reader.varint_u32()?;
        let from_ns = i64::from_le_bytes(reader.array()?);
        let to_ns = i64::from_le_bytes(reader.array()?);
        payload.deletions.push(Deletion { metric, from_ns, to_ns });
    }
    for _ in 0..reader.varint_usize(reader.remaining())? {
        let namespace = reader.text()?.to_owned();
        let key = reader.sized()?.to_vec();
        let value = match reader.u8()? {
            0 => None,
            1 => Some(reader.sized()?.to_vec()),
            _ => return Err(reader.malformed("neither a value nor none")),
        };
        payload.batch.state.push(StateChange { namespace, key, value });
    }
    read_records(reader, &mut payload.batch)?;
    reader.finish()?;
    Ok(payload)
}

fn read_records(reader: &mut Reader<'_>, batch: &mut Batch) -> Result<(), Malformed> {
    // A record takes at least its 8 bytes of bits, which bounds the count before anything is
    // allocated.
    let count = reader.varint_usize(reader.remaining() / 8)?;
    if count == 0 {
        return Ok(());
    }
    match reader.u8()? {
        0 => {
            let first = reader.varint_u32()?;
            let last = first.checked_add(count as u32 - 1);
            let last = last.ok_or(reader.malformed("metric numbers beyond 32 bits"))?;
            batch.metrics.extend(first..=last);
        }
        1 => batch.metrics.resize(count, reader.varint_u32()?),
        2 => {
            let bytes = reader.bytes(count * 4)?.as_chunks().0;
            batch.metrics.extend(bytes.iter().map(|bytes| u32::from_le_bytes(*bytes)));
        }
        _ => return Err(reader.malformed("no such layout of metrics")),
    }
    let kind = |code: u8| Kind::from_code(code);
    match reader.u8()? {
        0 => {
            let kind = kind(reader.u8()?).ok_or(reader.malformed("no such kind"))?;
            batch.kinds.resize(count, kind);
        }
        1 => {
            for code in reader.bytes(count)? {
                batch.kinds.push(kind(*code).ok_or(reader.malformed("no such kind"))?);
            }
        }
        _ => return Err(reader.malformed("no such layout of kinds")),
    }
    read_times(reader, count, &mut batch.times)?;
    let bits = reader.bytes(count * 8)?.as_chunks().0;
    batch.bits.extend(bits.iter().map(|bytes| u64::from_le_bytes(*bytes)));
    batch.data = reader.sized()?.to_vec();
    for (kind, bits) in batch.kinds.iter().zip(&batch.bits) {
        if matches!(kind, Kind::Text | Kind::Bytes) {
            let at = usize::try_from(*bits).unwrap_or(usize::MAX);
            let value = batch.data.get(at..).unwrap_or_default();
            read_value(&mut Reader::new(value), *kind)?;
        }
    }
    Ok(())
}

fn read_times(
    reader: &mut Reader<'_>,
    count: usize,
    times: &mut Vec<i64>,
) -> Result<(), Malformed> {
    match reader.u8()? {
        0 => times.resize(count, i64::from_le_bytes(reader.array()?)),
        1 => {
            let least = i64::from_le_bytes(reader.array()?);
            for bytes in reader.bytes(count * 4)?.as_chunks().0 {
                let time = least.checked_add(u32::from_le_bytes(*bytes).into());
                times.push(time.ok_or(reader.malformed("a time beyond 64 bits"))?);
            }
        }
        2 => {
            let bytes = reader.bytes(count * 8)?.as_chunks().0;
            times.extend(bytes.iter().map(|bytes| i64::from_le_bytes(*bytes)));
        }
        _ => return Err(reader.malformed("no such layout of times")),
    }
    Ok(())
}
