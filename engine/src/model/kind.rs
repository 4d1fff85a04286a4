//! The six kinds of values.

use std::fmt;
use std::str::FromStr;

/// The kind of a metric's values; fixed by the metric's first write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// 64-bit IEEE 754 numbers; every bit pattern is kept, NaN payloads included.
    F64 = 1,
    /// Signed 64-bit integers.
    I64 = 2,
    /// Unsigned 64-bit integers.
    U64 = 3,
    /// True or false.
    Bool = 4,
    /// UTF-8 text.
    Text = 5,
    /// Any bytes.
    Bytes = 6,
}

impl Kind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::F64, Self::I64, Self::U64, Self::Bool, Self::Text, Self::Bytes];

    /// The byte that stands for the kind on disk.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a byte on disk.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::F64),
            2 => Some(Self::I64),
            3 => Some(Self::U64),
            4 => Some(Self::Bool),
            5 => Some(Self::Text),
            6 => Some(Self::Bytes),
            _ => None,
        }
    }

    /// The kind's name: `f64`, `i64`, `u64`, `bool`, `text` or `bytes`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::Bool => "bool",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }

    /// Whether arithmetic on the values has a meaning.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::F64 | Self::I64 | Self::U64)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is none of the six kinds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind; kinds are f64, i64, u64, bool, text and bytes")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownKind(text.chars().take(64).collect()))
    }
}
