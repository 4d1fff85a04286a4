//! One value, owned or borrowed.

use cid::Cid;

use super::Kind;

/// A value too large for a chunk: its content is in the blob store under this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// The content id of the blob's list of blocks.
    pub cid: Cid,
    /// The length of the content in bytes.
    pub len_bytes: u64,
}

/// One value of a record, borrowed.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// A float; compared and stored by its bits.
    F64(f64),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// True or false.
    Bool(bool),
    /// UTF-8 text that fits into a chunk.
    Text(&'a str),
    /// Bytes that fit into a chunk.
    Bytes(&'a [u8]),
    /// A value of a `bytes` metric whose content is in the blob store.
    Blob(BlobRef),
}

impl ValueRef<'_> {
    /// The kind of metric that this value belongs to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::F64(_) => Kind::F64,
            Self::I64(_) => Kind::I64,
            Self::U64(_) => Kind::U64,
            Self::Bool(_) => Kind::Bool,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) | Self::Blob(_) => Kind::Bytes,
        }
    }

    /// An owned copy.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match *self {
            Self::F64(value) => Value::F64(value),
            Self::I64(value) => Value::I64(value),
            Self::U64(value) => Value::U64(value),
            Self::Bool(value) => Value::Bool(value),
            Self::Text(value) => Value::Text(value.to_owned()),
            Self::Bytes(value) => Value::Bytes(value.to_vec()),
            Self::Blob(blob) => Value::Blob(blob),
        }
    }
}

/// Equality by bits: a NaN equals itself, and −0.0 differs from 0.0.
impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::I64(a), Self::I64(b)) => a == b,
            (Self::U64(a), Self::U64(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Blob(a), Self::Blob(b)) => a == b,
            _ => false,
        }
    }
}

/// One value of a record, owned.
#[derive(Debug, Clone)]
pub enum Value {
    /// See [`ValueRef::F64`].
    F64(f64),
    /// See [`ValueRef::I64`].
    I64(i64),
    /// See [`ValueRef::U64`].
    U64(u64),
    /// See [`ValueRef::Bool`].
    Bool(bool),
    /// See [`ValueRef::Text`].
    Text(String),
    /// See [`ValueRef::Bytes`].
    Bytes(Vec<u8>),
    /// See [`ValueRef::Blob`].
    Blob(BlobRef),
}

impl Value {
    /// The value, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::F64(value) => ValueRef::F64(*value),
            Self::I64(value) => ValueRef::I64(*value),
            Self::U64(value) => ValueRef::U64(*value),
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Text(value) => ValueRef::Text(value),
            Self::Bytes(value) => ValueRef::Bytes(value),
            Self::Blob(blob) => ValueRef::Blob(*blob),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl From<f64> for ValueRef<'_> {
    fn from(value: f64) -> Self {
        Self::F64(value)
    }
}

impl From<i64> for ValueRef<'_> {
    fn from(value: i64) -> Self {
        Self::I64(value)
    }
}

impl From<u64> for ValueRef<'_> {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

impl From<bool> for ValueRef<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a> From<&'a str> for ValueRef<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for ValueRef<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl From<BlobRef> for ValueRef<'_> {
    fn from(blob: BlobRef) -> Self {
        Self::Blob(blob)
    }
}
