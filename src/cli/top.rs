//! `chronolith top`: a node as it is now, again and again.

mod figures;

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::Outcome;
use super::asking::Asking;
use super::interrupt::listen;
use super::output::{print_json, put_line};
use figures::Figures;

/// Show a running node as it is now: ingest rate, height, leases, audits, earnings; until Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct TopCommand {
    /// Where the node serves HTTP
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8428")]
    node: String,

    /// The file of a token with the scope read
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// How many seconds lie between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    every: u64,

    /// Look once, and end
    #[arg(long)]
    once: bool,

    /// Print one JSON object for each look
    #[arg(long)]
    json: bool,
}

/// What a node said at one moment.
struct Look {
    at: Instant,
    figures: Figures,
    chain: Option<Value>,
    storage: Option<Value>,
    producer: Option<Value>,
}

/// Looks at a node.
fn look(asking: &Asking) -> Result<Look> {
    let Some(figures) = asking.text("/metrics")? else {
        bail!("{} has no /metrics: it is no node of Chronolith", asking.url());
    };
    Ok(Look {
        at: Instant::now(),
        figures: Figures::parse(&figures),
        chain: asking.value("/api/v1/chain")?,
        storage: asking.value("/api/v1/storage")?,
        producer: asking.value("/api/v1/producer")?,
    })
}

impl TopCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let token = self.token_file.as_ref().map(|file| {
            let text = std::fs::read_to_string(file);
            text.with_context(|| format!("cannot read {}", file.display()))
        });
        let asking = Asking::new(&self.node, token.transpose()?.as_deref())?;
        let interruption = (!self.once).then(listen).transpose()?;
        let mut before: Option<Look> = None;
        loop {
            let look = look(&asking)?;
            self.show(&look, before.as_ref())?;
            let Some(interruption) = &interruption else { return Ok(Outcome::Done) };
            before = Some(look);
            let mut wake = &interruption.wake;
            wake.set_read_timeout(Some(Duration::from_secs(self.every.max(1))))?;
            if wake.read(&mut [0]).is_ok() {
                return Ok(Outcome::Done);
            }
        }
    }

    fn show(&self, look: &Look, before: Option<&Look>) -> Result<()> {
        let rate = |name: &str| {
            let before = before?;
            let seconds = look.at.duration_since(before.at).as_secs_f64();
            Some((look.figures.sum(name) - before.figures.sum(name)).max(0.0) / seconds)
        };
        let written = "chronolith_http_records_written_total";
        let requests = "chronolith_http_requests_total";
        if self.json {
            return print_json(&json!({
                "records": look.figures.sum(written),
                "records_per_s": rate(written),
                "records_rejected": look.figures.sum("chronolith_http_records_rejected_total"),
                "requests": look.figures.sum(requests),
                "requests_per_s": rate(requests),
                "connections": look.figures.sum("chronolith_http_connections"),
                "metrics": look.figures.sum("chronolith_metrics"),
                "sealed_chunks": look.figures.sum("chronolith_sealed_chunks"),
                "chain": look.chain,
                "storage": look.storage,
                "producer": look.producer,
            }));
        }
        // A terminal is drawn anew; a pipe gets one picture behind the other.
        if std::io::stdout().is_terminal() && !self.once {
            put_line(format_args!("\x1b[2J\x1b[H{}", self.node))?;
        }
        let per_s =
            |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!("{rate:.0}/s"));
        line(
            "records",
            &[
                ("written", format!("{:.0}", look.figures.sum(written))),
                ("", per_s(rate(written))),
                (
                    "rejected",
                    format!("{:.0}", look.figures.sum("chronolith_http_records_rejected_total")),
                ),
            ],
        )?;
        line(
            "requests",
            &[
                ("answered", format!("{:.0}", look.figures.sum(requests))),
                ("", per_s(rate(requests))),
                ("connections", format!("{:.0}", look.figures.sum("chronolith_http_connections"))),
            ],
        )?;
        line(
            "database",
            &[
                ("metrics", format!("{:.0}", look.figures.sum("chronolith_metrics"))),
                ("sealed chunks", format!("{:.0}", look.figures.sum("chronolith_sealed_chunks"))),
            ],
        )?;
        let shown = [
            ("chain", &look.chain, &["height", "round", "waiting", "is_voting"][..]),
            (
                "storage",
                &look.storage,
                &["leases", "leased_bytes", "audits_passed", "audits_missed", "earned"],
            ),
            (
                "producer",
                &look.producer,
                &["anchored", "packed", "placed", "waiting", "unplaced", "failure"],
            ),
        ];
        for (name, value, fields) in shown {
            let Some(value) = value else { continue };
            let text = |field: &'static str| match &value[field] {
                Value::Null => None,
                Value::String(text) => Some((field, text.clone())),
                other => Some((field, other.to_string())),
            };
            line(name, &fields.iter().copied().filter_map(text).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// One line of the picture.
fn line(name: &str, parts: &[(&str, String)]) -> Result<()> {
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(
            |(name, value)| if name.is_empty() { value.clone() } else { format!("{name} {value}") },
        )
        .collect();
    Ok(put_line(format_args!("{name:<10}{}", parts.join("  ")))?)
}
