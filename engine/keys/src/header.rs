//! What a chunk's header says of its keys.
//!
//! The engine makes headers and reads them whole; a ledger that judges a dispute must not depend on
//! the engine, and needs a few fields. [`HeaderView`] reads these, and refuses whatever could not be
//! a header of version 1.

use crate::body::{BodyKey, ChunkSlot};
use crate::cbor::Cbor;
use crate::id::{MetricIdentity, TreeId};

const VERSION: u64 = 1;
/// How a body is encrypted: a number in the header. 0 is in the clear; this one is
/// XChaCha20-Poly1305 with the key of [`BodyKey`].
pub const SCHEME: u64 = 1;
/// The longest header that is read, and the longest that a dispute can be about: bytes.
pub const HEADER_BYTES_MAX: usize = 16_384;

/// The fields of a header that nobody needs here. One that is neither known nor among these is
/// refused.
const PASSED_OVER: [&str; 13] = [
    "body",
    "body_bytes",
    "codec",
    "count",
    "first",
    "kind",
    "last",
    "level",
    "metadata",
    "place",
    "producer",
    "supersedes",
    "unit",
];

/// How a chunk is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encryption {
    /// The key tree.
    pub tree: TreeId,
    /// The commitment to the body's key; see [`BodyKey::commitment`].
    pub commitment: [u8; 32],
}

/// What a header of an encrypted chunk says of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// The length of windows: nanoseconds.
    pub window_ns: i64,
    /// Which chunk of the key tree it is.
    pub slot: ChunkSlot,
    /// The key tree and the commitment.
    pub encryption: Encryption,
    /// The metric; none where the header hides it behind a pseudonym.
    pub metric: Option<MetricIdentity<'a>>,
}

/// Bytes that are not the header of an encrypted chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the header of an encrypted chunk, at byte {offset}: {problem}")]
pub struct HeaderError {
    /// Where.
    pub offset: usize,
    /// What is wrong there.
    pub problem: HeaderProblem,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// It is too long.
    #[error("{found} bytes where at most {HEADER_BYTES_MAX} are read")]
    TooLong {
        /// How many there are: bytes.
        found: usize,
    },
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// Something follows the header.
    #[error("something follows the header")]
    Trailing,
    /// It is CBOR that DAG-CBOR does not write, or that no header has.
    #[error("not canonical DAG-CBOR as headers are made of it")]
    NotCanonical,
    /// A text is not UTF-8.
    #[error("a text that is not UTF-8")]
    NotText,
    /// Maps and lists lie too deep in each other.
    #[error("maps and lists too deep in each other")]
    Deep,
    /// A version that this program does not know.
    #[error("version {found}, and this program reads {VERSION}")]
    Version {
        /// The version.
        found: u64,
    },
    /// A field that no header has.
    #[error("a field that headers do not have")]
    Unknown,
    /// A field is missing.
    #[error("{field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field is of another kind, or out of its range.
    #[error("{field} is of another kind, or out of its range")]
    Kind {
        /// The field.
        field: &'static str,
    },
    /// The chunk is in the clear.
    #[error("the chunk is not encrypted")]
    Clear,
    /// A scheme that this program does not know.
    #[error("encryption scheme {found}, and this program knows {SCHEME}")]
    Scheme {
        /// The scheme.
        found: u64,
    },
}

/// The fields that were found.
#[derive(Default)]
struct Found<'a> {
    version: Option<u64>,
    window_ns: Option<i64>,
    window: Option<i64>,
    generation: Option<u32>,
    part: Option<u32>,
    encryption: Option<Encryption>,
    pseudonym: Option<[u8; 32]>,
    device: Option<&'a str>,
    name: Option<&'a str>,
    tags: Option<Vec<(&'a str, &'a str)>>,
}

impl<'a> HeaderView<'a> {
    /// Reads a header.
    ///
    /// # Errors
    /// [`HeaderError`] with the place, where the bytes are no header of version 1, or the chunk is not
    /// encrypted in the known way.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        if bytes.len() > HEADER_BYTES_MAX {
            let problem = HeaderProblem::TooLong { found: bytes.len() };
            return Err(HeaderError { offset: HEADER_BYTES_MAX, problem });
        }
        let mut cbor = Cbor::new(bytes);
        let mut found = Found::default();
        let mut entries = cbor.map("header")?;
        while let Some(key) = cbor.key(&mut entries)? {
            found.read(key, &mut cbor)?;
        }
        cbor.end()?;
        let missing =
            |field| HeaderError { offset: bytes.len(), problem: HeaderProblem::Missing { field } };
        found.version.ok_or_else(|| missing("v"))?;
        let metric = match (found.pseudonym, found.device, found.name, found.tags) {
            (Some(_), None, None, None) => None,
            (Some(_), ..) => return cbor.fail(HeaderProblem::Unknown),
            (None, device, name, tags) => Some(MetricIdentity {
                device: device.ok_or_else(|| missing("device"))?,
                name: name.ok_or_else(|| missing("name"))?,
                tags: tags.ok_or_else(|| missing("tags"))?,
            }),
        };
        Ok(Self {
            window_ns: found.window_ns.ok_or_else(|| missing("window_ns"))?,
            slot: ChunkSlot {
                window: found.window.ok_or_else(|| missing("window"))?,
                generation: found.generation.ok_or_else(|| missing("generation"))?,
                part: found.part.ok_or_else(|| missing("part"))?,
            },
            encryption: found.encryption.ok_or_else(|| missing("encryption"))?,
            metric,
        })
    }

    /// Whether a key is that of this chunk.
    #[must_use]
    pub fn is_key(&self, key: &BodyKey) -> bool {
        key.is_committed(&self.encryption.commitment)
    }
}

impl<'a> Found<'a> {
    fn read(&mut self, key: &'a str, cbor: &mut Cbor<'a>) -> Result<(), HeaderError> {
        match key {
            "v" => match cbor.unsigned("v")? {
                VERSION => self.version = Some(VERSION),
                found => return cbor.fail(HeaderProblem::Version { found }),
            },
            "window_ns" => self.window_ns = Some(cbor.integer("window_ns")?),
            "window" => self.window = Some(cbor.integer("window")?),
            "generation" => self.generation = Some(short(cbor, "generation")?),
            "part" => self.part = Some(short(cbor, "part")?),
            "encryption" => self.encryption = Some(encryption(cbor)?),
            "pseudonym" => self.pseudonym = Some(cbor.digest("pseudonym")?),
            "device" => self.device = Some(cbor.text("device")?),
            "name" => self.name = Some(cbor.text("name")?),
            "tags" => self.tags = Some(tags(cbor)?),
            other if PASSED_OVER.contains(&other) => cbor.skip()?,
            _ => return cbor.fail(HeaderProblem::Unknown),
        }
        Ok(())
    }
}

fn short(cbor: &mut Cbor<'_>, field: &'static str) -> Result<u32, HeaderError> {
    let value = u32::try_from(cbor.unsigned(field)?);
    value.or_else(|_| cbor.fail(HeaderProblem::Kind { field }))
}

fn encryption(cbor: &mut Cbor<'_>) -> Result<Encryption, HeaderError> {
    let mut entries = cbor.map("encryption")?;
    let (mut tree, mut scheme, mut commitment) = (None, None, None);
    while let Some(key) = cbor.key(&mut entries)? {
        match key {
            "tree" => tree = Some(TreeId(cbor.digest("tree")?)),
            "scheme" => scheme = Some(cbor.unsigned("scheme")?),
            "commitment" => commitment = Some(cbor.digest("commitment")?),
            _ => return cbor.fail(HeaderProblem::Unknown),
        }
    }
    match (scheme, tree, commitment) {
        (Some(SCHEME), Some(tree), Some(commitment)) => Ok(Encryption { tree, commitment }),
        (Some(SCHEME), None, _) => cbor.fail(HeaderProblem::Missing { field: "tree" }),
        (Some(SCHEME), _, None) => cbor.fail(HeaderProblem::Missing { field: "commitment" }),
        (Some(0), ..) => cbor.fail(HeaderProblem::Clear),
        (Some(found), ..) => cbor.fail(HeaderProblem::Scheme { found }),
        (None, ..) => cbor.fail(HeaderProblem::Missing { field: "scheme" }),
    }
}

fn tags<'a>(cbor: &mut Cbor<'a>) -> Result<Vec<(&'a str, &'a str)>, HeaderError> {
    let mut entries = cbor.map("tags")?;
    let mut tags = Vec::new();
    while let Some(key) = cbor.key(&mut entries)? {
        tags.push((key, cbor.text("tags")?));
    }
    Ok(tags)
}
