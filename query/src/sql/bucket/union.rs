//! The times that several metrics have together, each once.

use chronolith_engine::{ReadReport, Windows};
use datafusion::common::Result;

use crate::sql::catalog::read_error;
use crate::sql::watch::Watch;

/// The times of some metrics, rising, a piece at a time. Values are not decoded, and of each metric
/// no more is held than a window.
pub(super) struct Union {
    metrics: Vec<Times>,
    piece: Vec<i64>,
}

/// Where a metric stands.
struct Times {
    windows: Windows,
    open: Vec<i64>,
    given: usize,
}

impl Times {
    /// Decodes the next window that has times, where none are left.
    fn fill(&mut self, watch: &Watch, report: &mut ReadReport) -> Result<()> {
        while self.rest().is_empty()
            && let Some(window) = self.windows.next()
        {
            watch.check()?;
            (self.open, self.given) = (window.times(report).map_err(read_error)?, 0);
        }
        Ok(())
    }

    fn rest(&self) -> &[i64] {
        self.open.get(self.given..).unwrap_or_default()
    }
}

impl Union {
    pub(super) fn new(windows: Vec<Windows>) -> Self {
        let times = |windows| Times { windows, open: Vec::new(), given: 0 };
        Self { metrics: windows.into_iter().map(times).collect(), piece: Vec::new() }
    }

    /// The next times; `None` where there are no more.
    pub(super) fn next_piece(
        &mut self,
        watch: &Watch,
        report: &mut ReadReport,
    ) -> Result<Option<&[i64]>> {
        for metric in &mut self.metrics {
            metric.fill(watch, report)?;
        }
        self.metrics.retain(|metric| !metric.rest().is_empty());
        // Behind the first window that ends, its metric may have times that are not decoded yet.
        let lasts = self.metrics.iter().filter_map(|metric| metric.rest().last());
        let Some(until_ns) = lasts.min().copied() else { return Ok(None) };
        self.piece.clear();
        let mut of_first = 0;
        for (number, metric) in self.metrics.iter_mut().enumerate() {
            let rest = metric.open.get(metric.given..).unwrap_or_default();
            let due = rest.get(..rest.partition_point(|time_ns| *time_ns <= until_ns));
            let due = due.unwrap_or_default();
            // Metrics of a device often share all of their times.
            if number == 0 || self.piece.get(..of_first) != Some(due) {
                self.piece.extend_from_slice(due);
            }
            if number == 0 {
                of_first = due.len();
            }
            metric.given += due.len();
        }
        if self.piece.len() > of_first {
            // Made of runs that rise, which the stable sort merges.
            self.piece.sort();
            self.piece.dedup();
        }
        Ok(Some(&self.piece))
    }

    /// How much it holds: bytes.
    pub(super) fn bytes(&self) -> usize {
        let open: usize = self.metrics.iter().map(|metric| metric.open.capacity()).sum();
        // The sort needs half of the piece once more.
        (open + 2 * self.piece.capacity()) * size_of::<i64>()
    }
}
