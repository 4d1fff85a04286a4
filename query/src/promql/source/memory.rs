//! Series that are kept in memory.

use std::collections::BTreeMap;

use super::{Budget, Matcher, Series, Source, fits};
use crate::promql::error::Result;
use crate::promql::labels::Labels;

/// A source for tests and for series that a program has at hand.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, BTreeMap<i64, f64>>,
}

impl MemorySource {
    /// Without any series.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample; one of the same series and time is replaced.
    pub fn push(&mut self, labels: &Labels, time_ns: i64, value: f64) {
        match self.series.get_mut(labels) {
            Some(samples) => drop(samples.insert(time_ns, value)),
            None => drop(self.series.insert(labels.clone(), BTreeMap::from([(time_ns, value)]))),
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }
}

impl Source for MemorySource {
    fn select(
        &self,
        matchers: &[Matcher],
        first_ns: i64,
        last_ns: i64,
        budget: &mut dyn Budget,
        take: &mut dyn FnMut(Series) -> Result<()>,
    ) -> Result<()> {
        if first_ns > last_ns {
            return Ok(());
        }
        for (labels, samples) in self.series.iter().filter(|(labels, _)| fits(matchers, labels)) {
            let (times, values): (Vec<i64>, Vec<f64>) =
                samples.range(first_ns..=last_ns).map(|(time, value)| (*time, *value)).unzip();
            budget.spend(times.len())?;
            if !times.is_empty() {
                take(Series { labels: labels.clone(), times, values })?;
            }
        }
        Ok(())
    }
}
