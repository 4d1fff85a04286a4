//! Runs the commands of a test file.

use super::compare;
use super::file::{Action, Evaluation, commands};
use super::notation::{Entry, Sequence};
use crate::promql::error::{PromqlError, Result};
use crate::promql::labels::{Labels, NAME};
use crate::promql::source::fits;
use crate::promql::{Answer, Budget, Limits, Matcher, MemorySource, Query, Series, Source};

/// What became of a test file.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many evaluations gave what was expected.
    pub passed: usize,
    /// Evaluations that gave something else, and commands that could not be understood.
    pub failed: Vec<Outcome>,
    /// Evaluations that use what is not supported.
    pub unsupported: Vec<Outcome>,
}

/// An evaluation that did not pass.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The line of the file, from 1.
    pub line: usize,
    /// What was different.
    pub problem: String,
}

/// Runs all commands of a test file.
///
/// An evaluation at one time is also made over a range of three steps around that time, as
/// Prometheus does it: both must be as expected.
#[must_use]
pub fn run(text: &str) -> Report {
    let mut report = Report::default();
    let mut data = TestData::default();
    for command in commands(text) {
        let line = command.line;
        match command.action {
            Action::Clear => data = TestData::default(),
            Action::Wrong(problem) => report.failed.push(Outcome { line, problem }),
            Action::Load { step_ns, sequences, unsupported } => {
                if unsupported.as_deref() == Some("load with start timestamps") {
                    data.unsupported = unsupported;
                } else {
                    data.load(step_ns, &sequences, unsupported.is_some());
                }
            }
            Action::Evaluate(evaluation) => match evaluate(&evaluation, &data) {
                Outcomes::Passed => report.passed += 1,
                Outcomes::Failed(problem) => report.failed.push(Outcome { line, problem }),
                Outcomes::Unsupported(problem) => {
                    report.unsupported.push(Outcome { line, problem });
                }
            },
        }
    }
    report
}

enum Outcomes {
    Passed,
    Failed(String),
    Unsupported(String),
}

fn evaluate(evaluation: &Evaluation, data: &TestData) -> Outcomes {
    if let Some(what) = &data.unsupported {
        return Outcomes::Unsupported(format!("{what} is not supported"));
    }
    let mut entries = evaluation.series.iter().flat_map(|sequence| &sequence.entries);
    if entries.any(|entry| matches!(entry, Entry::Histogram)) {
        return Outcomes::Unsupported("a native histogram is expected".to_owned());
    }
    let checked = match ask(evaluation, data) {
        Err(error @ PromqlError::Unsupported(_)) => {
            return Outcomes::Unsupported(error.to_string());
        }
        Ok(_) if evaluation.fail.is_some() => Err("expected a failure".to_owned()),
        Ok(answer) => compare::answer(evaluation, &answer).and_then(|()| again(evaluation, data)),
        Err(error) => match &evaluation.fail {
            Some(wanted) if wanted.fits(&error.to_string()) => Ok(()),
            Some(wanted) => Err(format!("expected failure {wanted:?}, got: {error}")),
            None => Err(format!("unexpected failure: {error}")),
        },
    };
    match checked {
        Ok(()) => Outcomes::Passed,
        Err(problem) => Outcomes::Failed(problem),
    }
}

fn ask(evaluation: &Evaluation, data: &TestData) -> Result<Answer> {
    let query = Query::parse(&evaluation.query)?;
    let limits = Limits::default();
    let (start_ns, end_ns) = (evaluation.start_ns, evaluation.end_ns);
    match evaluation.step_ns {
        None => query.instant(data, start_ns, &limits),
        Some(step_ns) => query.range(data, start_ns, end_ns, step_ns, &limits),
    }
}

/// The same as a range; not where only one time has an order, a text or a range.
fn again(evaluation: &Evaluation, data: &TestData) -> std::result::Result<(), String> {
    const MINUTE_NS: i64 = 60_000_000_000;
    let only_once = evaluation.step_ns.is_some()
        || evaluation.ordered
        || evaluation.text.is_some()
        || evaluation.matrix.is_some();
    if only_once {
        return Ok(());
    }
    let (start_ns, end_ns) = (evaluation.start_ns - MINUTE_NS, evaluation.start_ns + MINUTE_NS);
    let answer = Query::parse(&evaluation.query)
        .and_then(|query| query.range(data, start_ns, end_ns, MINUTE_NS, &Limits::default()));
    let checked = answer.map_err(|error| error.to_string());
    let checked = checked.and_then(|answer| compare::at_step(evaluation, &answer));
    checked.map_err(|problem| format!("as a range: {problem}"))
}

/// What a test has loaded. Native histograms are only remembered, so that queries of them can be
/// told from those that pass.
#[derive(Default)]
struct TestData {
    memory: MemorySource,
    histograms: Vec<Labels>,
    unsupported: Option<String>,
}

impl TestData {
    fn load(&mut self, step_ns: i64, sequences: &[Sequence], with_histograms: bool) {
        for sequence in sequences {
            let mut time_ns = 0_i64;
            for entry in &sequence.entries {
                match entry {
                    Entry::Number(value) => self.memory.push(&sequence.labels, time_ns, *value),
                    Entry::Histogram => self.remember(&sequence.labels),
                    Entry::Omitted => {}
                }
                time_ns = time_ns.saturating_add(step_ns);
            }
            let name = sequence.labels.name();
            let endings = ["_bucket", "_sum", "_count"];
            let base = endings.iter().find_map(|ending| name.strip_suffix(ending));
            if let (true, Some(base)) = (with_histograms, base) {
                self.remember(&sequence.labels.with(NAME, base).with("le", ""));
            }
        }
    }

    fn remember(&mut self, labels: &Labels) {
        if !self.histograms.contains(labels) {
            self.histograms.push(labels.clone());
        }
    }
}

impl Source for TestData {
    fn select(
        &self,
        matchers: &[Matcher],
        first_ns: i64,
        last_ns: i64,
        budget: &mut dyn Budget,
        take: &mut dyn FnMut(Series) -> Result<()>,
    ) -> Result<()> {
        if let Some(labels) = self.histograms.iter().find(|labels| fits(matchers, labels)) {
            return Err(PromqlError::Unsupported(format!("the native histogram {labels}")));
        }
        self.memory.select(matchers, first_ns, last_ns, budget, take)
    }
}
