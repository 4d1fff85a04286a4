//! `chronolith serve`.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use chronolith_chain::consensus::Output;
use chronolith_net::snapshot::{Made, SnapshotEvent};
use chronolith_net::validator::Told;
use clap::Args;
use serde_json::{Value, json};

use super::Outcome;
use super::interrupt::listen;
use crate::node::{NodeEvent, NodeSettings, start};

/// How many lines wait to be written at most.
const LINES: usize = 4_096;
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
        // Who reads slowly holds up nobody: lines that find no room are left out.
        let (lines, written) = sync_channel::<Option<String>>(LINES);
        let writer = thread::Builder::new().name("lines".to_owned()).spawn(move || {
            while let Ok(Some(line)) = written.recv() {
                // Where nobody listens, the node goes on.
                drop(super::output::put_line(format_args!("{line}")));
            }
        })?;
        let told_to = lines.clone();
        let node = start(&settings, move |event| {
            if let Some((value, text)) = told(&event) {
                let line = if as_json { value.to_string() } else { text };
                drop(told_to.try_send(Some(line)));
            }
        })?;
        let mut wake = interruption.wake;
        wake.set_read_timeout(Some(LOOK))?;
        let mut byte = [0];
        while !node.has_ended() && wake.read(&mut byte).is_err() {}
        let stopped = node.stop();
        // An error says that the thread has ended.
        drop(lines.send(None));
        drop(writer.join());
        stopped?;
        Ok(Outcome::Done)
    }
}

/// What is told of an event: as JSON, and for people.
fn told(event: &NodeEvent) -> Option<(Value, String)> {
    Some(match event {
        NodeEvent::Chain(told) => return of_chain(told),
        NodeEvent::Snapshot(event) => return of_snapshot(event),
        NodeEvent::BlockByBlock { reason } => (
            json!({"block_by_block": reason}),
            format!("joins block by block, without a snapshot: {reason}"),
        ),
        NodeEvent::Made(made) => of_made(made),
        NodeEvent::Kept { owner, pack, index } => (
            json!({"kept": {"owner": owner, "pack": pack, "index": index}}),
            format!("keeps fragment {index} of pack {pack} for {owner}"),
        ),
        NodeEvent::Consented { owner, fragments } => (
            json!({"consented": {"owner": owner, "fragments": fragments}}),
            format!("consented to lease {fragments} fragments of {owner}"),
        ),
        NodeEvent::Answered { epoch, samples } => (
            json!({"answered": {"epoch": epoch, "samples": samples}}),
            format!("answered the audit of epoch {epoch} with {samples} blocks"),
        ),
        NodeEvent::Abstained { epoch, reason } => (
            json!({"abstained": {"epoch": epoch, "reason": reason}}),
            format!("says nothing to the audit of epoch {epoch}: {reason}"),
        ),
        NodeEvent::Attested { epoch, passed } => (
            json!({"attested": {"epoch": epoch, "passed": passed}}),
            format!("attests that {passed} peers passed the audits of epoch {epoch}"),
        ),
        NodeEvent::Reported { peer, epoch, lie } => (
            json!({"reported": {"peer": peer, "epoch": epoch, "lie": lie}}),
            format!("reports {peer}, who answered the audit of epoch {epoch} wrongly: {lie}"),
        ),
        NodeEvent::Dropped { fragments } => (
            json!({"dropped": {"fragments": fragments}}),
            format!("dropped {fragments} fragments that nobody leases"),
        ),
        NodeEvent::Damaged { damage } => {
            (json!({"damaged": damage}), format!("found damage: {damage}"))
        }
        NodeEvent::Repaired { from, to, fragments } => (
            json!({"repaired": {"from": from, "to": to, "fragments": fragments}}),
            format!("rebuilt {fragments} fragments that {from} lost; {to} keeps them now"),
        ),
        NodeEvent::Failed { what, reason } => (
            json!({"failed": {"what": what, "reason": reason}}),
            format!("{what} failed, and is tried again: {reason}"),
        ),
    })
}

fn of_made(made: &Made) -> (Value, String) {
    let failed = |reason: String| {
        let text = format!("a snapshot cannot be made, and the next is tried: {reason}");
        (json!({"failed": {"what": "making a snapshot", "reason": reason}}), text)
    };
    match made {
        Made::Snapshot(head) => (
            json!({"made_snapshot": {"at": head.height(), "block": head.block()}}),
            format!("made a snapshot of height {}, to serve", head.height()),
        ),
        Made::Files(error) => failed(error.to_string()),
        Made::Chain(error) => failed(error.to_string()),
    }
}

fn of_snapshot(event: &SnapshotEvent) -> Option<(Value, String)> {
    Some(match event {
        SnapshotEvent::Resumed { height, there, pieces } => (
            json!({"joining": {"at": height, "there": there, "pieces": pieces}}),
            format!("goes on with the snapshot of height {height}: {there} of {pieces} pieces"),
        ),
        SnapshotEvent::Chosen { height, block, pieces, peers } => (
            json!({"joining": {"at": height, "block": block, "pieces": pieces, "peers": peers}}),
            format!(
                "joins by a snapshot of height {height}, block {block}: {pieces} pieces of {peers} \
                 peers"
            ),
        ),
        SnapshotEvent::Lied { peer, lie } => (
            json!({"lied": {"peer": peer.to_string(), "lie": lie.to_string()}}),
            format!("peer {peer} lied, and is not asked again: {lie}"),
        ),
        SnapshotEvent::Joined { height, block } => (
            json!({"joined": {"at": height, "block": block}}),
            format!("joined at height {height}, block {block}; goes on block by block"),
        ),
        // Where it matters, the reason why there is none tells of it.
        _ => return None,
    })
}

fn of_chain(told: &Told) -> Option<(Value, String)> {
    Some(match told {
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
        Told::Output(_) | Told::Answer(_) => return None,
    })
}
