//! Lines of PromQL.

use anyhow::{Context, Result, bail};
use chronolith_engine::{Db, Every, Selector};
use chronolith_query::promql::{Data, DatabaseSource, Limits, Query};

use super::points::{Points, line};
use super::{Drawn, LINES_MAX, PlotCommand, left_out};
use crate::cli::usage::Usage;
use crate::plot::Gap;

/// Steps that are chosen where none is said: seconds.
const STEPS_S: [i64; 14] =
    [1, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 43_200, 86_400];

impl PlotCommand {
    pub(super) fn of_promql(&self, db: &Db, text: &str, columns: u32) -> Result<Drawn> {
        let query = Query::parse(text).context("cannot read the query")?;
        let data = match self.range.from.is_some() && self.range.to.is_some() {
            true => None,
            false => all_data(db)?,
        };
        let span_ns = self.span(data)?;
        let step_ns = match self.every {
            Some(Every::Nanoseconds(length_ns)) => length_ns,
            Some(_) => bail!(Usage("the step of PromQL is a fixed time: --every 1m".to_owned())),
            None => {
                let rough = span_ns.0.abs_diff(span_ns.1) / u64::from(columns.max(1));
                let fits = |step: &&i64| **step as u64 * 1_000_000_000 >= rough;
                let rough_ns = i64::try_from(rough).unwrap_or(i64::MAX).max(1);
                STEPS_S.iter().find(fits).map_or(rough_ns, |step| step * 1_000_000_000)
            }
        };
        let source = DatabaseSource::new(db);
        let answer = query.range(&source, span_ns.0, span_ns.1, step_ns, &Limits::default())?;
        let Data::Matrix(series) = answer.data else {
            bail!("the answer is no series over time");
        };
        let mut notes: Vec<String> = left_out(series.len()).into_iter().collect();
        notes.extend(answer.warnings);
        let gap = self.gap.unwrap_or(Gap::Above(step_ns.saturating_add(step_ns / 2)));
        let lines = series.iter().take(LINES_MAX).map(|series| {
            let samples = series.times.iter().copied().zip(series.values.iter().copied());
            let points: Points = samples.collect();
            line(series.labels.to_string(), &points, span_ns, columns, gap)
        });
        Ok(Drawn { title: text.to_owned(), lines: lines.collect(), span_ns, notes })
    }
}

/// The first and the last time of all records.
fn all_data(db: &Db) -> Result<Option<(i64, i64)>> {
    let mut data: Option<(i64, i64)> = None;
    for id in db.select(&Selector::all())? {
        let statistics = db.metric_statistics(id)?;
        if let Some((first, last)) = statistics.first_ns.zip(statistics.last_ns) {
            data = Some(data.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        }
    }
    Ok(data)
}
