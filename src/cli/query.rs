//! `chronolith query`.

mod memory;
mod prompt;
mod prove;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chronolith_query::{Answer, Canceller, Limits, QueryError, Sql};
use clap::Args;

use super::Outcome;
use super::database::DatabaseArgs;
use super::usage::duration;
use crate::rows::{Format, write_answer};

/// Answer SQL; without any, a prompt with history and completion.
#[derive(Debug, Args)]
pub(super) struct QueryCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,

    /// The same as --format json
    #[arg(long)]
    json: bool,

    /// Write the answer to this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The most rows of an answer
    #[arg(long, value_name = "COUNT")]
    max_rows: Option<u64>,

    /// The longest time of a query: 500ms, 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,

    /// The most memory of a query: 64MiB, 2GiB or bytes
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "512MiB")]
    memory: usize,

    #[command(flatten)]
    prove: prove::ProveArgs,

    #[cfg(feature = "promql")]
    #[command(flatten)]
    promql: super::promql::PromqlArgs,

    /// The query; '-' is standard input
    #[arg(value_name = "SQL")]
    sql: Option<String>,
}

fn size(text: &str) -> Result<usize, String> {
    let problem = || "write a size like 64MiB, 2GiB or a number of bytes".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: usize = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "K" | "k" | "KB" => 1 << 10,
        "MiB" | "M" | "MB" => 1 << 20,
        "GiB" | "G" | "GB" => 1 << 30,
        _ => return Err(problem()),
    };
    let number: usize = number.parse().map_err(|_| problem())?;
    number.checked_mul(factor).filter(|size| *size > 0).ok_or_else(problem)
}

impl QueryCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let format = if self.json { Format::Json } else { self.format };
        #[cfg(feature = "promql")]
        if self.promql.is_given() {
            return self.answer_promql(format);
        }
        memory::bound(self.memory);
        let text = match self.sql.as_deref() {
            None if io::stdin().is_terminal() => return prompt::run(self, format),
            None | Some("-") => io::read_to_string(io::stdin()).context("cannot read the query")?,
            Some(text) => text.to_owned(),
        };
        #[cfg(feature = "continuous")]
        if chronolith_query::continuous::is_statement(&text) {
            return self.continuous(&text, format);
        }
        let is_file = matches!(format, Format::Parquet | Format::Arrow);
        if is_file && self.output.is_none() && io::stdout().is_terminal() {
            bail!("a terminal cannot show this format; add --output FILE");
        }
        let sql = Sql::new(self.database.read()?)?;
        if let Some(proving) = self.prove.given() {
            let replay = proving.prove(&sql, &text, self.limits())?;
            return self.write(replay.sql(), &text, format);
        }
        self.write(&sql, &text, format)
    }

    /// Answers a query and writes the answer.
    fn write(&self, sql: &Sql, text: &str, format: Format) -> Result<Outcome> {
        guarded(sql, text, &self.limits(), |answer| match &self.output {
            None => write_answer(answer, format, io::stdout()),
            Some(path) => {
                let file = File::create(path);
                let file = file.with_context(|| format!("cannot create {}", path.display()))?;
                // An unfinished file must not be taken for an answer.
                let written = write_answer(answer, format, file);
                if written.is_err() {
                    drop(std::fs::remove_file(path));
                }
                written
            }
        })?;
        Ok(Outcome::Done)
    }

    /// Carries out a statement about continuous queries: those that change something need the
    /// database for themselves.
    #[cfg(feature = "continuous")]
    fn continuous(&self, statement: &str, format: Format) -> Result<Outcome> {
        use chronolith_query::continuous::Continuous;
        let shows = statement.trim_start().get(..4).is_some_and(|w| w.eq_ignore_ascii_case("show"));
        let db = if shows { self.database.read()? } else { self.database.change()? };
        let queries = Continuous::open(db)?;
        let done = queries.execute(statement)?;
        if !shows {
            super::continuous::fill(&queries)?;
        }
        let as_json = matches!(format, Format::Json | Format::Ndjson);
        super::continuous::print_outcome(&done, as_json)?;
        Ok(Outcome::Done)
    }

    /// Answers PromQL, which has answers of fewer shapes.
    #[cfg(feature = "promql")]
    fn answer_promql(&self, format: Format) -> Result<Outcome> {
        use super::output::RowFormat;
        let format = match format {
            Format::Table => RowFormat::Table,
            Format::Csv => RowFormat::Csv,
            Format::Json | Format::Ndjson => RowFormat::Json,
            Format::Parquet | Format::Arrow => {
                bail!("answers to PromQL are written as table, csv or json");
            }
        };
        if self.sql.is_some() {
            bail!("give either SQL or --promql");
        }
        let db = self.database.read()?;
        match &self.output {
            None => self.promql.run(&db, format, self.timeout, super::output::stdout())?,
            Some(path) => {
                let file = File::create(path);
                let file = file.with_context(|| format!("cannot create {}", path.display()))?;
                let answered = self.promql.run(&db, format, self.timeout, BufWriter::new(file));
                // As with SQL, an unfinished file must not be taken for an answer.
                if answered.is_err() {
                    drop(std::fs::remove_file(path));
                }
                answered?;
            }
        }
        Ok(Outcome::Done)
    }

    fn limits(&self) -> Limits {
        Limits { rows: self.max_rows, time: self.timeout, memory_bytes: self.memory }
    }
}

/// Answers a query that Ctrl-C ends, and the memory of the process.
fn guarded(
    sql: &Sql,
    text: &str,
    limits: &Limits,
    write: impl FnOnce(Answer) -> Result<u64>,
) -> Result<u64> {
    let canceller = Canceller::default();
    let _interrupt = Interrupt::new(&canceller);
    let memory = memory::MemoryWatch::new(limits.memory_bytes, canceller.clone());
    let answered = sql.cancellable_query(text, limits, &canceller);
    let answered = answered.map_err(anyhow::Error::from).and_then(write);
    if answered.is_err() && memory.is_exceeded() {
        let limit_bytes = limits.memory_bytes;
        let detail = "the whole process holds half as much again".to_owned();
        return Err(QueryError::TooMuchMemory { limit_bytes, detail }.into());
    }
    answered
}

/// While it is held, Ctrl-C ends a query instead of the program.
struct Interrupt(Option<signal_hook::SigId>);

impl Interrupt {
    fn new(canceller: &Canceller) -> Self {
        let flag = canceller.flag();
        Self(signal_hook::flag::register(signal_hook::consts::SIGINT, flag).ok())
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            signal_hook::low_level::unregister(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_and_nonsense_is_refused() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        for text in ["", "MiB", "0", "64XiB", "99999999999999999999", "9999999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "30", "1mo", "all"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
