//! Chunks of others: checked against their content ids, opened with one key, read without a store.

use chronolith_keys::{BodyKey, ChunkSlot};
use chronolith_merkle::matches;
use cid::Cid;

use super::body::BodyView;
use super::opened::{OpenChunkError, OpenedChunk};
use super::{ChunkHeader, HeaderError};
use crate::block::Block;
use crate::model::{Definition, DefinitionError, Limits, Metric};

/// A chunk that somebody else sealed. Header and body are what the content id names.
#[derive(Debug, Clone)]
pub struct ForeignChunk {
    cid: Cid,
    header: ChunkHeader,
    body: Vec<u8>,
}

/// Why a chunk of somebody else is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// The header is another one.
    #[error("the header is not the one that {cid} names: it was changed on the way")]
    OtherHeader {
        /// The chunk.
        cid: Box<Cid>,
    },
    /// The header is none.
    #[error("the header of {cid} cannot be read: {source}")]
    Header {
        /// The chunk.
        cid: Box<Cid>,
        /// Why.
        source: HeaderError,
    },
    /// The body is another one, does not open, or is not what the header says.
    #[error("{cid}: {source}")]
    Body {
        /// The chunk.
        cid: Box<Cid>,
        /// Why.
        source: OpenChunkError,
    },
    /// The metric is one that no store takes.
    #[error("the metric of {cid} cannot be taken: {source}")]
    Definition {
        /// The chunk.
        cid: Box<Cid>,
        /// Why.
        source: DefinitionError,
    },
}

impl ForeignChunk {
    /// A chunk from its two blocks.
    ///
    /// # Errors
    /// Where one of them is not what the content id names.
    pub fn new(cid: Cid, header: &[u8], body: Vec<u8>) -> Result<Self, ForeignError> {
        if !matches(&cid, header) {
            return Err(ForeignError::OtherHeader { cid: cid.into() });
        }
        let read = ChunkHeader::from_bytes(header);
        let header = read.map_err(|source| ForeignError::Header { cid: cid.into(), source })?;
        if body.len() as u64 != header.body_bytes || !matches(&header.body, &body) {
            let (cid, source) = (cid.into(), OpenChunkError::OtherBody);
            return Err(ForeignError::Body { cid, source });
        }
        Ok(Self { cid, header, body })
    }

    /// The content id of its header.
    #[must_use]
    pub const fn cid(&self) -> &Cid {
        &self.cid
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// Its place in its key tree.
    #[must_use]
    pub const fn slot(&self) -> ChunkSlot {
        let ChunkHeader { window, generation, part, .. } = self.header;
        ChunkSlot { window, generation, part }
    }

    /// Decrypts it, where it is encrypted, and decodes its records, with what there is to say of their
    /// metric. What body and header say must be the same.
    ///
    /// # Errors
    /// Where the key is missing or another one, or the body is not what the header says.
    pub fn open(&self, key: Option<&BodyKey>) -> Result<OpenedForeign, ForeignError> {
        let cid = self.cid;
        let failed = |source| ForeignError::Body { cid: cid.into(), source };
        let plain = self.header.unlocked(&self.body, key).map_err(failed)?;
        let OpenedChunk { shown, records } = self.header.open_plain(&plain).map_err(failed)?;
        let metric = Metric::new(shown.device, shown.name);
        let tags = shown.tags.into_iter();
        let metric = tags.fold(metric, |metric, (key, value)| metric.tag(key, value));
        let definition = Definition {
            unit: shown.unit,
            level: self.header.level,
            window_ns: self.header.window_ns,
            place: shown.place,
            metadata: shown.metadata,
            ..Definition::new(metric, self.header.kind)
        };
        let checked = definition.check(&Limits::default());
        checked.map_err(|source| ForeignError::Definition { cid: cid.into(), source })?;
        let columns = BodyView::columns(&plain).map(<[u8]>::to_vec);
        let columns = columns.map_err(|error| failed(OpenChunkError::Body(error.to_string())))?;
        Ok(OpenedForeign { definition, records, columns })
    }
}

/// What a chunk of somebody else holds.
#[derive(Debug, Clone)]
pub struct OpenedForeign {
    definition: Definition,
    records: Block,
    /// The records as the body has them.
    columns: Vec<u8>,
}

impl OpenedForeign {
    /// What there is to say of the metric.
    #[must_use]
    pub const fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The records.
    #[must_use]
    pub const fn records(&self) -> &Block {
        &self.records
    }

    /// The records as they are encoded.
    pub(crate) fn columns(&self) -> &[u8] {
        &self.columns
    }
}
