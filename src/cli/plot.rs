//! `chronolith plot`: metrics and queries as line charts.

mod metrics;
mod names;
#[cfg(any(feature = "promql", feature = "sql"))]
mod points;
#[cfg(feature = "promql")]
mod promql;
#[cfg(feature = "sql")]
mod sql;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chronolith_engine::{Db, Every};
use clap::Args;
use jiff::tz::TimeZone;

use super::Outcome;
use super::database::{DatabaseArgs, RangeArgs, SelectorArgs};
use super::output::{print_json, say, stdout};
use super::usage::Usage;
use crate::plot::{Chart, Gap, Line, Scale, Size, Style};

/// The most lines that are drawn.
const LINES_MAX: usize = 24;
/// Neighbours that are so many times further apart than most are not joined.
const GAP_FACTOR: i64 = 10;
/// A terminal of which nothing is known: columns and rows.
const TERMINAL: (u32, u32) = (80, 24);
/// The most columns of which points are printed as JSON.
const COLUMNS_MAX: u32 = 1 << 20;
/// A picture of which nothing else is said.
const PICTURE: Size = Size { width: 960, height: 480 };

/// Draw metrics or the answer of a query as a line chart.
#[derive(Debug, Args)]
pub(super) struct PlotCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    range: RangeArgs,

    /// Draw buckets of this length instead of records: 1s, 5m, 1d, 1mo; the step of --promql
    #[arg(long, value_name = "LENGTH")]
    every: Option<Every>,

    /// What is drawn of buckets: count, sum, avg, min, max, first, last, stddev
    #[arg(long = "fn", value_name = "F,F,...", value_delimiter = ',', default_value = "avg")]
    functions: Vec<String>,

    /// Draw the answer of SQL: a column of times, numbers, and texts that name the lines
    #[cfg(feature = "sql")]
    #[arg(long, value_name = "SQL", conflicts_with_all = ["metric", "device", "labels", "every"])]
    sql: Option<String>,

    /// Draw the answer of PromQL
    #[cfg(feature = "promql")]
    #[arg(long, value_name = "EXPR", conflicts_with_all = ["metric", "device", "labels"])]
    promql: Option<String>,

    /// Write a picture instead of text: a file that ends in .svg or .png
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Print the points that are drawn as one JSON object, of as many columns as --width says
    #[arg(long, conflicts_with_all = ["out", "height"])]
    json: bool,

    /// Pixels of a picture, or columns of a terminal
    #[arg(long, value_name = "COUNT")]
    width: Option<u32>,

    /// Pixels of a picture, or rows of a terminal
    #[arg(long, value_name = "COUNT")]
    height: Option<u32>,

    /// Place values by their logarithm
    #[arg(long)]
    log: bool,

    /// The zone of times: UTC, Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,

    /// Do not join points that are further apart: 30s, 5m, never; by default ten times of most
    #[arg(long, value_name = "LENGTH", value_parser = gap)]
    gap: Option<Gap>,

    /// What stands above the chart
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

fn gap(text: &str) -> Result<Gap, String> {
    match text.parse::<Every>() {
        _ if text == "never" => Ok(Gap::Never),
        Ok(Every::Nanoseconds(length_ns)) => Ok(Gap::Above(length_ns)),
        _ => Err("write a length of time like 30s or 5m, or never".to_owned()),
    }
}

/// What is drawn into.
enum Target<'a> {
    Terminal { columns: u32, rows: u32 },
    Json { columns: u32 },
    Svg(&'a Path, Size),
    Png(&'a Path, Size),
}

/// What the lines are made of.
struct Drawn {
    title: String,
    lines: Vec<Line>,
    span_ns: (i64, i64),
    notes: Vec<String>,
}

impl Target<'_> {
    /// How many columns of pixels lines have at most.
    const fn columns(&self) -> u32 {
        match self {
            Self::Terminal { columns, .. } => 2 * *columns,
            Self::Json { columns } => *columns,
            Self::Svg(_, size) | Self::Png(_, size) => size.width,
        }
    }
}

impl PlotCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let target = self.target()?;
        let zone = match TimeZone::get(&self.zone) {
            Ok(zone) => zone,
            Err(_) => bail!(Usage(format!(
                "{:?} is not a time zone; write UTC or a name like Europe/Berlin",
                self.zone
            ))),
        };
        let db = self.database.read()?;
        let Drawn { title, lines, span_ns, mut notes } = self.drawn(&db, target.columns())?;
        let infinite: u64 = lines.iter().map(|line| line.infinite).sum();
        if infinite > 0 {
            notes.push(format!("{infinite} infinite values are gaps"));
        }
        let scale = if self.log { Scale::Logarithmic } else { Scale::Linear };
        if self.log && lines.iter().flat_map(Line::points).any(|(_, value)| value <= 0.0) {
            notes.push("values of 0 and less are gaps: they have no logarithm".to_owned());
        }
        let title = self.title.clone().unwrap_or(title);
        let chart = Chart { title, lines, span_ns, scale, zone, notes };
        match target {
            Target::Terminal { columns, rows } => {
                let is_plain = !std::io::stdout().is_terminal()
                    || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let style = if is_plain { Style::Plain } else { Style::Colors };
                let mut out = stdout();
                out.write_all(chart.text(columns as usize, rows as usize, style).as_bytes())?;
                out.flush()?;
            }
            Target::Json { .. } => print_json(&chart.json())?,
            Target::Svg(path, size) => write(path, chart.svg(size).as_bytes())?,
            Target::Png(path, size) => write(path, &chart.png(size)?)?,
        }
        Ok(Outcome::Done)
    }

    fn target(&self) -> Result<Target<'_>> {
        if self.json {
            let columns = self.width.unwrap_or(PICTURE.width);
            if !(1..=COLUMNS_MAX).contains(&columns) {
                bail!(Usage(format!("--width {columns} is not from 1 to {COLUMNS_MAX}")));
            }
            return Ok(Target::Json { columns });
        }
        let Some(path) = &self.out else {
            let (columns, rows) = terminal();
            let (columns, rows) = (self.width.unwrap_or(columns), self.height.unwrap_or(rows));
            if !(16..=1_000).contains(&columns) || !(8..=500).contains(&rows) {
                bail!(Usage(format!(
                    "text of {columns} x {rows} characters cannot be drawn; \
                     from 16 x 8 to 1000 x 500 can"
                )));
            }
            return Ok(Target::Terminal { columns, rows });
        };
        let size = Size {
            width: self.width.unwrap_or(PICTURE.width),
            height: self.height.unwrap_or(PICTURE.height),
        };
        let is_sensible = (Size::MIN.width..=Size::MAX.width).contains(&size.width)
            && (Size::MIN.height..=Size::MAX.height).contains(&size.height);
        if !is_sensible {
            let (Size { width, height }, min, max) = (size, Size::MIN, Size::MAX);
            bail!(Usage(format!(
                "a picture of {width} x {height} pixels cannot be drawn; from {} x {} to {} x {} \
                 can",
                min.width, min.height, max.width, max.height
            )));
        }
        match path.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase).as_deref()
        {
            Some("svg") => Ok(Target::Svg(path, size)),
            Some("png") => Ok(Target::Png(path, size)),
            _ => bail!(Usage(format!("{} ends neither in .svg nor in .png", path.display()))),
        }
    }

    fn drawn(&self, db: &Db, columns: u32) -> Result<Drawn> {
        #[cfg(feature = "sql")]
        if let Some(text) = &self.sql {
            return self.of_sql(db, text, columns);
        }
        #[cfg(feature = "promql")]
        if let Some(text) = &self.promql {
            return self.of_promql(db, text, columns);
        }
        self.of_metrics(db, columns)
    }

    /// The range of time where one was asked for, else that of the data, else nothing.
    fn span(&self, data: Option<(i64, i64)>) -> Result<(i64, i64)> {
        let Some((from_ns, to_ns)) = self.range.first_and_last()? else { return Ok((0, 0)) };
        let (first, last) = data.unwrap_or((from_ns, to_ns));
        let span = match (self.range.from.is_some(), self.range.to.is_some()) {
            (true, true) => (from_ns, to_ns),
            (true, false) => (from_ns, last.max(from_ns)),
            (false, true) => (first.min(to_ns), to_ns),
            (false, false) if data.is_none() => (0, 0),
            (false, false) => (first, last),
        };
        Ok(span)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    say!("{} bytes written to {}", bytes.len(), path.display());
    Ok(())
}

/// The columns and rows of the terminal; of what is none, those that it says it has.
fn terminal() -> (u32, u32) {
    if let Some((rows, columns)) = console::Term::stdout().size_checked() {
        // The last row is where the prompt will be.
        return (u32::from(columns), u32::from(rows.saturating_sub(1)));
    }
    let said = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    (said("COLUMNS").unwrap_or(TERMINAL.0), said("LINES").unwrap_or(TERMINAL.1))
}

/// From which distance on points are not joined: ten times the median of their distances.
fn usual_gap(times: impl Iterator<Item = i64>) -> Gap {
    let times: Vec<i64> = times.take(4_097).collect();
    let mut distances: Vec<i64> = times
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .filter(|distance| *distance > 0)
        .collect();
    if distances.len() < 2 {
        return Gap::Never;
    }
    let middle = distances.len() / 2;
    let (_, median, _) = distances.select_nth_unstable(middle);
    Gap::Above(median.saturating_mul(GAP_FACTOR))
}

/// What is told where there are more lines than can be told apart.
fn left_out(count: usize) -> Option<String> {
    let more = count.checked_sub(LINES_MAX).filter(|more| *more > 0)?;
    Some(format!("{more} more lines are not drawn; narrow it, for example with --device"))
}
