//! The segments of a database.

use super::{Db, Snapshot};
use crate::aggregate::{Aggregation, Bucket, aggregate};
use crate::error::ReadError;
use crate::layers::MetricRef;
use crate::model::MetricId;
use crate::view::{LiveSegment, View};
use crate::windows::ReadReport;
use std::sync::Arc;

/// A file of sealed chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its file, relative to the database directory.
    pub file: String,
    /// Its length: bytes.
    pub size_bytes: u64,
    /// How many chunks it holds.
    pub chunks: u32,
    /// The start of its first window, nanoseconds since the epoch.
    pub first_ns: i64,
    /// The end of its last window, nanoseconds since the epoch.
    pub last_ns: i64,
}

impl SegmentInfo {
    pub(super) fn of(live: &LiveSegment) -> Self {
        Self {
            file: live.segment.name().to_owned(),
            size_bytes: live.record.size_bytes,
            chunks: live.record.chunks,
            first_ns: live.record.first_ns,
            last_ns: live.record.last_ns,
        }
    }
}

impl Db {
    /// The segments, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.inner.view().segments.iter().map(|live| SegmentInfo::of(live)).collect()
    }
}

impl Snapshot {
    /// How many sealed chunks there are in all.
    #[must_use]
    pub fn sealed_chunks(&self) -> u64 {
        self.view.segments.iter().map(|live| u64::from(live.record.chunks)).sum()
    }

    /// Aggregates one metric as [`Db::aggregate`] does, and counts what that took.
    pub fn aggregate_one(
        &self,
        metric: MetricId,
        aggregation: &Aggregation,
        report: &mut ReadReport,
    ) -> Result<Vec<Bucket>, ReadError> {
        let reference = self.check_aggregation(metric, aggregation)?;
        aggregate(&self.view, reference, aggregation, report)
    }

    /// What readers of windows need.
    pub(crate) fn parts(&self, metric: MetricId) -> Result<(Arc<View>, MetricRef), ReadError> {
        Ok((Arc::clone(&self.view), self.inner.metric_ref(metric.index())?))
    }
}
