//! What the state of continuous queries holds beside numbers and bytes. See
//! `docs/format/continuous.md`.

use chronolith_engine::{Kind, Value, ValueRef};

pub(super) use crate::bytes::{Bytes, put_bytes, put_i64, put_texts, put_u32, put_u64};

pub(super) fn put_f64(out: &mut Vec<u8>, value: f64) {
    put_u64(out, value.to_bits());
}

/// Appends a value or none.
pub(super) fn put_value(out: &mut Vec<u8>, value: Option<&Value>) {
    let Some(value) = value else { return out.push(NONE) };
    out.push(value.as_ref().kind().code());
    match value.as_ref() {
        ValueRef::F64(value) => put_f64(out, value),
        ValueRef::I64(value) => put_i64(out, value),
        ValueRef::U64(value) => put_u64(out, value),
        ValueRef::Bool(value) => put_u64(out, value.into()),
        ValueRef::Text(text) => put_bytes(out, text.as_bytes()),
        ValueRef::Bytes(bytes) => put_bytes(out, bytes),
        // What is told of a blob is which one it is.
        ValueRef::Blob(blob) => put_bytes(out, blob.cid.to_string().as_bytes()),
    }
}

/// The code of no value.
const NONE: u8 = 255;

impl Bytes<'_> {
    pub(super) fn f64(&mut self) -> Result<f64, String> {
        Ok(f64::from_bits(self.u64()?))
    }

    pub(super) fn value(&mut self) -> Result<Option<Value>, String> {
        let code = self.u8()?;
        if code == NONE {
            return Ok(None);
        }
        Ok(Some(match Kind::from_code(code).ok_or_else(|| "no such kind".to_owned())? {
            Kind::F64 => Value::F64(self.f64()?),
            Kind::I64 => Value::I64(self.i64()?),
            Kind::U64 => Value::U64(self.u64()?),
            Kind::Bool => Value::Bool(self.u64()? != 0),
            Kind::Text => Value::Text(self.text()?),
            Kind::Bytes => Value::Bytes(self.sized()?.to_vec()),
        }))
    }

    pub(super) fn finish(self) -> Result<(), String> {
        if self.is_empty() { Ok(()) } else { Err("it has bytes after its end".to_owned()) }
    }
}

/// Bytes in the order of the number.
pub(super) const fn ordered(time_ns: i64) -> [u8; 8] {
    (time_ns as u64 ^ (1 << 63)).to_be_bytes()
}

/// The number of bytes that [`ordered`] made.
pub(super) const fn unordered(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}
