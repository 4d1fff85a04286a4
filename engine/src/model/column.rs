//! Columns: the values of many records of one metric, side by side.

use super::{BlobRef, Kind, Value, ValueRef};

/// The values of consecutive records of one metric.
#[derive(Debug, Clone)]
pub enum Column {
    /// Values of kind `f64`.
    F64(Vec<f64>),
    /// Values of kind `i64`.
    I64(Vec<i64>),
    /// Values of kind `u64`.
    U64(Vec<u64>),
    /// Values of kind `bool`.
    Bool(Vec<bool>),
    /// Values of kind `text`; every element is UTF-8.
    Text(VarColumn),
    /// Values of kind `bytes`, and references to blobs.
    Bytes(VarColumn),
}

/// Values of varying length: one buffer and where each value ends in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VarColumn {
    ends: Vec<usize>,
    data: Vec<u8>,
    blobs: Vec<(usize, BlobRef)>,
}

impl VarColumn {
    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a value that is kept in the column.
    pub fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.ends.push(self.data.len());
    }

    /// Adds a value whose content is in the blob store.
    pub fn push_blob(&mut self, blob: BlobRef) {
        self.blobs.push((self.ends.len(), blob));
        self.ends.push(self.data.len());
    }

    /// The bytes of value `index` (none of them where it is a blob).
    #[must_use]
    pub fn bytes(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.data.get(start..end)
    }

    /// The blob that value `index` refers to, where it does.
    #[must_use]
    pub fn blob(&self, index: usize) -> Option<BlobRef> {
        let at = self.blobs.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(self.blobs[at].1)
    }

    /// The positions and references of all blobs, in order.
    #[must_use]
    pub fn blobs(&self) -> &[(usize, BlobRef)] {
        &self.blobs
    }

    /// Where each value ends in [`VarColumn::data`], rising.
    #[must_use]
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// The bytes of all values, one after the other.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    fn clear(&mut self) {
        self.ends.clear();
        self.data.clear();
        self.blobs.clear();
    }
}

impl Column {
    /// An empty column of a kind.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::F64 => Self::F64(Vec::new()),
            Kind::I64 => Self::I64(Vec::new()),
            Kind::U64 => Self::U64(Vec::new()),
            Kind::Bool => Self::Bool(Vec::new()),
            Kind::Text => Self::Text(VarColumn::default()),
            Kind::Bytes => Self::Bytes(VarColumn::default()),
        }
    }

    /// The kind of the values.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::F64(_) => Kind::F64,
            Self::I64(_) => Kind::I64,
            Self::U64(_) => Kind::U64,
            Self::Bool(_) => Kind::Bool,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) | Self::Bytes(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory the values take: bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::F64(values) => size_of_val(&values[..]),
            Self::I64(values) => size_of_val(&values[..]),
            Self::U64(values) => size_of_val(&values[..]),
            Self::Bool(values) => values.len(),
            Self::Text(values) | Self::Bytes(values) => {
                size_of_val(values.ends()) + values.data().len() + size_of_val(values.blobs())
            }
        }
    }

    /// Value `index`, or `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<ValueRef<'_>> {
        match self {
            Self::F64(values) => values.get(index).copied().map(ValueRef::F64),
            Self::I64(values) => values.get(index).copied().map(ValueRef::I64),
            Self::U64(values) => values.get(index).copied().map(ValueRef::U64),
            Self::Bool(values) => values.get(index).copied().map(ValueRef::Bool),
            Self::Text(values) => {
                values.bytes(index).map(|bytes| match std::str::from_utf8(bytes) {
                    Ok(text) => ValueRef::Text(text),
                    Err(_) => ValueRef::Bytes(bytes),
                })
            }
            Self::Bytes(values) => match values.blob(index) {
                Some(blob) => Some(ValueRef::Blob(blob)),
                None => values.bytes(index).map(ValueRef::Bytes),
            },
        }
    }

    /// Whether every text is UTF-8, and none a reference to a blob.
    pub(crate) fn texts_are_whole(&self) -> bool {
        let Self::Text(texts) = self else { return true };
        // All together may be although one is not.
        let each = || {
            (0..texts.len())
                .all(|at| std::str::from_utf8(texts.bytes(at).unwrap_or_default()).is_ok())
        };
        texts.blobs().is_empty() && std::str::from_utf8(texts.data()).is_ok() && each()
    }

    /// Adds a value; `false`, and nothing is added, where its kind is another.
    #[must_use]
    pub fn push(&mut self, value: ValueRef<'_>) -> bool {
        match (self, value) {
            (Self::F64(values), ValueRef::F64(value)) => values.push(value),
            (Self::I64(values), ValueRef::I64(value)) => values.push(value),
            (Self::U64(values), ValueRef::U64(value)) => values.push(value),
            (Self::Bool(values), ValueRef::Bool(value)) => values.push(value),
            (Self::Text(values), ValueRef::Text(value)) => values.push(value.as_bytes()),
            (Self::Bytes(values), ValueRef::Bytes(value)) => values.push(value),
            (Self::Bytes(values), ValueRef::Blob(blob)) => values.push_blob(blob),
            _ => return false,
        }
        true
    }

    /// Adds values `range` of a column of the same kind; `false` where the kind is another or
    /// the range reaches past its end.
    #[must_use]
    pub fn extend_from(&mut self, other: &Self, range: std::ops::Range<usize>) -> bool {
        if range.end > other.len() || range.start > range.end {
            return false;
        }
        match (self, other) {
            (Self::F64(to), Self::F64(from)) => to.extend_from_slice(&from[range]),
            (Self::I64(to), Self::I64(from)) => to.extend_from_slice(&from[range]),
            (Self::U64(to), Self::U64(from)) => to.extend_from_slice(&from[range]),
            (Self::Bool(to), Self::Bool(from)) => to.extend_from_slice(&from[range]),
            (Self::Text(to), Self::Text(from)) | (Self::Bytes(to), Self::Bytes(from)) => {
                for index in range {
                    match from.blob(index) {
                        Some(blob) => to.push_blob(blob),
                        None => to.push(from.bytes(index).unwrap_or_default()),
                    }
                }
            }
            _ => return false,
        }
        true
    }

    /// Removes all values and keeps the memory.
    pub fn clear(&mut self) {
        match self {
            Self::F64(values) => values.clear(),
            Self::I64(values) => values.clear(),
            Self::U64(values) => values.clear(),
            Self::Bool(values) => values.clear(),
            Self::Text(values) | Self::Bytes(values) => values.clear(),
        }
    }

    /// The values one by one.
    pub fn iter(&self) -> impl Iterator<Item = ValueRef<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Builds a column of a kind from values; `None` where one has another kind.
    pub fn from_values<'a>(
        kind: Kind,
        values: impl IntoIterator<Item = &'a Value>,
    ) -> Option<Self> {
        let mut column = Self::new(kind);
        values.into_iter().all(|value| column.push(value.as_ref())).then_some(column)
    }
}

/// Equality by bits, as for values.
impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::F64(a), Self::F64(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            (Self::I64(a), Self::I64(b)) => a == b,
            (Self::U64(a), Self::U64(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) | (Self::Bytes(a), Self::Bytes(b)) => a == b,
            _ => false,
        }
    }
}
