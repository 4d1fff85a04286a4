//! Collections whose types bound them.

use std::fmt;
use std::ops::Deref;

use borsh::{BorshDeserialize, BorshSerialize, io};

use super::DecodeReason;

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TooLong(pub DecodeReason);

/// Reads a length and refuses one above `limit` before anything is allocated.
fn read_length<R: io::Read>(reader: &mut R, limit: usize) -> io::Result<usize> {
    let found = u32::deserialize_reader(reader)? as usize;
    if found > limit {
        return Err(DecodeReason::TooLong { limit, found }.into_io());
    }
    Ok(found)
}

fn read_bytes<R: io::Read>(reader: &mut R, limit: usize) -> io::Result<Vec<u8>> {
    let length = read_length(reader, limit)?;
    let mut bytes = Vec::new();
    // Grown as bytes arrive: a short input with a long length allocates little.
    let mut buffer = [0; 1024];
    while bytes.len() < length {
        let size = buffer.len().min(length - bytes.len());
        let part = buffer.get_mut(..size).unwrap_or_default();
        reader.read_exact(part).map_err(|_| DecodeReason::Truncated.into_io())?;
        bytes.extend_from_slice(part);
    }
    Ok(bytes)
}

/// At most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Bytes<MAX> {
    /// Takes bytes, if there are not too many.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, TooLong> {
        let bytes = bytes.into();
        if bytes.len() > MAX {
            return Err(TooLong(DecodeReason::TooLong { limit: MAX, found: bytes.len() }));
        }
        Ok(Self(bytes))
    }
}

impl<const MAX: usize> Deref for Bytes<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Bytes<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const MAX: usize> BorshSerialize for Bytes<MAX> {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.serialize(writer)
    }
}

impl<const MAX: usize> BorshDeserialize for Bytes<MAX> {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        Ok(Self(read_bytes(reader, MAX)?))
    }
}

/// A text of at most `MAX` bytes of UTF-8, without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Takes a text, if it is not too long and has no control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
        let text = text.into();
        if text.len() > MAX {
            return Err(TooLong(DecodeReason::TooLong { limit: MAX, found: text.len() }));
        }
        if text.chars().any(char::is_control) {
            return Err(TooLong(DecodeReason::NotText));
        }
        Ok(Self(text))
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> BorshSerialize for Text<MAX> {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.serialize(writer)
    }
}

impl<const MAX: usize> BorshDeserialize for Text<MAX> {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let bytes = read_bytes(reader, MAX)?;
        let text = String::from_utf8(bytes).map_err(|_| DecodeReason::NotText.into_io())?;
        Self::new(text).map_err(|TooLong(reason)| reason.into_io())
    }
}

/// At most `MAX` values in an order that means something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes values, if there are not too many.
    pub fn new(values: impl Into<Vec<T>>) -> Result<Self, TooLong> {
        let values = values.into();
        if values.len() > MAX {
            return Err(TooLong(DecodeReason::TooLong { limit: MAX, found: values.len() }));
        }
        Ok(Self(values))
    }

    /// Adds a value, if there is room.
    pub fn push(&mut self, value: T) -> Result<(), TooLong> {
        if self.0.len() >= MAX {
            return Err(TooLong(DecodeReason::TooLong { limit: MAX, found: MAX + 1 }));
        }
        self.0.push(value);
        Ok(())
    }

    /// Takes the last value away.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: BorshSerialize, const MAX: usize> BorshSerialize for List<T, MAX> {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.serialize(writer)
    }
}

impl<T: BorshDeserialize, const MAX: usize> BorshDeserialize for List<T, MAX> {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let length = read_length(reader, MAX)?;
        let mut values = Vec::new();
        for _ in 0..length {
            values.push(T::deserialize_reader(reader)?);
        }
        Ok(Self(values))
    }
}

/// What the elements of a set are told apart by.
pub trait Keyed {
    /// The part that must be unique.
    type Key: Ord;

    /// That part of this element.
    fn key(&self) -> Self::Key;
}

/// At most `MAX` values with strictly rising keys: a set or a map with one encoding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rising<T, const MAX: usize>(List<T, MAX>);

impl<T, const MAX: usize> Default for Rising<T, MAX> {
    fn default() -> Self {
        Self(List::default())
    }
}

impl<T: Keyed, const MAX: usize> Rising<T, MAX> {
    /// Sorts values by their keys; refuses too many and two of one key.
    pub fn new(values: impl Into<Vec<T>>) -> Result<Self, TooLong> {
        let mut values = values.into();
        values.sort_by_key(Keyed::key);
        let values = List::new(values)?;
        Self::check(values).ok_or(TooLong(DecodeReason::NotRising))
    }

    fn check(values: List<T, MAX>) -> Option<Self> {
        values.is_sorted_by(|a, b| a.key() < b.key()).then_some(Self(values))
    }
}

impl<T, const MAX: usize> Deref for Rising<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: BorshSerialize, const MAX: usize> BorshSerialize for Rising<T, MAX> {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.serialize(writer)
    }
}

impl<T: BorshDeserialize + Keyed, const MAX: usize> BorshDeserialize for Rising<T, MAX> {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let values = List::deserialize_reader(reader)?;
        Self::check(values).ok_or_else(|| DecodeReason::NotRising.into_io())
    }
}
