//! As much of DAG-CBOR as chunk headers are made of, read strictly.
//!
//! What a ledger decides on must have one verdict everywhere, for ever, so this is not left to a
//! general decoder: lengths are definite and in their shortest form, keys of maps are texts that rise
//! strictly (shorter ones first, as DAG-CBOR orders them), the only tag is that of links, whose content
//! nobody here follows, and floats, which headers do not have, are refused. Nothing is allocated.

use crate::header::{HeaderError, HeaderProblem};

/// How deep maps and lists may lie in each other; headers need two levels.
const DEPTH_MAX: u8 = 4;
const LINK: u64 = 42;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// Reads items one after the other.
pub(crate) struct Cbor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Reads the entries of a map in their order.
pub(crate) struct Entries<'a> {
    left: u64,
    before: Option<&'a str>,
}

impl<'a> Cbor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn fail<T>(&self, problem: HeaderProblem) -> Result<T, HeaderError> {
        Err(HeaderError { offset: self.at, problem })
    }

    /// Refuses what follows the last item.
    pub(crate) fn end(&self) -> Result<(), HeaderError> {
        if self.at < self.bytes.len() { self.fail(HeaderProblem::Trailing) } else { Ok(()) }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], HeaderError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(count).ok().and_then(|count| rest.get(..count));
        let Some(taken) = taken else { return self.fail(HeaderProblem::Truncated) };
        self.at += taken.len();
        Ok(taken)
    }

    /// The head of an item: its major type, its argument, and whether the argument is the short one.
    fn head(&mut self) -> Result<(u8, u64), HeaderError> {
        let start = self.at;
        let first = self.take(1)?.first().copied().unwrap_or_default();
        let (major, short) = (first >> 5, u64::from(first & 31));
        let (length, least) = match short {
            0..24 => return Ok((major, short)),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(HeaderError { offset: start, problem: HeaderProblem::NotCanonical }),
        };
        let argument = self.take(length)?;
        let argument = argument.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        // Simple values of two bytes and floats are in no header.
        if argument < least || major == SIMPLE {
            return Err(HeaderError { offset: start, problem: HeaderProblem::NotCanonical });
        }
        Ok((major, argument))
    }

    fn expect(&mut self, major: u8, field: &'static str) -> Result<u64, HeaderError> {
        let start = self.at;
        match self.head()? {
            (found, argument) if found == major => Ok(argument),
            _ => Err(HeaderError { offset: start, problem: HeaderProblem::Kind { field } }),
        }
    }

    pub(crate) fn unsigned(&mut self, field: &'static str) -> Result<u64, HeaderError> {
        self.expect(UNSIGNED, field)
    }

    pub(crate) fn integer(&mut self, field: &'static str) -> Result<i64, HeaderError> {
        let start = self.at;
        let value = match self.head()? {
            (UNSIGNED, value) => i64::try_from(value).ok(),
            (NEGATIVE, value) => i64::try_from(value).ok().map(|value| -1 - value),
            _ => None,
        };
        value.ok_or(HeaderError { offset: start, problem: HeaderProblem::Kind { field } })
    }

    pub(crate) fn digest(&mut self, field: &'static str) -> Result<[u8; 32], HeaderError> {
        let start = self.at;
        let length = self.expect(BYTES, field)?;
        let bytes = self.take(length)?.try_into();
        bytes.map_err(|_| HeaderError { offset: start, problem: HeaderProblem::Kind { field } })
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, HeaderError> {
        let length = self.expect(TEXT, field)?;
        self.utf8(length)
    }

    fn utf8(&mut self, length: u64) -> Result<&'a str, HeaderError> {
        let offset = self.at;
        let text = std::str::from_utf8(self.take(length)?);
        text.map_err(|_| HeaderError { offset, problem: HeaderProblem::NotText })
    }

    pub(crate) fn map(&mut self, field: &'static str) -> Result<Entries<'a>, HeaderError> {
        Ok(Entries { left: self.expect(MAP, field)?, before: None })
    }

    /// The next key of a map; its value is the next item.
    pub(crate) fn key(
        &mut self,
        entries: &mut Entries<'a>,
    ) -> Result<Option<&'a str>, HeaderError> {
        let Some(left) = entries.left.checked_sub(1) else { return Ok(None) };
        entries.left = left;
        let offset = self.at;
        let key = self.text("key")?;
        let order = |key: &'a str| (key.len(), key);
        if entries.before.is_some_and(|before| order(before) >= order(key)) {
            return Err(HeaderError { offset, problem: HeaderProblem::NotCanonical });
        }
        entries.before = Some(key);
        Ok(Some(key))
    }

    /// Passes over an item that may be in a header.
    pub(crate) fn skip(&mut self) -> Result<(), HeaderError> {
        self.skip_at(0)
    }

    fn skip_at(&mut self, depth: u8) -> Result<(), HeaderError> {
        if depth > DEPTH_MAX {
            return self.fail(HeaderProblem::Deep);
        }
        let offset = self.at;
        let refused = HeaderError { offset, problem: HeaderProblem::NotCanonical };
        match self.head()? {
            (UNSIGNED | NEGATIVE, _) => Ok(()),
            (BYTES, length) => self.take(length).map(drop),
            (TEXT, length) => self.utf8(length).map(drop),
            // Each element takes a byte at least, so that no count makes this long.
            (LIST, count) => (0..count).try_for_each(|_| self.skip_at(depth + 1)),
            (MAP, left) => {
                let mut entries = Entries { left, before: None };
                while self.key(&mut entries)?.is_some() {
                    self.skip_at(depth + 1)?;
                }
                Ok(())
            }
            (TAG, LINK) => match self.head()? {
                (BYTES, length) if self.take(length)?.first() == Some(&0) => Ok(()),
                _ => Err(refused),
            },
            // False, true, null.
            (SIMPLE, 20..=22) => Ok(()),
            _ => Err(refused),
        }
    }
}
