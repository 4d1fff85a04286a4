//! DataFusion's own tests of dates, times and intervals, through our session.
//!
//! The session is that of `chronolith query`, with its parser, rules, functions and planner, but for
//! two things that the tests need: tables in memory, and leave to make them. What does not pass is
//! asked of DataFusion's own session too, of the same build: where that fails as well, a feature is
//! not compiled in, else the fault is ours.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod cells;
mod file;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use flate2::read::GzDecoder;
use tokio::runtime::Runtime;

use super::functions::bounded;
use super::{asof, catalog, guard, session, threads};
use file::{Expected, Record};

/// As many as in DataFusion's runner, since plans show it.
const PARTITIONS: usize = 4;

/// Where our session answers otherwise on purpose: file, line, why.
const INTENDED: [(&str, usize, &str); 4] = [
    ("date_bin_errors.slt", 27, "the session's time zone is UTC, where DataFusion's has none"),
    ("date_bin_errors.slt", 33, "the session's time zone is UTC, where DataFusion's has none"),
    ("dates.slt", 88, "the error names the time zone"),
    ("timestamps.slt", 2878, "sums of integers are exact, so that they are decimals"),
];

/// A session that records are put to.
struct Runner {
    runtime: Runtime,
    context: SessionContext,
    is_ours: bool,
}

impl Runner {
    fn new(context: SessionContext, is_ours: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.thread_stack_size(threads::STACK_BYTES).build().unwrap();
        Self { runtime, context, is_ours }
    }

    /// The session of `chronolith query` over tables in memory.
    fn ours() -> Self {
        let mut state = session::state(PARTITIONS);
        bounded::bound(&mut state, 1 << 20).unwrap();
        let context = SessionContext::new_with_state(state);
        let memory = MemoryCatalogProvider::new();
        let public = Arc::new(MemorySchemaProvider::new());
        memory.register_schema(catalog::PUBLIC, public).unwrap();
        context.register_catalog(catalog::CATALOG, Arc::new(memory));
        Self::new(context, true)
    }

    fn stock() -> Self {
        let config = SessionConfig::new().with_target_partitions(PARTITIONS);
        Self::new(SessionContext::new_with_config(config), false)
    }

    fn answer(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        if self.is_ours {
            guard::check(sql).unwrap();
        }
        let (context, sql, is_ours) = (self.context.clone(), sql.to_owned(), self.is_ours);
        let task = async move {
            let state = context.state();
            let statement = if is_ours {
                asof::statement(&state, &sql)?
            } else {
                state.sql_to_statement(&sql, &state.config().options().sql_parser.dialect)?
            };
            let plan = state.statement_to_plan(statement).await?;
            let frame = context.execute_logical_plan(plan).await?;
            let stream = frame.execute_stream().await?;
            let schema = stream.schema();
            let batches = datafusion::physical_plan::common::collect(stream).await?;
            Ok((schema, batches))
        };
        self.runtime.block_on(self.runtime.spawn(task)).unwrap()
    }

    /// What is wrong with the answer to a record; nothing where it passes.
    fn problem(&self, record: &Record) -> Option<String> {
        let answered = self.answer(&record.sql);
        match (&record.expected, answered) {
            (Expected::Done, Ok(_)) => None,
            (Expected::Error(wording), Err(error)) => {
                // As the runner that the tests are written for words it.
                let message = format!("DataFusion error: {error}");
                (!wording.fits(&message)).then_some(message)
            }
            (Expected::Error(_), Ok(_)) => Some("no error".to_owned()),
            (_, Err(error)) => Some(error.to_string()),
            (Expected::Rows { types, is_sorted, lines }, Ok((schema, batches))) => {
                let letters = cells::letters(&schema);
                if letters != *types {
                    return Some(format!("columns {letters} instead of {types}"));
                }
                let mut found: Vec<String> = batches.iter().flat_map(cells::lines).collect();
                let mut lines = lines.clone();
                if *is_sorted {
                    found.sort();
                    lines.sort();
                }
                (found != lines)
                    .then(|| format!("{}\nexpected\n{}", found.join("\n"), lines.join("\n")))
            }
        }
    }
}

/// What came of a file.
struct Outcome {
    passed: usize,
    /// Line and problem of what passes in DataFusion's own session.
    failed: Vec<(usize, String)>,
    /// The same of what does not pass there either.
    unsupported: Vec<(usize, String)>,
}

fn run(text: &str) -> Outcome {
    let (ours, stock) = (Runner::ours(), Runner::stock());
    let mut outcome = Outcome { passed: 0, failed: Vec::new(), unsupported: Vec::new() };
    for record in file::records(text) {
        let theirs = stock.problem(&record);
        match (ours.problem(&record), theirs) {
            (None, _) => outcome.passed += 1,
            (Some(problem), None) => outcome.failed.push((record.line, problem)),
            (Some(problem), Some(_)) => outcome.unsupported.push((record.line, problem)),
        }
    }
    outcome
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/query/data/datafusion")
}

fn file(name: &str) -> String {
    let packed = std::fs::File::open(folder().join(name)).unwrap();
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

/// The rows of the table in the documentation: file, passed, otherwise on purpose, unsupported.
fn documented() -> Vec<String> {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/sql.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains(".slt` |"));
    rows.map(|row| row.split('|').take(5).collect::<Vec<_>>().join("|")).collect()
}

#[test]
fn what_passes_in_datafusion_passes_here_and_the_documented_counts_are_true() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".slt.gz"))
        .collect();
    names.sort();
    let (mut rows, mut ours) = (Vec::new(), String::new());
    for name in names {
        let Outcome { passed, failed, unsupported } = run(&file(&name));
        let name = name.trim_end_matches(".gz");
        let is_intended = |line: usize| INTENDED.iter().any(|(f, l, _)| (*f, *l) == (name, line));
        let intended = failed.iter().filter(|(line, _)| is_intended(*line)).count();
        rows.push(format!("| `{name}` | {passed} | {intended} | {} ", unsupported.len()));
        assert_eq!(intended, INTENDED.iter().filter(|(file, ..)| *file == name).count());
        for (line, problem) in failed.into_iter().filter(|(line, _)| !is_intended(*line)) {
            ours.push_str(&format!("{name}:{line}: {problem}\n"));
        }
        for (line, problem) in unsupported {
            println!("unsupported: {name}:{line}: {problem}");
        }
    }
    println!("{}", rows.join("\n"));
    assert!(ours.is_empty(), "{ours}");
    assert_eq!(rows, documented());
}

#[test]
fn a_wrong_answer_fails() {
    let text = "query I\nSELECT 1\n----\n2\n\nquery R\nSELECT 1\n----\n1\n\nstatement error\nSELECT 1\n\n\
                query error no such\nSELECT x\n\nquery I\nSELECT 1\n----\n1\n";
    let outcome = run(text);
    assert_eq!((outcome.passed, outcome.unsupported.len()), (1, 4));
}
