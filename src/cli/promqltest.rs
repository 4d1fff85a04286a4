//! `chronolith promqltest`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use chronolith_query::promql::promqltest::{Outcome as Line, Report, run};
use clap::Args;
use serde_json::json;

use super::Outcome;
use super::output::print_json;

/// Run tests in Prometheus' format for its query language; exit code 1 where any fails.
#[derive(Debug, Args)]
pub(super) struct PromqltestCommand {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Show what is not supported, too
    #[arg(long)]
    unsupported: bool,

    /// Print for programs
    #[arg(long)]
    json: bool,
}

impl PromqltestCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let mut total = Report::default();
        let mut files = Vec::new();
        for path in &self.files {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            let report = run(&text);
            let name = path.display().to_string();
            if self.json {
                files.push(as_json(&name, &report));
            } else {
                self.print(&name, &report);
            }
            total.passed += report.passed;
            total.failed.extend(report.failed);
            total.unsupported.extend(report.unsupported);
        }
        if self.json {
            print_json(&json!(files))?;
        } else if self.files.len() > 1 {
            println!("all files: {}", figures(&total));
        }
        Ok(if total.failed.is_empty() { Outcome::Done } else { Outcome::Faults })
    }

    fn print(&self, name: &str, report: &Report) {
        println!("{name}: {}", figures(report));
        for line in &report.failed {
            println!("  line {}: {}", line.line, line.problem);
        }
        for line in report.unsupported.iter().filter(|_| self.unsupported) {
            println!("  line {}: unsupported: {}", line.line, line.problem);
        }
    }
}

fn figures(report: &Report) -> String {
    format!(
        "{} passed, {} failed, {} unsupported",
        report.passed,
        report.failed.len(),
        report.unsupported.len()
    )
}

fn as_json(name: &str, report: &Report) -> serde_json::Value {
    let lines = |lines: &[Line]| -> Vec<serde_json::Value> {
        lines.iter().map(|line| json!({"line": line.line, "problem": line.problem})).collect()
    };
    json!({
        "file": name,
        "passed": report.passed,
        "failed": lines(&report.failed),
        "unsupported": lines(&report.unsupported),
    })
}
