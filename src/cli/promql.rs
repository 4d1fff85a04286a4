//! `chronolith query --promql`.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use chronolith_engine::{Db, Every};
use chronolith_query::promql::{Answer, Data, DatabaseSource, Limits, PromqlError, Query};
use clap::Args;

use super::database::time;
use super::output::RowFormat;
use crate::rows::{prometheus, rfc3339};

/// A query of Prometheus and when it is asked.
#[derive(Debug, Args)]
pub(super) struct PromqlArgs {
    /// Answer PromQL instead: an expression such as rate(odometer[5m])
    #[arg(long, value_name = "EXPR")]
    promql: Option<String>,

    /// The time of --promql: RFC 3339, or nanoseconds since the epoch; now by default
    #[arg(long, value_name = "TIME", requires = "promql", conflicts_with = "start")]
    time: Option<String>,

    /// The first time of a range for --promql
    #[arg(long, value_name = "TIME", requires = "promql", requires = "end")]
    start: Option<String>,

    /// The last time of a range for --promql
    #[arg(long, value_name = "TIME", requires = "start")]
    end: Option<String>,

    /// The step of a range for --promql: 15s, 1m
    #[arg(long, value_name = "LENGTH", requires = "start")]
    step: Option<String>,

    /// The most samples that --promql holds at once; 50 million by default
    #[arg(long, value_name = "COUNT", requires = "promql")]
    max_samples: Option<u64>,
}

impl PromqlArgs {
    /// Whether PromQL is asked, and not SQL.
    #[cfg(feature = "sql")]
    pub(super) const fn is_given(&self) -> bool {
        self.promql.is_some()
    }

    /// Answers the expression.
    pub(super) fn run(
        &self,
        db: &Db,
        format: RowFormat,
        timeout: Option<Duration>,
        out: impl Write,
    ) -> Result<()> {
        let text = self.promql.as_deref().context("add --promql EXPR")?;
        let query = Query::parse(text).map_err(|error| explained(text, error))?;
        let source = DatabaseSource::new(db);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut limits = Limits { deadline, ..Limits::default() };
        if let Some(samples) = self.max_samples {
            limits.samples = samples;
        }
        let answer = match (&self.start, &self.end) {
            (Some(start), Some(end)) => {
                let step = self.step.as_deref().context("add --step, for example --step 1m")?;
                query.range(&source, time(start)?, time(end)?, length(step)?, &limits)?
            }
            _ => {
                let time_ns = match self.time.as_deref() {
                    Some(text) => time(text)?,
                    None => i64::try_from(jiff::Timestamp::now().as_nanosecond())
                        .context("the clock is outside of the years 1677 to 2262")?,
                };
                query.instant(&source, time_ns, &limits)?
            }
        };
        for note in answer.warnings.iter().chain(&answer.infos) {
            eprintln!("{note}");
        }
        if rows(&answer).is_empty() {
            tell_of_nothing(&query, &source)?;
        }
        write(&answer, format, out)
    }
}

/// Says which selectors of a query whose answer is empty fit no metric at all: for Prometheus that is no error,
/// for somebody who misspelt a name it is.
fn tell_of_nothing(query: &Query, source: &DatabaseSource<'_>) -> Result<()> {
    for matchers in query.selectors() {
        if source.series(matchers)?.is_empty() {
            let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
            eprintln!("chronolith: no metric with numbers fits {{{}}}", shown.join(", "));
        }
    }
    Ok(())
}

/// The most characters that are shown before and after the place of an error.
const SHOWN: usize = 60;

/// An error of the text with the line it is in and a caret below the place.
fn explained(text: &str, error: PromqlError) -> anyhow::Error {
    let PromqlError::Parse { line, column, .. } = &error else { return error.into() };
    let before = column.saturating_sub(1);
    let skipped = before.saturating_sub(SHOWN);
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().chars();
    let shown = shown.skip(skipped).take(before - skipped + SHOWN);
    let shown: String = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let number = format!("{line:>4} | ");
    let blank = " ".repeat(number.len() + before - skipped);
    anyhow!("cannot read the query: {error}\n{number}{shown}\n{blank}^")
}

fn length(text: &str) -> Result<i64> {
    match text.parse::<Every>() {
        Ok(Every::Nanoseconds(length)) => Ok(length),
        _ => bail!("{text:?} is no length of time; write for example 15s or 1m"),
    }
}

fn write(answer: &Answer, format: RowFormat, mut out: impl Write) -> Result<()> {
    match format {
        RowFormat::Json | RowFormat::Jsonl => {
            serde_json::to_writer(&mut out, &prometheus::response(answer))?;
            writeln!(out)?;
        }
        RowFormat::Csv => {
            let mut csv = csv::Writer::from_writer(&mut out);
            csv.write_record(["time", "series", "value"])?;
            for (time_ns, series, value) in rows(answer) {
                csv.write_record([rfc3339(time_ns), series, value])?;
            }
            csv.flush()?;
        }
        RowFormat::Table => {
            let mut table = comfy_table::Table::new();
            table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
            table.set_header(["time", "series", "value"]);
            for (time_ns, series, value) in rows(answer) {
                table.add_row([rfc3339(time_ns), series, value]);
            }
            writeln!(out, "{table}")?;
        }
    }
    Ok(out.flush()?)
}

/// One row for each value: its time, its series and itself.
fn rows(answer: &Answer) -> Vec<(i64, String, String)> {
    match &answer.data {
        Data::Scalar { time_ns, value } => {
            vec![(*time_ns, String::new(), prometheus::number(*value))]
        }
        Data::Text { time_ns, text } => vec![(*time_ns, String::new(), text.clone())],
        Data::Vector(samples) => samples
            .iter()
            .map(|sample| {
                (sample.time_ns, sample.labels.to_string(), prometheus::number(sample.value))
            })
            .collect(),
        Data::Matrix(series) => series
            .iter()
            .flat_map(|series| {
                let labels = series.labels.to_string();
                let samples = series.times.iter().zip(&series.values);
                samples
                    .map(move |(time, value)| (*time, labels.clone(), prometheus::number(*value)))
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// `chronolith query` of a build without SQL: PromQL alone.
#[cfg(not(feature = "sql"))]
#[derive(Debug, Args)]
pub(super) struct PromqlCommand {
    #[command(flatten)]
    database: super::database::DatabaseArgs,

    #[command(flatten)]
    query: PromqlArgs,

    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: RowFormat,
}

#[cfg(not(feature = "sql"))]
impl PromqlCommand {
    pub(super) fn run(&self) -> Result<super::Outcome> {
        self.query.run(&self.database.read()?, self.format, None, super::output::stdout())?;
        Ok(super::Outcome::Done)
    }
}
