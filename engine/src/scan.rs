//! Scans: the records of a metric in a range of time, block by block.

use std::sync::Arc;

use crate::block::Block;
use crate::error::ReadError;
use crate::layers::{self, MetricRef, WindowLayers};
use crate::view::View;

/// The records of one metric by time. Each block is one window's; blocks are not empty.
///
/// A scan reads a view of the moment it began in: what is flushed, sealed or deleted meanwhile
/// does not change it, records that are written meanwhile are not in it.
pub struct Scan {
    view: Arc<View>,
    metric: MetricRef,
    from_ns: i64,
    to_ns: i64,
    windows: std::vec::IntoIter<WindowLayers>,
}

impl Scan {
    /// The records from `from_ns` to `to_ns`, both included.
    pub(crate) fn new(
        view: Arc<View>,
        metric: MetricRef,
        from_ns: i64,
        to_ns: i64,
    ) -> Result<Self, ReadError> {
        let (first, last) = metric.windows(from_ns, to_ns);
        let windows = layers::find(&view, metric, first, last)?.into_iter();
        Ok(Self { view, metric, from_ns, to_ns, windows })
    }

    /// No records.
    pub(crate) fn empty(view: Arc<View>, metric: MetricRef) -> Self {
        Self { view, metric, from_ns: 0, to_ns: 0, windows: Vec::new().into_iter() }
    }
}

impl Iterator for Scan {
    type Item = Result<Block, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        for window in self.windows.by_ref() {
            let tombstones = self.view.tombstones.of(self.metric.number);
            let mut block = match window.decode(self.metric, tombstones) {
                Ok(block) => block,
                Err(error) => return Some(Err(error)),
            };
            block.clip(self.from_ns, self.to_ns);
            if !block.is_empty() {
                return Some(Ok(block));
            }
        }
        None
    }
}
