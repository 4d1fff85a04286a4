//! `chronolith watch`: the changes of a continuous query as they come.

use std::fs;
use std::io::{BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use chronolith_engine::Db;
use chronolith_query::continuous::{
    Change, Columns, Continuous, From, Outcome as Done, Row, Subscription, is_statement,
};
use clap::{Args, ValueEnum};

use super::Outcome;
use super::continuous::{fill, print_outcome};
use super::database::DatabaseArgs;
use super::ingest::ingest_into;
use super::output::stdout;
use super::usage::Usage;
use super::whole;
use crate::ingest::{Format as InputFormat, IngestArgs};
use crate::rows::{Cell, changes, put_csv_cell};

/// How long to wait for a change before looking whether the input has ended.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// Follow a continuous query: print its changes as they come
///
/// The command owns the database, and so it reads the input itself: --ingest FILE, or - for standard
/// input. It ends when the input has ended and every change is told.
#[derive(Debug, Args)]
pub(super) struct WatchCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Where to begin: now, snapshot (the whole answer first) or the cursor of the last change that
    /// was dealt with
    #[arg(long, value_name = "WHERE", value_parser = begin, conflicts_with = "cursor_file")]
    from: Option<Begin>,

    /// Keep the cursor in this file, and go on from there: each change is told at least once, also
    /// when this command is killed
    #[arg(long, value_name = "FILE")]
    cursor_file: Option<PathBuf>,

    /// How changes are written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,

    /// Read this file into the database meanwhile; - is standard input
    #[arg(long, value_name = "FILE")]
    ingest: Vec<PathBuf>,

    /// The format of the input [default: found out from name and contents]
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<InputFormat>,

    /// The device of all records of the input
    #[arg(long, value_name = "NAME")]
    device: Option<String>,

    /// The column or key of the input that holds the time
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,

    /// The zone of times without an offset, such as Europe/Paris [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,

    /// The name of a query, CREATE CONTINUOUS QUERY, or a SELECT to be followed
    #[arg(value_name = "QUERY")]
    query: String,
}

/// How changes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Json,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Now,
    Snapshot,
    Cursor(u64),
}

fn begin(text: &str) -> Result<Begin, String> {
    match text {
        "now" => Ok(Begin::Now),
        "snapshot" => Ok(Begin::Snapshot),
        _ => text.parse().map(Begin::Cursor).map_err(|_| "write now, snapshot or a cursor".into()),
    }
}

impl WatchCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let db = self.database.write()?;
        let queries = Continuous::open(db.clone())?;
        let Some(name) = self.name(&queries)? else {
            let done = queries.execute(&self.query)?;
            fill(&queries)?;
            print_outcome(&done, false)?;
            return Ok(Outcome::Done);
        };
        let columns = queries.columns(&name)?;
        let mut printer = Printer::new(self.format, &columns)?;
        let mut changes = self.subscribe(&queries, &name, &mut printer)?;
        let worker = queries.start()?;
        let input = self.start_ingest(&db)?;
        let mut input = Some(input);
        loop {
            if let Some(change) = changes.wait(LONGEST_WAIT)? {
                printer.change(&change)?;
                for change in changes.ready()? {
                    printer.change(&change)?;
                }
                self.told(&mut printer, changes.cursor())?;
                continue;
            }
            if let Some(failure) = worker.failure() {
                return Err(failure.into());
            }
            if input.as_ref().is_some_and(JoinHandle::is_finished) {
                break;
            }
        }
        let rejected = match input.take().map(JoinHandle::join) {
            Some(Ok(ingested)) => ingested?,
            _ => bail!("the thread that read the input has failed"),
        };
        drop(worker);
        queries.settle()?;
        for change in changes.ready()? {
            printer.change(&change)?;
        }
        self.told(&mut printer, changes.cursor())?;
        drop((changes, queries));
        db.close()?;
        Ok(if rejected == 0 { Outcome::Done } else { Outcome::Rejected })
    }

    /// The name of the query to follow, which is made where it is stated; `None` where another
    /// statement is to be carried out.
    fn name(&self, queries: &Continuous) -> Result<Option<String>> {
        let text = self.query.trim();
        let select = text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
        let statement = match (select, is_statement(text)) {
            (false, false) => return Ok(Some(text.to_owned())),
            (false, true) => text.to_owned(),
            (true, _) => {
                // The same question has the same name, so that it is gone on with.
                let name = format!("watch_{:08x}", hash(text));
                if queries.names().contains(&name) {
                    return Ok(Some(name));
                }
                eprintln!(
                    "this is the continuous query {name}; DROP CONTINUOUS QUERY {name} ends it"
                );
                format!("CREATE CONTINUOUS QUERY {name} AS {text}")
            }
        };
        let mut words = statement.split_whitespace();
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("create")) {
            return Ok(None);
        }
        // A statement that is there already, word for word, is gone on with.
        let same = queries.status().into_iter().find(|status| status.statement == statement);
        if let Some(status) = same {
            return Ok(Some(status.name));
        }
        match queries.execute(&statement)? {
            Done::Created(name) => Ok(Some(name)),
            _ => Ok(None),
        }
    }

    fn subscribe(
        &self,
        queries: &Continuous,
        name: &str,
        printer: &mut Printer,
    ) -> Result<Subscription> {
        let begin = match (&self.cursor_file, self.from) {
            (Some(path), _) => match fs::read_to_string(path) {
                Ok(text) => {
                    let cursor = text.trim().parse();
                    let problem = || Usage(format!("{} holds no cursor", path.display()));
                    Begin::Cursor(cursor.map_err(|_| problem())?)
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Begin::Snapshot,
                Err(error) => {
                    return Err(anyhow!(error).context(format!("cannot read {}", path.display())));
                }
            },
            (None, begin) => begin.unwrap_or(Begin::Snapshot),
        };
        let from = match begin {
            Begin::Now => From::Now,
            Begin::Cursor(cursor) => From::Cursor(cursor),
            Begin::Snapshot => {
                fill(queries)?;
                let snapshot = queries.snapshot(name)?;
                for row in &snapshot.rows {
                    printer.line(snapshot.cursor, "row", row)?;
                }
                self.told(printer, snapshot.cursor)?;
                From::Cursor(snapshot.cursor)
            }
        };
        Ok(queries.subscribe(name, from)?)
    }

    /// Everything up to a cursor was handed over.
    fn told(&self, printer: &mut Printer, cursor: u64) -> Result<()> {
        printer.out.flush()?;
        match &self.cursor_file {
            Some(path) => store_cursor(path, cursor),
            None => Ok(()),
        }
    }

    fn start_ingest(&self, db: &Db) -> Result<JoinHandle<Result<u64>>> {
        let input = IngestArgs {
            files: self.ingest.clone(),
            format: self.input_format,
            device: self.device.clone(),
            time: self.time.clone(),
            zone: self.zone.clone(),
            ..IngestArgs::default()
        };
        let db = db.clone();
        let thread = std::thread::Builder::new().name("chronolith-ingest".to_owned());
        thread
            .spawn(move || ingest_into(&db, &input))
            .context("cannot start a thread for the input")
    }
}

/// FNV-1a (Fowler, Noll, Vo), which is the same in every build of this program.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Replaces the cursor in a file, whole or not at all.
fn store_cursor(path: &Path, cursor: u64) -> Result<()> {
    whole::replace(path, format!("{cursor}\n").as_bytes()).context("the cursor is not kept")
}

/// Writes changes one by one.
struct Printer {
    format: Format,
    columns: Vec<String>,
    out: BufWriter<StdoutLock<'static>>,
}

/// The width of a column of a table: characters.
const WIDTH: usize = 20;

impl Printer {
    fn new(format: Format, columns: &Columns) -> Result<Self> {
        let names = changes::names(columns);
        let mut printer = Self { format, columns: names, out: stdout() };
        if format != Format::Json {
            let header: Vec<Cell> =
                printer.columns.iter().map(|name| name.as_str().into()).collect();
            printer.write(&header)?;
            printer.out.flush()?;
        }
        Ok(printer)
    }

    fn change(&mut self, change: &Change) -> Result<()> {
        self.line(change.cursor, changes::kind(change.kind), &change.row)
    }

    fn line(&mut self, cursor: u64, kind: &str, row: &Row) -> Result<()> {
        self.write(&changes::cells(cursor, kind, row))
    }

    fn write(&mut self, cells: &[Cell]) -> Result<()> {
        match self.format {
            Format::Json => {
                let object = changes::object(&self.columns, cells);
                serde_json::to_writer(&mut self.out, &object)?;
            }
            Format::Csv => {
                for (index, cell) in cells.iter().enumerate() {
                    if index > 0 {
                        self.out.write_all(b",")?;
                    }
                    put_csv_cell(&mut self.out, cell.text())?;
                }
            }
            Format::Table => {
                let padded: Vec<String> = cells
                    .iter()
                    .enumerate()
                    .map(|(index, cell)| match index {
                        0 | 1 => format!("{:<7}", cell.text()),
                        _ => format!("{:<WIDTH$}", cell.text()),
                    })
                    .collect();
                write!(self.out, "{}", padded.join(" ").trim_end())?;
            }
        }
        Ok(self.out.write_all(b"\n")?)
    }
}
