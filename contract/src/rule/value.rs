//! Values that rules are about: what goes in is recorded, so each has one canonical form.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;

use crate::amount::Amount;

/// The most elements that a list of the inputs has.
pub const LIST_MAX: usize = 256;
/// The longest text of the inputs: bytes.
pub const TEXT_BYTES_MAX: usize = 512;
/// The most bytes that the texts of one list have together.
pub const LIST_BYTES_MAX: usize = 16_384;

/// A value. There are no fractions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// An amount of coin.
    Amount(Amount),
    /// Values of one kind.
    List(Vec<Value>),
    /// Values by name.
    Record(BTreeMap<String, Value>),
}

impl Value {
    /// A record of fields.
    pub fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A list of texts.
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.to_owned())).collect())
    }

    /// The canonical form: an amount is its 16 bytes, big-endian, and nothing else is bytes.
    pub(crate) fn to_ipld(&self) -> Ipld {
        match self {
            Self::Boolean(value) => Ipld::Bool(*value),
            Self::Integer(value) => Ipld::Integer((*value).into()),
            Self::Text(text) => Ipld::String(text.clone()),
            Self::Amount(amount) => Ipld::Bytes(amount.0.to_be_bytes().to_vec()),
            Self::List(values) => Ipld::List(values.iter().map(Self::to_ipld).collect()),
            Self::Record(fields) => Ipld::Map(
                fields.iter().map(|(name, value)| (name.clone(), value.to_ipld())).collect(),
            ),
        }
    }

    /// Reads the canonical form; none where no value has it. Depth and size are those of the block.
    pub(crate) fn from_ipld(ipld: Ipld) -> Option<Self> {
        Some(match ipld {
            Ipld::Bool(value) => Self::Boolean(value),
            Ipld::Integer(value) => Self::Integer(i64::try_from(value).ok()?),
            Ipld::String(text) => Self::Text(text),
            Ipld::Bytes(bytes) => Self::Amount(Amount(u128::from_be_bytes(bytes.try_into().ok()?))),
            Ipld::List(values) => {
                Self::List(values.into_iter().map(Self::from_ipld).collect::<Option<_>>()?)
            }
            Ipld::Map(fields) => {
                let field = |(name, value)| Some((name, Self::from_ipld(value)?));
                Self::Record(fields.into_iter().map(field).collect::<Option<_>>()?)
            }
            Ipld::Null | Ipld::Float(_) | Ipld::Link(_) => return None,
        })
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Amount> for Value {
    fn from(value: Amount) -> Self {
        Self::Amount(value)
    }
}
