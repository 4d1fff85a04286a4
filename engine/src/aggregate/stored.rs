//! Partial aggregates as bytes, for those who keep them between runs of a program.
//!
//! ```text
//! kind u8 (255: several) · count varint · parts u8 (1 floats, 2 integers, 4 ends, 8 spread) ·
//! floats:   min f64 · max f64 · sum f64 · its rest f64
//! integers: min · max · sum, signed varints of up to 128 bits
//! ends:     first time i64 · value · last time i64 · value;  value: kind u8 · 8 bytes or as in a batch
//! spread:   count f64 · pivot signed varint · mean f64 · squares f64
//! ```

use crate::batch::{bits_value, put_value, read_value, value_bits};
use crate::encoding::{Malformed, Reader, put_signed_wide, put_varint};
use crate::model::{Kind, Value};
use crate::sum::FloatSum;

use super::accumulate::{Floats, Integers, Partial, Spread};

const SEVERAL_KINDS: u8 = 255;
const FLOATS: u8 = 1;
const INTEGERS: u8 = 2;
const ENDS: u8 = 4;
const SPREAD: u8 = 8;

impl Partial {
    /// Appends all that is known as bytes; [`Partial::decode`] reads them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let has = |is: bool, part: u8| if is { part } else { 0 };
        out.push(self.kind.map_or(SEVERAL_KINDS, Kind::code));
        put_varint(out, self.count);
        out.push(
            has(self.floats.is_some(), FLOATS)
                | has(self.integers.is_some(), INTEGERS)
                | has(self.first.is_some() && self.last.is_some(), ENDS)
                | has(self.spread.count > 0.0, SPREAD),
        );
        if let Some(floats) = &self.floats {
            let (rounded, rest) = floats.sum.parts();
            [floats.min, floats.max, rounded, rest].iter().for_each(|part| put_f64(out, *part));
        }
        if let Some(integers) = &self.integers {
            let parts = [integers.min, integers.max, integers.sum];
            parts.iter().for_each(|part| put_signed_wide(out, *part));
        }
        if let (Some(first), Some(last)) = (&self.first, &self.last) {
            for (time_ns, value) in [first, last] {
                out.extend_from_slice(&time_ns.to_le_bytes());
                put_end(out, value);
            }
        }
        if self.spread.count > 0.0 {
            put_f64(out, self.spread.count);
            put_signed_wide(out, self.spread.pivot);
            put_f64(out, self.spread.mean);
            put_f64(out, self.spread.squares);
        }
    }

    /// The partial that [`Partial::encode`] wrote; what is wrong with the bytes where they are
    /// none.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::new(bytes);
        let partial = read(&mut reader).and_then(|partial| reader.finish().map(|()| partial));
        partial.map_err(|problem| problem.to_string())
    }
}

fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

fn read_f64(reader: &mut Reader<'_>) -> Result<f64, Malformed> {
    Ok(f64::from_bits(reader.u64()?))
}

fn put_end(out: &mut Vec<u8>, value: &Value) {
    let value = value.as_ref();
    out.push(value.kind().code());
    match value_bits(value) {
        Some(bits) => out.extend_from_slice(&bits.to_le_bytes()),
        None => put_value(out, value),
    }
}

fn read_end(reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    let kind = Kind::from_code(reader.u8()?).ok_or(reader.malformed("no such kind"))?;
    match kind {
        Kind::Text | Kind::Bytes => Ok(read_value(reader, kind)?.to_value()),
        _ => {
            let value = bits_value(kind, reader.u64()?);
            Ok(value.ok_or(reader.malformed("no such kind"))?.to_value())
        }
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Partial, Malformed> {
    let kind = match reader.u8()? {
        SEVERAL_KINDS => None,
        code => Some(Kind::from_code(code).ok_or(reader.malformed("no such kind"))?),
    };
    let mut partial = Partial::of_kind(kind);
    partial.count = reader.varint()?;
    let parts = reader.u8()?;
    partial.floats = match parts & FLOATS {
        0 => None,
        _ => {
            let (min, max) = (read_f64(reader)?, read_f64(reader)?);
            let sum = FloatSum::of_parts(read_f64(reader)?, read_f64(reader)?);
            Some(Floats { min, max, sum })
        }
    };
    partial.integers = match parts & INTEGERS {
        0 => None,
        _ => Some(Integers {
            min: reader.signed_wide()?,
            max: reader.signed_wide()?,
            sum: reader.signed_wide()?,
        }),
    };
    if parts & ENDS != 0 {
        let mut end = || -> Result<(i64, Value), Malformed> {
            Ok((i64::from_le_bytes(reader.array()?), read_end(reader)?))
        };
        (partial.first, partial.last) = (Some(end()?), Some(end()?));
    }
    if parts & SPREAD != 0 {
        partial.spread = Spread {
            count: read_f64(reader)?,
            pivot: reader.signed_wide()?,
            mean: read_f64(reader)?,
            squares: read_f64(reader)?,
        };
    }
    Ok(partial)
}
