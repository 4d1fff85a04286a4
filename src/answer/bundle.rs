//! What goes into a file: a question, its answer, and everything that proves it.
//!
//! ```text
//! "CLANSWR\x01" · the canonical encoding of an AnswerBundle
//! ```
//!
//! The page of the format is `docs/format/answer.md`. Nothing is in it that the verifier could work out, so
//! that nothing can be changed without meaning something else.

use std::io::{self, Read};

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::encoding::{Bytes, DecodeError, List, TooLong, decode, encode};
use chronolith_chain::hash::{Domain, Hash};
use chronolith_chain::keys::Signature;
use chronolith_engine::Metric;

use super::rows::Rows;
use crate::chain::prove::Proof;

/// What a file begins with.
pub const MAGIC: &[u8; 8] = b"CLANSWR\x01";
/// The largest file: bytes.
pub const FILE_MOST: usize = 256 << 20;
/// The longest name of a device, a metric or a tag: bytes, as in a database.
const NAME_MOST: usize = 1_024;
/// The longest nonce: bytes.
const NONCE_MOST: usize = 64;
/// The longest header: bytes. Metadata take 64 KiB at most.
const HEADER_MOST: usize = 256 << 10;
/// The longest body: bytes.
const BODY_MOST: usize = 1 << 20;
/// The longest proof of a device's catalogue: bytes.
const CATALOGUE_MOST: usize = 32 << 20;
/// The most chunks of a metric.
const CHUNKS_MOST: usize = 1 << 17;

/// A name.
pub type Name = Bytes<NAME_MOST>;

/// An answer with what proves it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AnswerBundle {
    /// What was asked.
    pub question: Question,
    /// The answer.
    pub rows: Rows,
    /// The metrics that the answer depends on, strictly rising.
    pub metrics: List<MetricProof, 4_096>,
    /// Their devices, strictly rising.
    pub devices: List<DeviceProof, 100>,
    /// The seal batches of all chunks, strictly rising by producer and root; or none, where the times of
    /// anchoring are not proved.
    pub batches: List<BatchPath, 200>,
    /// The facts of the ledger: of each device, the device and its eras; then the anchors of the batches.
    pub proof: Proof,
    /// Who answers, and his signature of all the rest.
    pub word: Option<Word>,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Question {
    /// The SQL, as it was asked: UTF-8.
    pub sql: Bytes<{ 1 << 20 }>,
    /// What who asked has chosen, so that no older answer passes for this one.
    pub nonce: Option<Bytes<NONCE_MOST>>,
}

/// Which metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Identity {
    /// The device's name.
    pub device: Name,
    /// The metric's name.
    pub name: Name,
    /// The tags, strictly rising by key, no value empty.
    pub tags: List<(Name, Name), 64>,
}

/// What is proved of a metric.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MetricProof {
    /// Which metric.
    pub identity: Identity,
    /// The place of its device among the devices.
    pub device: u32,
    /// The first time that the answer depends on, nanoseconds since the epoch; behind the last where it
    /// depends on none.
    pub from_ns: i64,
    /// The last time.
    pub to_ns: i64,
    /// Where no chunk is of these times: the window of another chunk, whose header says how long windows
    /// are. None where the metric has no chunk at all.
    pub witness: Option<i64>,
    /// The chunks of the range that no later one replaces, in the order of the catalogue; or the witness.
    pub chunks: List<ChunkPart, CHUNKS_MOST>,
}

/// A chunk.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkPart {
    /// Its header.
    pub header: Bytes<HEADER_MOST>,
    /// Its body; in all chunks but witnesses, or in none.
    pub body: Option<Bytes<BODY_MOST>>,
}

/// What is proved of a device.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DeviceProof {
    /// The device on the ledger.
    pub device: Address,
    /// What its catalogue lists of the windows; see [`chronolith_engine::CatalogueProof`].
    pub catalogue: Bytes<CATALOGUE_MOST>,
    /// The other metrics of its catalogue, in the order of their names in it. None where it is not proved
    /// that there are no more.
    pub others: Option<List<OtherMetric, 65_536>>,
}

/// A metric that the answer does not depend on.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum OtherMetric {
    /// It has this name.
    Named(Identity),
    /// Its privacy level hides what it is: the header of one of its chunks.
    Hidden(Bytes<HEADER_MOST>),
}

/// The way from chunks to the root of their seal batch.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BatchPath {
    /// Who anchored it.
    pub producer: Address,
    /// Its root.
    pub root: Hash,
    /// The chunks: the place in the batch, strictly rising, and the place among all chunks of the answer.
    pub chunks: List<(u32, u32), CHUNKS_MOST>,
    /// The hashes beside the way.
    pub path: List<Hash, 1_048_576>,
}

/// The word of who answers.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Word {
    /// The account.
    pub account: Address,
    /// Its signature of [`AnswerBundle::statement`].
    pub signature: Signature,
}

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It is something else.
    #[error("this is no proved answer: it does not begin with CLANSWR and version 1")]
    Magic,
    /// It is longer than any.
    #[error(
        "this is longer than {FILE_MOST} bytes, which no proved answer is; ask for less at once"
    )]
    TooLarge,
    /// It is not encoded as it should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Question {
    /// A nonce by its hexadecimal digits: 1 to 64 bytes, `None` for anything else.
    #[must_use]
    pub fn nonce_of(text: &str) -> Option<Vec<u8>> {
        if !text.is_ascii()
            || text.is_empty()
            || !text.len().is_multiple_of(2)
            || text.len() > 2 * NONCE_MOST
        {
            return None;
        }
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |pair: &[u8]| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        };
        text.as_bytes().chunks(2).map(byte).collect()
    }
}

impl Identity {
    /// The identity of a metric.
    ///
    /// # Errors
    /// Names that are too long.
    pub fn of(metric: &Metric) -> Result<Self, TooLong> {
        let name = |text: &str| Name::new(text.as_bytes());
        let tags = metric.tags().iter().map(|(key, value)| Ok((name(key)?, name(value)?)));
        Ok(Self {
            device: name(metric.device())?,
            name: name(metric.name())?,
            tags: List::new(tags.collect::<Result<Vec<_>, TooLong>>()?)?,
        })
    }

    /// The metric; `None` where names are no texts, or tags not in their one form.
    #[must_use]
    pub fn metric(&self) -> Option<Metric> {
        let text = |name: &Name| std::str::from_utf8(name).ok().map(str::to_owned);
        let mut metric = Metric::new(text(&self.device)?, text(&self.name)?);
        for (key, value) in self.tags.iter() {
            metric = metric.tag(text(key)?, text(value)?);
        }
        (Self::of(&metric).ok()? == *self).then_some(metric)
    }
}

impl AnswerBundle {
    /// The bytes of a file.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] where nobody would read them.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(encode(self));
        if bytes.len() > FILE_MOST { Err(FormatError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Whatever is not the one encoding of a bundle.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(FormatError::Magic)?;
        Ok(decode("a proved answer", rest, FILE_MOST)?)
    }

    /// Reads a file; of what is too long, no more is read than a bundle may have.
    ///
    /// # Errors
    /// As [`AnswerBundle::from_bytes`], and where the file cannot be read.
    pub fn read(input: impl Read) -> Result<Self, FormatError> {
        let mut bytes = Vec::new();
        input.take(FILE_MOST as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > FILE_MOST && bytes.starts_with(MAGIC) {
            return Err(FormatError::TooLarge);
        }
        Self::from_bytes(&bytes)
    }

    /// What who answers signs: everything else.
    #[must_use]
    pub fn statement(&self) -> Hash {
        let Self { question, rows, metrics, devices, batches, proof, word: _ } = self;
        Domain::Answer.hash_of(&(question, rows, metrics, devices, batches, proof))
    }

    /// The SQL; `None` where it is no text.
    #[must_use]
    pub fn sql(&self) -> Option<&str> {
        std::str::from_utf8(&self.question.sql).ok()
    }

    /// The length of all headers and bodies of chunks: bytes.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        let chunks = self.metrics.iter().flat_map(|metric| metric.chunks.iter());
        chunks.map(|chunk| chunk.header.len() + chunk.body.as_ref().map_or(0, |b| b.len())).sum()
    }
}
