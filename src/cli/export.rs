//! `chronolith export`.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use chronolith_engine::{Block, Db, Definition, Kind, MetricId, Scan, ValueRef};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Outcome;
use super::database::{DatabaseArgs, RangeArgs, SelectorArgs};
use super::output::stdout;
use crate::rows::{json_value, plain_value, put_csv_cell, rfc3339};

/// Write records as CSV, JSON lines or Parquet, ordered by device, metric and time.
#[derive(Debug, Args)]
pub(super) struct ExportCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    range: RangeArgs,

    /// How records are written
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    format: ExportFormat,

    /// How times are written
    #[arg(long, value_name = "FORMAT", default_value = "ns")]
    time_format: ExportTime,

    /// In CSV, add the columns kind and unit; JSON lines have both anyway
    #[arg(long)]
    units: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Columns time,device,metric,value and tags
    Csv,
    /// One object a line
    Jsonl,
    /// A Parquet file, the columns of the table `records`
    #[cfg(feature = "sql")]
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportTime {
    /// Nanoseconds since the epoch
    Ns,
    /// RFC 3339 in UTC
    Rfc3339,
}

/// The records of one metric, one at a time.
struct Records {
    scan: Scan,
    block: Block,
    next: usize,
}

impl Records {
    fn new(scan: Scan, kind: Kind) -> Self {
        Self { scan, block: Block::new(kind), next: 0 }
    }

    /// The time of the next record.
    fn peek(&mut self) -> Result<Option<i64>> {
        while self.next >= self.block.len() {
            let Some(block) = self.scan.next() else { return Ok(None) };
            self.block = block?;
            self.next = 0;
        }
        Ok(self.block.times().get(self.next).copied())
    }
}

impl ExportCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.read()?;
        let metrics = self.selector.metrics(&db)?;
        let range = self.range.first_and_last()?;
        #[cfg(feature = "sql")]
        if self.format == ExportFormat::Parquet {
            return self.parquet(db, range);
        }
        let mut writer = RecordWriter::new(self, &db, &metrics);
        writer.header()?;
        if let Some((from_ns, to_ns)) = range {
            let name = |id: &MetricId| {
                let definition = db.definition(*id);
                definition.map(|d| (d.metric.device().to_owned(), d.metric.name().to_owned()))
            };
            // Metrics that differ in their tags only are written together, by time.
            for group in metrics.chunk_by(|a, b| name(a) == name(b)) {
                let mut sources = Vec::new();
                for id in group {
                    let Some(definition) = db.definition(*id) else { continue };
                    let scan = db.scan(*id, from_ns..=to_ns)?;
                    let records = Records::new(scan, definition.kind);
                    sources.push((writer.prefix(&definition), definition, records));
                }
                writer.merge(&mut sources)?;
            }
        }
        writer.out.flush()?;
        Ok(Outcome::Done)
    }
}

#[cfg(feature = "sql")]
impl ExportCommand {
    fn parquet(&self, db: Db, range: Option<(i64, i64)>) -> Result<Outcome> {
        use std::io::{BufWriter, IsTerminal};
        let out = std::io::stdout();
        if out.is_terminal() {
            anyhow::bail!("a terminal cannot show Parquet; write it to a file: > records.parquet");
        }
        // An empty range ends before it begins.
        let (from_ns, to_ns) = range.unwrap_or((i64::MAX, i64::MIN));
        let sql = chronolith_query::Sql::new(db)?;
        let limits = chronolith_query::Limits::default();
        let answer = sql.records(&self.selector.selector()?, from_ns..=to_ns, &limits)?;
        answer.write_parquet(BufWriter::with_capacity(256 * 1024, out))?;
        Ok(Outcome::Done)
    }
}

struct RecordWriter<'a> {
    command: &'a ExportCommand,
    out: std::io::BufWriter<std::io::StdoutLock<'static>>,
    tags: Vec<String>,
    /// Whether a column says the kind: where reading the text back would not tell.
    has_kinds: bool,
    /// Whether a column behind the kind says the unit.
    has_units: bool,
}

/// What stands before and behind the value of every record of a metric.
struct Affixes {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl<'a> RecordWriter<'a> {
    fn new(command: &'a ExportCommand, db: &Db, metrics: &[MetricId]) -> Self {
        let mut tags: Vec<String> = Vec::new();
        let mut has_kinds = command.units;
        for definition in metrics.iter().filter_map(|id| db.definition(*id)) {
            has_kinds |= matches!(definition.kind, Kind::I64 | Kind::U64 | Kind::Bytes);
            for (key, _) in definition.metric.tags() {
                // A tag of that name is told from the kinds by standing behind them.
                has_kinds |= key == "kind";
                if let Err(place) = tags.binary_search(key) {
                    tags.insert(place, key.clone());
                }
            }
        }
        // Behind the kind, `unit` is no tag; one of that name stands behind another.
        let first_tag = tags.first().is_some_and(|key| key == "unit");
        let has_units = command.units || (has_kinds && first_tag);
        Self { command, out: stdout(), tags, has_kinds, has_units }
    }

    fn header(&mut self) -> Result<()> {
        if self.command.format == ExportFormat::Csv {
            self.out.write_all(b"time,device,metric,value")?;
            if self.has_kinds {
                self.out.write_all(b",kind")?;
            }
            if self.has_units {
                self.out.write_all(b",unit")?;
            }
            for tag in &self.tags {
                self.out.write_all(b",")?;
                put_csv_cell(&mut self.out, tag)?;
            }
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn prefix(&self, definition: &Definition) -> Affixes {
        let (mut before, mut behind) = (Vec::new(), Vec::new());
        // Writing to memory cannot fail.
        let cell = |out: &mut Vec<u8>, text: &str| {
            out.push(b',');
            let written = put_csv_cell(out, text);
            debug_assert!(written.is_ok());
        };
        cell(&mut before, definition.metric.device());
        cell(&mut before, definition.metric.name());
        before.push(b',');
        if self.has_kinds {
            cell(&mut behind, definition.kind.name());
        }
        if self.has_units {
            cell(&mut behind, &definition.unit);
        }
        for tag in &self.tags {
            cell(&mut behind, definition.metric.tag_value(tag).unwrap_or_default());
        }
        behind.push(b'\n');
        Affixes { before, behind }
    }

    /// Writes the records of some metrics by time.
    fn merge(
        &mut self,
        sources: &mut [(Affixes, std::sync::Arc<Definition>, Records)],
    ) -> Result<()> {
        loop {
            let mut earliest: Option<(i64, usize)> = None;
            for (index, (.., records)) in sources.iter_mut().enumerate() {
                if let Some(time_ns) = records.peek()?
                    && earliest.is_none_or(|(earliest, _)| time_ns < earliest)
                {
                    earliest = Some((time_ns, index));
                }
            }
            let Some((time_ns, index)) = earliest else { return Ok(()) };
            let (affixes, definition, records) = &mut sources[index];
            if let Some(value) = records.block.values().get(records.next) {
                self.record(time_ns, value, affixes, definition)?;
            }
            records.next += 1;
        }
    }

    fn record(
        &mut self,
        time_ns: i64,
        value: ValueRef<'_>,
        affixes: &Affixes,
        definition: &Definition,
    ) -> Result<()> {
        if self.command.format == ExportFormat::Jsonl {
            let metric = &definition.metric;
            let time = match self.command.time_format {
                ExportTime::Ns => json!(time_ns),
                ExportTime::Rfc3339 => json!(rfc3339(time_ns)),
            };
            let mut object = json!({
                "time": time,
                "device": metric.device(),
                "metric": metric.name(),
                "value": json_value(value),
                "kind": definition.kind.name(),
            });
            if let Some(object) = object.as_object_mut() {
                if !metric.tags().is_empty() {
                    let tags: BTreeMap<_, _> = metric.tags().iter().cloned().collect();
                    object.insert("tags".to_owned(), json!(tags));
                }
                if !definition.unit.is_empty() {
                    object.insert("unit".to_owned(), json!(definition.unit));
                }
            }
            serde_json::to_writer(&mut self.out, &object)?;
            return Ok(self.out.write_all(b"\n")?);
        }
        match self.command.time_format {
            ExportTime::Ns => write!(self.out, "{time_ns}")?,
            ExportTime::Rfc3339 => self.out.write_all(rfc3339(time_ns).as_bytes())?,
        }
        self.out.write_all(&affixes.before)?;
        match value {
            // Quotes say that it is text, whatever it looks like.
            ValueRef::Text(text) => write!(self.out, "\"{}\"", text.replace('"', "\"\""))?,
            value => self.out.write_all(plain_value(value).as_bytes())?,
        }
        Ok(self.out.write_all(&affixes.behind)?)
    }
}
