//! `chronolith serve`.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use chronolith_chain::consensus::Output;
use chronolith_net::validator::Told;
use clap::Args;
use serde_json::{Value, json};

use super::Outcome;
use super::interrupt::listen;
use crate::node::{NodeSettings, start};

/// How often it is looked whether the node ended by itself.
const LOOK: Duration = Duration::from_millis(500);

/// Run a node: the roles that its configuration names, until Ctrl-C or SIGTERM.
#[derive(Debug, Args)]
pub(super) struct ServeCommand {
    /// The configuration of the node
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Tell what happens as one JSON object a line
    #[arg(long)]
    json: bool,
}

impl ServeCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let interruption = listen()?;
        let settings = NodeSettings::read(&self.config)?;
        let as_json = self.json;
        let node = start(&settings, move |told| tell(as_json, told))?;
        let mut wake = interruption.wake;
        wake.set_read_timeout(Some(LOOK))?;
        let mut byte = [0];
        while !node.has_ended() && wake.read(&mut byte).is_err() {}
        node.stop()?;
        Ok(Outcome::Done)
    }
}

/// Tells what happened. Where nobody listens, the node goes on.
fn tell(as_json: bool, told: Told) {
    let (value, text) = match told {
        Told::Listening(address) => {
            (json!({"listening": address.to_string()}), format!("listening on {address}"))
        }
        Told::Output(Output::Committed { decided, .. }) => {
            let (header, transactions) = (&decided.block.header, decided.block.transactions.len());
            let (height, id) = (header.height, header.id());
            let value = json!({"height": height, "block": id, "transactions": transactions});
            (value, format!("height {height}: block {id} of {transactions} transactions"))
        }
        Told::Output(Output::Evidence(_)) => (
            json!({"evidence": "a validator signed twice"}),
            "a validator signed twice; it will be reported".to_owned(),
        ),
        Told::Output(Output::StandsAside { until }) => (
            json!({"stands_aside_until": until}),
            format!(
                "this validator signs nothing up to height {until}: what it signed before cannot \
                 be reconciled with its log"
            ),
        ),
        Told::Output(_) => (Value::Null, String::new()),
    };
    if value.is_null() {
        return;
    }
    let line = if as_json { value.to_string() } else { text };
    drop(super::output::put_line(format_args!("{line}")));
}
