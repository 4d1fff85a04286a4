//! All sealed chunks, for those who keep an index of them.

use std::sync::Arc;

use chronolith_merkle::DAG_CBOR;
use cid::Cid;

use super::segments::SegmentInfo;
use super::{ChunkBodyInfo, Db};
use crate::chunk::ChunkKey;
use crate::error::ReadError;
use crate::model::{Definition, Kind};

/// A sealed chunk, and the definition of its metric that its header was made from.
#[derive(Debug, Clone)]
pub struct SealedChunk<'a> {
    /// The segment that holds it.
    pub segment: &'a SegmentInfo,
    /// Which chunk.
    pub key: ChunkKey,
    /// The content id of its header.
    pub cid: Cid,
    /// The number of its seal batch.
    pub batch: u64,
    /// The metric's definition of the day it was sealed; an older one where it was amended since.
    pub definition: &'a Arc<Definition>,
    /// What its body holds; `None` where the body was dropped.
    pub body: Option<ChunkBodyInfo>,
}

/// The segments of one moment, and those of them that could not be read.
#[derive(Debug, Default)]
pub struct SealedSegments {
    /// All segments, oldest first.
    pub all: Vec<SegmentInfo>,
    /// The files of the damaged ones, whose chunks were not all handed over, and why.
    pub damaged: Vec<(String, ReadError)>,
}

impl ChunkBodyInfo {
    /// The least and the greatest value of a body of floats; `None` for other kinds, and where all
    /// values are NaN.
    #[must_use]
    pub fn float_bounds(&self, kind: Kind) -> Option<(f64, f64)> {
        let statistics = self.statistics.filter(|_| kind == Kind::F64)?;
        let (min, max) = (f64::from_bits(statistics.min_bits), f64::from_bits(statistics.max_bits));
        (min <= max).then_some((min, max))
    }
}

impl Db {
    /// The random bytes that name this database; a copy of it has the same.
    #[must_use]
    pub fn database_id(&self) -> Vec<u8> {
        self.inner.upkeep.lock().manifest.database.clone()
    }

    /// How many versions the definitions of all metrics have together. It rises with every metric
    /// that is made and every definition that is amended.
    #[must_use]
    pub fn definition_versions(&self) -> u64 {
        self.inner.registry.read().versions()
    }

    /// Hands the chunks of the segments that `wanted` chooses to `take`, in the order of files and
    /// keys; all of one moment. Damaged segments are named and do not keep others from being read.
    pub fn for_each_sealed(
        &self,
        wanted: &dyn Fn(&SegmentInfo) -> bool,
        take: &mut dyn FnMut(SealedChunk<'_>),
    ) -> SealedSegments {
        let view = self.inner.view();
        let mut segments = SealedSegments::default();
        for live in &view.segments {
            let info = SegmentInfo::of(live);
            if wanted(&info) {
                let read = live.segment.for_all(&mut |entry, seal, digest| {
                    // The lock is held for one chunk, so that writers can define metrics.
                    let registry = self.inner.registry.read();
                    let metric = entry.key.metric;
                    let definition = registry.version(metric, entry.definition).cloned();
                    drop(registry);
                    let definition = definition.ok_or(ReadError::UnknownMetric(metric))?;
                    take(SealedChunk {
                        segment: &info,
                        key: entry.key,
                        cid: entry.function.content_id_of_digest(DAG_CBOR, digest),
                        batch: seal.number,
                        definition: &definition,
                        body: entry.body.map(ChunkBodyInfo::from),
                    });
                    Ok(())
                });
                if let Err(error) = read {
                    segments.damaged.push((info.file.clone(), error));
                }
            }
            segments.all.push(info);
        }
        segments
    }
}
