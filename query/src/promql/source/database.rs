//! The engine's metrics as series.
//!
//! The name becomes `__name__`, the device the label `device`, each tag a label; a tag that is
//! itself called `device` or `__name__` gets the prefix `tag_`. Numbers and booleans become
//! floating point; text and bytes are no series. Times keep their nanoseconds.

use chronolith_engine::{Column, Db, Definition, Kind, Match, MetricId, Selector, Snapshot};

use super::summaries::{Request, windows};
use super::{Budget, Matcher, Series, Source, Summarized, Summary, Test, Tiles, fits};
use crate::promql::error::Result;
use crate::promql::labels::{Labels, NAME};

const DEVICE: &str = "device";

/// The metrics of a database.
pub struct DatabaseSource<'a> {
    db: &'a Db,
    snapshot: Snapshot,
}

/// A metric that is a series.
struct Found {
    labels: Labels,
    id: MetricId,
    kind: Kind,
}

impl<'a> DatabaseSource<'a> {
    /// Over what the database holds now. What is deleted or sealed later changes nothing; records
    /// that are written while a query runs may be seen, in one series and not in another. Dashboards
    /// ask often, and a snapshot for each query would cut the memtable into small ones.
    #[must_use]
    pub fn new(db: &'a Db) -> Self {
        Self { db, snapshot: db.latest_view() }
    }

    /// The labels of the metrics that fit all matchers and have numbers, in order.
    ///
    /// # Errors
    ///
    /// Where the label index refuses a pattern.
    pub fn series(&self, matchers: &[Matcher]) -> Result<Vec<Labels>> {
        Ok(self.metrics(matchers)?.into_iter().map(|found| found.labels).collect())
    }

    /// The same of metrics whose first and last records do not lie on one side of a range; between
    /// them there may be none in it.
    ///
    /// # Errors
    ///
    /// Where the label index refuses a pattern, or the database cannot be read.
    pub fn series_within(
        &self,
        matchers: &[Matcher],
        first_ns: i64,
        last_ns: i64,
    ) -> Result<Vec<Labels>> {
        let mut series = Vec::new();
        for found in self.metrics(matchers)? {
            let known = self.db.metric_statistics(found.id)?;
            let (Some(first), Some(last)) = (known.first_ns, known.last_ns) else { continue };
            if first <= last_ns && last >= first_ns {
                series.push(found.labels);
            }
        }
        Ok(series)
    }

    fn metrics(&self, matchers: &[Matcher]) -> Result<Vec<Found>> {
        let mut metrics = Vec::new();
        for id in self.db.select(&narrow(matchers))? {
            let Some(definition) = self.db.definition(id) else { continue };
            if matches!(definition.kind, Kind::Text | Kind::Bytes) {
                continue;
            }
            let labels = labels_of(&definition);
            if fits(matchers, &labels) {
                metrics.push(Found { labels, id, kind: definition.kind });
            }
        }
        metrics.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(metrics)
    }

    /// The samples of one metric.
    fn read(
        &self,
        found: Found,
        first_ns: i64,
        last_ns: i64,
        budget: &mut dyn Budget,
    ) -> Result<Series> {
        let mut series = Series { labels: found.labels, ..Series::default() };
        for block in self.snapshot.scan(found.id, first_ns..=last_ns)? {
            let (times, column) = block?.into_columns();
            budget.spend(times.len())?;
            append(&mut series.values, column);
            series.times.extend(times);
        }
        Ok(series)
    }
}

impl Source for DatabaseSource<'_> {
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
        for found in self.metrics(matchers)? {
            let series = self.read(found, first_ns, last_ns, budget)?;
            if !series.times.is_empty() {
                take(series)?;
            }
        }
        Ok(())
    }

    /// From the statistics of chunks that lie in one window, and by one pass over the others.
    fn summarize(
        &self,
        matchers: &[Matcher],
        tiles: &Tiles,
        summary: Summary,
        budget: &mut dyn Budget,
        take: &mut dyn FnMut(Summarized) -> Result<()>,
    ) -> Result<bool> {
        let Some(request) = Request::new(tiles, summary) else { return Ok(false) };
        for found in self.metrics(matchers)? {
            budget.spend(0)?;
            match windows(&self.snapshot, found.id, found.kind, &request)? {
                Some(values) => take(Summarized::Windows(found.labels, values))?,
                None => {
                    let (first_ns, last_ns) = request.reach_ns;
                    let series = self.read(found, first_ns, last_ns, budget)?;
                    take(Summarized::Samples(series))?;
                }
            }
        }
        Ok(true)
    }
}

/// What the label index can decide; the rest is decided on the labels themselves.
fn narrow(matchers: &[Matcher]) -> Selector {
    let mut selector = Selector::all();
    for matcher in matchers {
        let label = match matcher.label() {
            NAME => "name",
            "name" => "tag_name",
            // It may be a tag of that name, or one that was given the prefix.
            label if label.starts_with("tag_") => continue,
            label => label,
        };
        let whole = |pattern: &str| format!("(?s:{pattern})");
        let condition = match matcher.test() {
            Test::Equal(value) => Match::Equal(value.clone()),
            Test::NotEqual(value) => Match::NotEqual(value.clone()),
            Test::Pattern(pattern, _) => Match::Pattern(whole(pattern)),
            Test::NotPattern(pattern, _) => Match::NotPattern(whole(pattern)),
        };
        selector = selector.label(label, condition);
    }
    selector
}

fn labels_of(definition: &Definition) -> Labels {
    let metric = &definition.metric;
    let own = [(NAME.to_owned(), metric.name()), (DEVICE.to_owned(), metric.device())];
    let tags = metric.tags().iter().map(|(key, value)| match key.as_str() {
        NAME | DEVICE => (format!("tag_{key}"), value.as_str()),
        _ => (key.clone(), value.as_str()),
    });
    Labels::new(own.into_iter().chain(tags))
}

/// Adds the numbers of a column. Columns of text have none, and are of no series.
fn append(values: &mut Vec<f64>, column: Column) {
    match column {
        Column::F64(column) => values.extend(column),
        Column::I64(column) => values.extend(column.into_iter().map(|value| value as f64)),
        Column::U64(column) => values.extend(column.into_iter().map(|value| value as f64)),
        Column::Bool(column) => {
            values.extend(column.into_iter().map(|value| f64::from(u8::from(value))));
        }
        _ => {}
    }
}
