//! Columns of text and bytes: as they are, behind zstd, or as a dictionary.
//!
//! All three begin with the column's blobs, whose places hold empty values.

use hashbrown::HashMap;

use super::bits::{Cursor, write_part, write_varint};
use super::{CodecError, Policy, ints, values as ids};
use crate::{BlobRef, Kind, VarColumn};

/// A dictionary is tried where a sample of values repeats itself at least so often.
const REPEATS_PERCENT: usize = 30;
const BAD_TEXT: CodecError = CodecError::Damaged("a text is not UTF-8");

/// Bytes of values that an encoding of some bytes may stand for. A decoder must not allocate far
/// more than it is given, so what is more repetitive than this is kept less compactly.
pub(super) const fn data_max(encoded_bytes: usize) -> usize {
    encoded_bytes.saturating_mul(4).saturating_add(512 * 1024)
}

/// Appends the values.
pub(super) fn encode(values: &VarColumn, policy: Policy, out: &mut Vec<u8>) {
    let mut best: Option<Vec<u8>> = None;
    let mut offer = |encoding: Vec<u8>| {
        let fits = values.data().len() <= data_max(encoding.len());
        if fits && best.as_ref().is_none_or(|best| encoding.len() < best.len()) {
            best = Some(encoding);
        }
    };
    offer(encode_plain(values, policy));
    if let Some(encoding) = encode_dictionary(values, policy) {
        offer(encoding);
    }
    if let Some(encoding) = encode_zstd(values, policy) {
        offer(encoding);
    }
    out.extend_from_slice(&best.unwrap_or_default());
}

fn lengths(values: &VarColumn) -> Vec<u64> {
    let mut before = 0;
    let ends = values.ends().iter();
    ends.map(|end| (end - std::mem::replace(&mut before, *end)) as u64).collect()
}

fn write_blobs(values: &VarColumn, out: &mut Vec<u8>) {
    write_varint(values.blobs().len() as u64, out);
    let mut before = 0;
    for (index, blob) in values.blobs() {
        write_varint((index - before) as u64, out);
        before = *index;
        write_varint(blob.len_bytes, out);
        write_part(out, |out| out.extend_from_slice(&blob.cid.to_bytes()));
    }
}

fn encode_plain(values: &VarColumn, policy: Policy) -> Vec<u8> {
    let mut out = vec![ids::RAW];
    write_blobs(values, &mut out);
    write_part(&mut out, |out| ints::encode(&lengths(values), policy, out));
    out.extend_from_slice(values.data());
    out
}

fn encode_zstd(values: &VarColumn, policy: Policy) -> Option<Vec<u8>> {
    if values.data().len() < 32 {
        return None;
    }
    let level = if policy == Policy::Smallest { 3 } else { 1 };
    let packed = zstd::bulk::compress(values.data(), level).ok()?;
    let mut out = vec![ids::ZSTD];
    write_blobs(values, &mut out);
    write_part(&mut out, |out| ints::encode(&lengths(values), policy, out));
    out.extend_from_slice(&packed);
    Some(out)
}

fn encode_dictionary(values: &VarColumn, policy: Policy) -> Option<Vec<u8>> {
    let bytes = |index: usize| values.bytes(index).unwrap_or_default();
    let mut some: Vec<&[u8]> =
        (0..values.len()).step_by(values.len() / 256 + 1).map(bytes).collect();
    let sampled = some.len();
    some.sort_unstable();
    some.dedup();
    if sampled < 4 || (sampled - some.len()) * 100 < sampled * REPEATS_PERCENT {
        return None;
    }
    let mut codes: HashMap<&[u8], u64, foldhash::fast::RandomState> = HashMap::default();
    let mut entries = VarColumn::default();
    let mut indices = Vec::with_capacity(values.len());
    for value in (0..values.len()).map(bytes) {
        let next = codes.len() as u64;
        indices.push(*codes.entry(value).or_insert_with(|| {
            entries.push(value);
            next
        }));
    }
    if entries.len() * 2 > values.len() {
        return None;
    }
    let mut out = vec![ids::DICTIONARY];
    write_blobs(values, &mut out);
    write_varint(entries.len() as u64, &mut out);
    write_part(&mut out, |out| {
        let plain = encode_plain(&entries, policy);
        let packed = encode_zstd(&entries, policy).filter(|packed| packed.len() < plain.len());
        let packed = packed.filter(|packed| entries.data().len() <= data_max(packed.len()));
        out.extend_from_slice(&packed.unwrap_or(plain));
    });
    ints::encode(&indices, policy, &mut out);
    Some(out)
}

/// Appends `count` values of kind text or bytes.
pub(super) fn decode(
    kind: Kind,
    bytes: &[u8],
    count: usize,
    values: &mut VarColumn,
) -> Result<(), CodecError> {
    let mut cursor = Cursor::new(bytes);
    let id = cursor.byte()?;
    if !matches!(id, ids::RAW | ids::ZSTD | ids::DICTIONARY) {
        return Err(CodecError::UnknownCodec(id));
    }
    let blobs = read_blobs(kind, count, &mut cursor)?;
    let most = data_max(bytes.len());
    let flat = if id == ids::DICTIONARY {
        read_dictionary(&mut cursor, count, most)?
    } else {
        read_flat(id, &mut cursor, count, most)?
    };
    let mut blobs = blobs.into_iter().peekable();
    let text = if kind == Kind::Text {
        Some(std::str::from_utf8(&flat.data).map_err(|_| BAD_TEXT)?)
    } else {
        None
    };
    let mut start = 0;
    for (index, end) in flat.ends.iter().enumerate() {
        if let Some((_, blob)) = blobs.next_if(|(place, _)| *place == index) {
            if start != *end {
                return Err(CodecError::Damaged("a blob reference has bytes of its own"));
            }
            values.push_blob(blob);
            continue;
        }
        if text.is_some_and(|text| !text.is_char_boundary(*end)) {
            return Err(BAD_TEXT);
        }
        values.push(flat.data.get(start..*end).unwrap_or_default());
        start = *end;
    }
    Ok(())
}

fn read_blobs(
    kind: Kind,
    count: usize,
    cursor: &mut Cursor<'_>,
) -> Result<Vec<(usize, BlobRef)>, CodecError> {
    let blob_count = cursor.length(count)?;
    if blob_count > 0 && kind != Kind::Bytes {
        return Err(CodecError::Damaged("a text refers to a blob"));
    }
    let mut blobs = Vec::new();
    let mut index = 0;
    for number in 0..blob_count {
        let apart = cursor.length(count)?;
        index += apart;
        if index >= count || (apart == 0 && number > 0) {
            return Err(CodecError::Damaged("a blob's place is out of range"));
        }
        let len_bytes = cursor.varint()?;
        let cid = cid::Cid::try_from(cursor.part()?)
            .map_err(|_| CodecError::Damaged("a blob reference is no content id"))?;
        blobs.push((index, BlobRef { cid, len_bytes }));
    }
    Ok(blobs)
}

/// Values side by side: where each ends, and all their bytes.
struct Flat {
    ends: Vec<usize>,
    data: Vec<u8>,
}

fn read_flat(
    id: u8,
    cursor: &mut Cursor<'_>,
    count: usize,
    most: usize,
) -> Result<Flat, CodecError> {
    let mut ends = Vec::new();
    let mut end = 0_usize;
    ints::decode(cursor.part()?, count, |block| {
        ends.extend(block.iter().map(|length| {
            end = end.saturating_add(usize::try_from(*length).unwrap_or(usize::MAX));
            end
        }));
    })?;
    if end > most {
        return Err(CodecError::Damaged("the values are longer than their encoding allows"));
    }
    let data = match id {
        ids::ZSTD => super::unzstd(cursor.rest(), end)?,
        ids::RAW => cursor.rest().to_vec(),
        other => return Err(CodecError::UnknownCodec(other)),
    };
    if data.len() != end {
        return Err(CodecError::Damaged("the values have another length than they should"));
    }
    Ok(Flat { ends, data })
}

fn read_dictionary(cursor: &mut Cursor<'_>, count: usize, most: usize) -> Result<Flat, CodecError> {
    let entry_count = cursor.length(count)?;
    let part = cursor.part()?;
    let mut entry_cursor = Cursor::new(part);
    let id = entry_cursor.byte()?;
    if entry_cursor.varint()? != 0 {
        return Err(CodecError::Damaged("a dictionary refers to a blob"));
    }
    let entries = read_flat(id, &mut entry_cursor, entry_count, data_max(part.len()).min(most))?;
    let mut flat = Flat { ends: Vec::with_capacity(count), data: Vec::new() };
    let mut wrong = false;
    ints::decode(cursor.rest(), count, |block| {
        for index in block {
            let range = usize::try_from(*index).ok().and_then(|index| {
                let start = index.checked_sub(1).map_or(Some(&0), |index| entries.ends.get(index));
                Some(*start?..*entries.ends.get(index)?)
            });
            let entry = range.and_then(|range| entries.data.get(range));
            wrong |= entry.is_none_or(|entry| flat.data.len() + entry.len() > most);
            if !wrong {
                flat.data.extend_from_slice(entry.unwrap_or_default());
            }
            flat.ends.push(flat.data.len());
        }
    })?;
    if wrong { Err(CodecError::Damaged("a dictionary has no such entry")) } else { Ok(flat) }
}
