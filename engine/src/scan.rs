//! Scans: the records of a metric in a range of time, block by block.

use std::sync::Arc;

use crate::block::Block;
use crate::error::ReadError;
use crate::layers::{self, MetricRef, Slices, WindowLayers};
use crate::view::View;

/// The records of one metric by time, in blocks that are not empty. A block is of one window; a
/// window of more than some 16 MiB comes in several.
///
/// A scan reads a view of the moment it began in: what is flushed, sealed or deleted meanwhile
/// does not change it, records that are written meanwhile are not in it.
pub struct Scan {
    view: Arc<View>,
    metric: MetricRef,
    from_ns: i64,
    to_ns: i64,
    windows: std::vec::IntoIter<WindowLayers>,
    /// What is left of the window, or the piece of one, that is being read.
    slices: Option<Slices>,
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
        let windows = layers::find_pieces(&view, metric, first, last)?.into_iter();
        Ok(Self { view, metric, from_ns, to_ns, windows, slices: None })
    }

    /// No records.
    pub(crate) fn empty(view: Arc<View>, metric: MetricRef) -> Self {
        let windows = Vec::new().into_iter();
        Self { view, metric, from_ns: 0, to_ns: 0, windows, slices: None }
    }
}

impl Iterator for Scan {
    type Item = Result<Block, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let tombstones = self.view.tombstones.of(self.metric.number);
        loop {
            if let Some(slices) = &mut self.slices {
                match slices.next(tombstones) {
                    Some(Ok(mut block)) => {
                        block.clip(self.from_ns, self.to_ns);
                        if !block.is_empty() {
                            return Some(Ok(block));
                        }
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => self.slices = None,
                }
                continue;
            }
            let piece = self.windows.next()?;
            if piece.is_outside(self.from_ns, self.to_ns) {
                continue;
            }
            match piece.slices(self.metric) {
                Ok(slices) => self.slices = Some(slices),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
