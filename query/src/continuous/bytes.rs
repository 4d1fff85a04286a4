//! How the state of continuous queries is written: fixed-width little-endian numbers, and bytes
//! behind their length as `u32`. See `docs/format/continuous.md`.

use chronolith_engine::{Kind, Value, ValueRef};

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_f64(out: &mut Vec<u8>, value: f64) {
    put_u64(out, value.to_bits());
}

/// Appends a length and that many bytes. Nothing that is kept is longer than a batch may be.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

/// Appends a count and that many texts.
pub(super) fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_u32(out, texts.len() as u32);
    texts.iter().for_each(|text| put_bytes(out, text.as_bytes()));
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

/// Reads from the front of some bytes; no length is believed that they do not have.
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], String> {
        let (taken, rest) =
            self.0.split_at_checked(size).ok_or_else(|| "it ends too early".to_owned())?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "it ends too early".to_owned())
    }

    pub(super) fn u8(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, String> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn f64(&mut self) -> Result<f64, String> {
        Ok(f64::from_bits(self.u64()?))
    }

    pub(super) fn sized(&mut self) -> Result<&'a [u8], String> {
        let size = self.u32()?;
        self.take(size as usize)
    }

    pub(super) fn text(&mut self) -> Result<String, String> {
        let bytes = self.sized()?.to_vec();
        String::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned())
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, String> {
        let count = self.u32()?;
        (0..count).map(|_| self.text()).collect()
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
        if self.0.is_empty() { Ok(()) } else { Err("it has bytes after its end".to_owned()) }
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
