//! Whole queries: parsed once, asked at one time or over a range.

use std::collections::HashMap;
use std::time::Instant;

use super::ast::{Expr, Node};
use super::error::{PromqlError, Result, execution};
use super::evaluate::Evaluator;
use super::labels::Labels;
use super::parse::parse;
use super::ranges::Ranges;
use super::source::{Matcher, Series, Source};
use super::value::{Answer, Data, Grid, Row, Sample, Value, is_absent};

/// How much a query may take, and what it means by the past.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most samples that are held at once: those of the series that is being read, and all
    /// that were made; 50 million.
    pub samples: u64,
    /// The most steps of a range query; 11,000, as in Prometheus.
    pub steps: u64,
    /// When it must be done; never by default.
    pub deadline: Option<Instant>,
    /// How old a sample may be to be a series' current value; 5 minutes.
    pub lookback_ns: i64,
    /// The step of a subquery that has none; 1 minute.
    pub subquery_step_ns: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            samples: 50_000_000,
            steps: 11_000,
            deadline: None,
            lookback_ns: 5 * 60 * 1_000_000_000,
            subquery_step_ns: 60 * 1_000_000_000,
        }
    }
}

/// A query in the language of Prometheus 3.
///
/// ```
/// use chronolith_query::promql::{Data, Labels, Limits, MemorySource, Query};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut source = MemorySource::new();
/// let labels = Labels::new([("__name__", "speed"), ("device", "car-17")]);
/// source.push(&labels, 1_000_000_000, 61.0);
/// source.push(&labels, 2_000_000_000, 63.0);
///
/// let query = Query::parse("avg_over_time(speed[10s])")?;
/// let answer = query.instant(&source, 2_000_000_000, &Limits::default())?;
/// let Data::Vector(samples) = answer.data else { unreachable!() };
/// assert_eq!(samples[0].value, 62.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Query {
    root: Node,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    ///
    /// Where the text is no query; the error has the line and the column.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { root: parse(text)? })
    }

    /// The matchers of each of its selectors, in the order of the text.
    #[must_use]
    pub fn selectors(&self) -> Vec<&[Matcher]> {
        let mut found = Vec::new();
        self.root.selectors(&mut found);
        found
    }

    /// What it gives at one time, in nanoseconds since the epoch.
    ///
    /// # Errors
    ///
    /// Where the data do not allow an answer, a limit is reached or the source cannot be read.
    pub fn instant(&self, source: &dyn Source, time_ns: i64, limits: &Limits) -> Result<Answer> {
        let grid = Grid::instant(time_ns);
        let evaluator = Evaluator::new(source, limits, grid);
        let data = match &self.root.bare().expr {
            Expr::Range { .. } | Expr::Subquery { .. } => {
                let ranges = Ranges::new(&evaluator, self.root.bare(), &grid)?;
                let mut series = ranges.samples(&evaluator)?;
                series.sort_by(|left, right| left.labels.cmp(&right.labels));
                Data::Matrix(series)
            }
            _ => match evaluator.evaluate(&self.root, &grid)? {
                Value::Scalar(values) => {
                    let value = values.first().copied().unwrap_or(f64::NAN);
                    Data::Scalar { time_ns, value }
                }
                Value::Text(text) => Data::Text { time_ns, text },
                Value::Vector(rows) => {
                    let rows = finish(rows)?.into_iter();
                    let samples = rows.filter_map(|row| {
                        let value = row.values.first().copied()?;
                        Some(Sample { labels: row.labels, time_ns, value })
                    });
                    Data::Vector(samples.collect())
                }
            },
        };
        Ok(answer(data, evaluator))
    }

    /// What it gives at `start_ns` and every `step_ns` from there to `end_ns`.
    ///
    /// # Errors
    ///
    /// As for [`Query::instant`]; also where the range or the step is none, the steps are too
    /// many, or the query gives no number at each time.
    pub fn range(
        &self,
        source: &dyn Source,
        start_ns: i64,
        end_ns: i64,
        step_ns: i64,
        limits: &Limits,
    ) -> Result<Answer> {
        let grid = grid(start_ns, end_ns, step_ns, limits)?;
        let evaluator = Evaluator::new(source, limits, grid);
        let rows = match &self.root.bare().expr {
            Expr::Range { .. } | Expr::Subquery { .. } | Expr::Text(_) => {
                let kind = self.root.kind().name();
                return execution(format!(
                    "invalid expression type {kind:?} for range query, must be scalar or instant \
                     vector; give it at one time instead"
                ));
            }
            _ => match evaluator.evaluate(&self.root, &grid)? {
                Value::Scalar(values) => vec![Row::new(Labels::default(), values)],
                Value::Vector(rows) => finish(rows)?,
                Value::Text(_) => Vec::new(),
            },
        };
        let mut series: Vec<Series> = rows.into_iter().map(|row| on_grid(row, &grid)).collect();
        series.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(answer(Data::Matrix(series), evaluator))
    }
}

fn grid(start_ns: i64, end_ns: i64, step_ns: i64, limits: &Limits) -> Result<Grid> {
    if step_ns <= 0 {
        return Err(PromqlError::Range("the step must be longer than 0; write for example 1m"));
    }
    if end_ns < start_ns {
        return Err(PromqlError::Range("the end must not be before the start"));
    }
    // The difference of two i64 fits u64.
    let steps = end_ns.abs_diff(start_ns) / step_ns.unsigned_abs();
    if steps > limits.steps {
        return Err(PromqlError::TooManySteps { limit: limits.steps, steps });
    }
    let count = usize::try_from(steps).unwrap_or(usize::MAX).saturating_add(1);
    Ok(Grid { start_ns, step_ns, count })
}

fn answer(data: Data, evaluator: Evaluator<'_>) -> Answer {
    let notes = evaluator.into_notes();
    Answer {
        data,
        warnings: notes.warnings.into_iter().collect(),
        infos: notes.infos.into_iter().collect(),
    }
}

fn on_grid(row: Row, grid: &Grid) -> Series {
    let present = grid.times().zip(row.values).filter(|(_, value)| !is_absent(*value));
    let (times, values) = present.unzip();
    Series { labels: row.labels, times, values }
}

/// Takes off names that no longer apply; rows that are then of the same series become one, where
/// no two of them have a value at the same time.
pub(crate) fn finish(rows: Vec<Row>) -> Result<Vec<Row>> {
    let mut finished: Vec<Row> = Vec::with_capacity(rows.len());
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(rows.len());
    for mut row in rows {
        if row.is_empty() {
            continue;
        }
        if row.drops_name {
            row.labels = row.labels.without_name();
            row.drops_name = false;
        }
        match places.get(&row.labels) {
            None => {
                places.insert(row.labels.clone(), finished.len());
                finished.push(row);
            }
            Some(place) => {
                for (value, other) in finished[*place].values.iter_mut().zip(row.values) {
                    if is_absent(other) {
                        continue;
                    }
                    if !is_absent(*value) {
                        return execution("vector cannot contain metrics with the same labelset");
                    }
                    *value = other;
                }
            }
        }
    }
    Ok(finished)
}
