//! From samples with labels to records: what Prometheus and OpenTelemetry send.
//!
//! `__name__` is the name of the metric, the label `device` its device, all other labels are tags, so
//! that PromQL finds a series under the labels that it was written with. Values are floats, and the
//! bits of a NaN stay, by which the end of a series is known.

use std::collections::HashMap;
use std::sync::Arc;

use chronolith_engine::{Batch, Db, Definition, Kind, Metric, MetricId, Ticket, WriteError};

use super::{BATCH_RECORDS, MEMORY_BYTES, refused};
use crate::http::problem::Problem;
use crate::http::state::HttpState;
use crate::ingest::is_of_metric;

/// The label that is the name of a metric.
pub(super) const NAME: &str = "__name__";
/// The label that is its device.
pub(super) const DEVICE: &str = "device";
/// The most labels of a series, and the longest that they may be together: bytes. They are compared and
/// copied for each point, and a few may be named by many.
pub(super) const LABELS_MOST: usize = 256;
pub(super) const LABELS_BYTES_MOST: usize = 64 << 10;

/// Takes samples; it knows the series of earlier requests.
pub(super) struct Samples {
    db: Db,
    known: HashMap<Arc<[u8]>, MetricId>,
    known_bytes: usize,
    key: Vec<u8>,
    batch: Batch,
    ticket: Option<Ticket>,
}

impl Samples {
    /// One that has written before, or a new one.
    pub(super) fn take(state: &HttpState) -> Self {
        let known = state.writers().samples.lock().pop();
        known.unwrap_or_else(|| Self::new(state.db()))
    }

    fn new(db: &Db) -> Self {
        Self {
            db: db.clone(),
            known: HashMap::new(),
            known_bytes: 0,
            key: Vec::new(),
            batch: db.batch(),
            ticket: None,
        }
    }

    /// Keeps it for the next request, unless it knows very much.
    pub(super) fn keep(self, state: &HttpState) {
        if self.known_bytes <= MEMORY_BYTES && self.batch.is_empty() {
            state.writers().samples.lock().push(self);
        }
    }

    /// The metric of a series, made where it is new.
    ///
    /// # Errors
    /// Why it is refused, or that the database takes none now.
    pub(super) fn series(
        &mut self,
        labels: &[(&str, &str)],
        unit: &str,
    ) -> Result<MetricId, NoSeries> {
        check_size(labels, unit)?;
        self.key.clear();
        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            self.key.extend_from_slice(&(text.len() as u64).to_le_bytes());
            self.key.extend_from_slice(text.as_bytes());
        }
        if let Some(id) = self.known.get(self.key.as_slice()) {
            return Ok(*id);
        }
        let metric = metric(labels)?;
        let id = match self.db.find_metric(&metric) {
            Some(id) => id,
            None => {
                let definition = Definition::new(metric, Kind::F64).unit(unit);
                self.db.define(definition).map_err(|error| match is_of_metric(&error) {
                    true => NoSeries::Refused(error.to_string()),
                    false => NoSeries::NotNow(refused(&error)),
                })?
            }
        };
        if id.kind() != Kind::F64 {
            let reason = format!("it holds {} values and takes no floats", id.kind());
            return Err(NoSeries::Refused(reason));
        }
        self.known_bytes += self.key.len() + 64;
        self.known.insert(self.key.as_slice().into(), id);
        Ok(id)
    }

    /// Takes a sample.
    ///
    /// # Errors
    /// Where the database takes none now.
    pub(super) fn push(
        &mut self,
        series: MetricId,
        time_ns: i64,
        value: f64,
    ) -> Result<(), Problem> {
        self.batch.push(series, time_ns, value).map_err(|error| refused(&error))?;
        if self.batch.len() >= BATCH_RECORDS {
            self.submit().map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    fn submit(&mut self) -> Result<(), WriteError> {
        if !self.batch.is_empty() {
            self.ticket = Some(self.db.submit(&self.batch)?);
            self.batch.clear();
        }
        Ok(())
    }

    /// Hands over what is left; the ticket of the last batch, which stands for all.
    pub(super) fn finish(&mut self) -> Result<Option<Ticket>, Problem> {
        self.submit().map_err(|error| refused(&error))?;
        Ok(self.ticket.take())
    }
}

/// Why there is no metric for a series.
#[derive(Debug)]
pub(super) enum NoSeries {
    /// For what the series is: sent again, it is refused again.
    Refused(String),
    /// The database takes none now: whoever sends keeps what they have, and comes again.
    NotNow(Problem),
}

impl From<String> for NoSeries {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// Refuses labels before anything is made of them.
fn check_size(labels: &[(&str, &str)], unit: &str) -> Result<(), String> {
    if labels.len() > LABELS_MOST {
        return Err(format!("a series with {} labels; {LABELS_MOST} are the most", labels.len()));
    }
    let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes + unit.len() > LABELS_BYTES_MOST {
        return Err(format!(
            "a series with {bytes} bytes of labels; {LABELS_BYTES_MOST} are the most"
        ));
    }
    Ok(())
}

/// The metric that labels name. A label without a value is none.
fn metric(labels: &[(&str, &str)]) -> Result<Metric, String> {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("the label {:?} is there twice", twice[0].0));
    }
    if sorted.iter().any(|(name, _)| name.is_empty()) {
        return Err("a label without a name".to_owned());
    }
    let value = |wanted: &str| {
        let found = labels.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| *value).unwrap_or_default()
    };
    if value(NAME).is_empty() {
        return Err(format!("a series without a name (label {NAME})"));
    }
    let tags = sorted.into_iter().filter(|(name, _)| !matches!(*name, NAME | DEVICE));
    let metric = Metric::new(value(DEVICE), value(NAME));
    Ok(tags.fold(metric, |metric, (name, value)| metric.tag(name, value)))
}

/// What was not taken: how much, and the first reason.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// How many samples.
    pub(super) samples: u64,
    /// Why the first was not.
    pub(super) first: Option<String>,
}

impl Left {
    /// Counts samples that are not taken.
    pub(super) fn add(&mut self, samples: u64, reason: impl FnOnce() -> String) {
        self.samples += samples;
        self.first.get_or_insert_with(reason);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn labels_are_name_device_and_tags() {
        let found = metric(&[("job", "a"), (NAME, "up"), (DEVICE, "car-1"), ("empty", "")]);
        assert_eq!(found, Ok(Metric::new("car-1", "up").tag("job", "a")));
        for wrong in [&[("job", "a")][..], &[(NAME, "")], &[(NAME, "a"), ("", "b")]] {
            assert!(metric(wrong).is_err(), "{wrong:?}");
        }
        assert!(metric(&[(NAME, "a"), ("b", "1"), ("b", "2")]).is_err());
    }

    /// Series whose metric could not be made, since the disk was full, were told as wrong (400), and
    /// Prometheus threw their samples away.
    #[test]
    fn a_database_that_fails_is_no_fault_of_the_series() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path().join("db"), chronolith_engine::Options::default()).unwrap();
        let mut samples = Samples::new(&db);
        samples.series(&[(NAME, "up")], "").unwrap();
        let long = "x".repeat(2_000);
        let told = samples.series(&[(NAME, &long)], "");
        assert!(matches!(told, Err(NoSeries::Refused(_))), "{told:?}");
        db.close().unwrap();
        let told = samples.series(&[(NAME, "down")], "");
        assert!(
            matches!(&told, Err(NoSeries::NotNow(problem)) if problem.status.as_u16() == 503),
            "{told:?}"
        );
    }

    /// A symbol of remote write 2.0 is sent once and named by number: a million names of one of
    /// megabytes made a key of terabytes.
    #[test]
    fn labels_are_refused_before_anything_is_made_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path().join("db"), chronolith_engine::Options::default()).unwrap();
        let mut samples = Samples::new(&db);
        let symbol = "x".repeat(1 << 20);
        let many = vec![(symbol.as_str(), symbol.as_str()); 100_000];
        for labels in [&many[..], &many[..1]] {
            assert!(matches!(samples.series(labels, ""), Err(NoSeries::Refused(_))));
        }
        assert!(matches!(samples.series(&[(NAME, "a")], &symbol), Err(NoSeries::Refused(_))));
        assert_eq!(samples.key.capacity(), 0);
    }
}
