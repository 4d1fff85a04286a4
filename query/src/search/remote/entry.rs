//! What comes from others, and what of it is taken.

use std::collections::BTreeMap;

use chronolith_engine::chunk::{ChunkHeader, Shown};
use chronolith_engine::{Definition, Limits};
use chronolith_merkle::{DAG_CBOR, HashFunction, matches};
use cid::Cid;

/// The longest header: bytes. Names, tags and metadata within the limits of a writer are shorter.
pub const HEADER_BYTES_MAX: usize = 256 << 10;
/// The longest body that a header may name: bytes, more than an encoder makes.
const BODY_BYTES_MAX: u64 = 2 << 20;
/// The longest text that says who told something, or which account it is: bytes.
const ACCOUNT_BYTES_MAX: usize = 256;

/// How much a store keeps. What comes from others must not fill the disk or the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most headers.
    pub headers: usize,
    /// The most headers that one teller may have among them.
    pub headers_of_one: usize,
    /// The most metrics that they are of.
    pub metrics: usize,
    /// The most offers that are open.
    pub offers: usize,
    /// The most offers that one teller may have among them.
    pub offers_of_one: usize,
    /// The most offers that are remembered to be closed; then the oldest are forgotten.
    pub closed: usize,
    /// The most bytes that all of it may have together.
    pub size_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            headers: 1_000_000,
            headers_of_one: 500_000,
            metrics: 200_000,
            offers: 100_000,
            offers_of_one: 50_000,
            closed: 500_000,
            size_bytes: 1 << 30,
        }
    }
}

/// How sure it is that the ledger knows of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Trust {
    /// Somebody told it.
    #[default]
    Told = 0,
    /// It is on a ledger that this node keeps.
    Anchored = 1,
    /// A proof of that was checked, from a genesis that the user trusts.
    Proved = 2,
}

impl Trust {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Told, Self::Anchored, Self::Proved];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Anchored => "anchored",
            Self::Proved => "proved",
        }
    }

    pub(in crate::search) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Told),
            1 => Some(Self::Anchored),
            2 => Some(Self::Proved),
            _ => None,
        }
    }
}

/// Where the ledger says something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchor {
    /// The account that put it there.
    pub account: String,
    /// The height.
    pub height: u64,
    /// The time of that block: milliseconds since the epoch.
    pub time_ms: u64,
}

/// Where something comes from, and how sure it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Who told it: a peer, a file, a chain.
    pub from: String,
    /// How sure it is.
    pub trust: Trust,
    /// Where the ledger says it; there is one where it is more than told.
    pub anchor: Option<Anchor>,
}

impl Provenance {
    /// What somebody told.
    #[must_use]
    pub fn told(from: impl Into<String>) -> Self {
        Self { from: from.into(), trust: Trust::Told, anchor: None }
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        let account = self.anchor.as_ref().map_or("", |anchor| &anchor.account);
        for (what, text) in [("the name of who told it", &*self.from), ("an account", account)] {
            no_longer(what, text.len(), ACCOUNT_BYTES_MAX)?;
        }
        match (self.trust, &self.anchor) {
            (Trust::Told, None) | (Trust::Anchored | Trust::Proved, Some(_)) => Ok(()),
            _ => Err(implausible("what is more than told says where the ledger has it")),
        }
    }
}

/// Why something is not taken. Nothing else is changed by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The content id is of a kind that no header has.
    #[error("{cid} is not the content id of a header: CIDv1, dag-cbor, sha2-256 or blake3")]
    ContentId {
        /// The content id.
        cid: String,
    },
    /// The bytes are not what the content id names.
    #[error("the bytes are not those that {cid} names; fetch them again from elsewhere")]
    OtherBytes {
        /// The content id.
        cid: String,
    },
    /// The bytes are no header.
    #[error("{0}")]
    Malformed(String),
    /// It is longer than anything that a writer makes.
    #[error("{what} has {found}, and {most} is the most")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How many bytes, or how many of them.
        found: usize,
        /// The most.
        most: usize,
    },
    /// It says what cannot be.
    #[error("it cannot be so: {0}")]
    Implausible(String),
    /// There is no room left; see [`Bounds`].
    #[error("there is no room: {what}, and {most} is the most; forget some that are not needed")]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// The most.
        most: u64,
    },
    /// The offer was closed.
    #[error("the offer was closed, and does not open again")]
    Closed,
    /// It is other than what is known with more certainty.
    #[error("it says otherwise than what is known with more certainty: {0}")]
    Contradicts(&'static str),
}

pub(super) fn implausible(why: impl Into<String>) -> Refused {
    Refused::Implausible(why.into())
}

pub(super) fn no_longer(what: &'static str, found: usize, most: usize) -> Result<(), Refused> {
    if found > most { Err(Refused::TooLarge { what, found, most }) } else { Ok(()) }
}

/// Names and values within the limits that a writer has.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refused> {
    let limits = Limits::default();
    no_longer("the list of tags", tags.len(), limits.tags)?;
    for text in tags.iter().flat_map(|(key, value)| [key, value]) {
        no_longer("a tag", text.len(), limits.name_bytes)?;
    }
    Ok(())
}

/// Reads a header that somebody else made.
pub(super) fn check_header(cid: &Cid, bytes: &[u8]) -> Result<ChunkHeader, Refused> {
    no_longer("a header", bytes.len(), HEADER_BYTES_MAX)?;
    let is_known = HashFunction::from_code(cid.hash().code()).is_some();
    if cid.version() != cid::Version::V1 || cid.codec() != DAG_CBOR || !is_known {
        return Err(Refused::ContentId { cid: cid.to_string() });
    }
    if !matches(cid, bytes) {
        return Err(Refused::OtherBytes { cid: cid.to_string() });
    }
    let header = ChunkHeader::from_bytes(bytes);
    let header = header.map_err(|error| Refused::Malformed(error.to_string()))?;
    let lengths = Definition::MIN_WINDOW_NS..=Definition::MAX_WINDOW_NS;
    if !lengths.contains(&header.window_ns) {
        return Err(implausible(format!("windows of {} ns", header.window_ns)));
    }
    if window_of(&header).is_none() {
        return Err(implausible(format!("the window {} is outside of all times", header.window)));
    }
    if header.body_bytes > BODY_BYTES_MAX {
        return Err(implausible(format!("a body of {} bytes", header.body_bytes)));
    }
    if header.supersedes.is_some_and(|last| last >= header.generation) {
        return Err(implausible("it replaces itself or what comes later"));
    }
    if header.level.hides_metric() != header.shown.is_none() {
        return Err(implausible("names are hidden at levels 1 and 2, and at no other"));
    }
    if let Some(shown) = &header.shown {
        check_shown(&header, shown)?;
    }
    Ok(header)
}

fn check_shown(header: &ChunkHeader, shown: &Shown) -> Result<(), Refused> {
    let limits = Limits::default();
    for (what, text) in [("the device", &shown.device), ("the name", &shown.name)] {
        no_longer(what, text.len(), limits.name_bytes)?;
    }
    no_longer("the unit", shown.unit.len(), limits.name_bytes)?;
    no_longer("the codec", shown.codec.len(), limits.name_bytes)?;
    check_tags(&shown.tags)?;
    let metadata = shown.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    no_longer("the metadata", metadata, limits.metadata_bytes)?;
    for key in shown.metadata.keys() {
        no_longer("a key of the metadata", key.len(), limits.name_bytes)?;
    }
    if u32::try_from(shown.count).is_err() || shown.count == 0 {
        return Err(implausible(format!("{} records", shown.count)));
    }
    let (start, last) = window_of(header).unwrap_or_default();
    if shown.first_ns > shown.last_ns || shown.first_ns < start || shown.last_ns > last {
        return Err(implausible("its records lie outside of its window"));
    }
    let is_on_earth = shown.place.is_none_or(|place| {
        place.latitude_centidegrees.unsigned_abs() <= 9_000
            && place.longitude_centidegrees.unsigned_abs() <= 18_000
    });
    if is_on_earth { Ok(()) } else { Err(implausible("its place is not on the globe")) }
}

/// The first and the last time of a header's window, as far as there are such times; `None` where
/// there are none.
pub(in crate::search) fn window_of(header: &ChunkHeader) -> Option<(i64, i64)> {
    let start = i128::from(header.window) * i128::from(header.window_ns);
    let last = start + i128::from(header.window_ns) - 1;
    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
    if last < least || start > most {
        return None;
    }
    Some((start.max(least) as i64, last.min(most) as i64))
}
