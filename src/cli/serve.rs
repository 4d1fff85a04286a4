//! `chronolith serve`.

mod database;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
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
use crate::node::{
    NodeEvent, NodeLink, NodeSettings, ProcessSettings, Producing, ProducingEvent, Selling,
    SellingEvent, start,
};
use database::{HttpArgs, Served};

/// How many lines wait to be written at most.
const LINES: usize = 4_096;
/// How often it is looked whether the node ended by itself.
const LOOK: Duration = Duration::from_millis(500);

/// Serve a database over HTTP, or run a node with the roles that its configuration names: until Ctrl-C
/// or SIGTERM.
#[derive(Debug, Args)]
pub(super) struct ServeCommand {
    /// The configuration of a node
    #[arg(long, value_name = "FILE", required_unless_present = "db", conflicts_with = "db")]
    config: Option<PathBuf>,

    #[command(flatten)]
    http: HttpArgs,

    /// Tell what happens as one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Where what happens is told. Who reads slowly holds up nobody: lines that find no room are left out, and
/// how many there were is told before the next one that does.
#[derive(Clone)]
struct Lines {
    lines: SyncSender<Option<String>>,
    left_out: Arc<AtomicU64>,
    as_json: bool,
}

impl Lines {
    fn tell(&self, told: (Value, String)) {
        let count = self.left_out.swap(0, Ordering::Relaxed);
        let missing = (json!({"left_out": count}), format!("{count} lines are left out"));
        let is_told = count == 0 || self.send(missing);
        if !is_told || !self.send(told) {
            let more = if is_told { 1 } else { count + 1 };
            self.left_out.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Whether there is room for it.
    fn send(&self, (value, text): (Value, String)) -> bool {
        let line = if self.as_json { value.to_string() } else { text };
        self.lines.try_send(Some(line)).is_ok()
    }
}

impl ServeCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let interruption = listen()?;
        let settings = self.config.as_deref().map(ProcessSettings::read).transpose()?;
        let (lines, written) = sync_channel::<Option<String>>(LINES);
        let writer = thread::Builder::new().name("lines".to_owned()).spawn(move || {
            while let Ok(Some(line)) = written.recv() {
                // Where nobody listens, the node goes on.
                drop(super::output::put_line(format_args!("{line}")));
            }
        })?;
        let lines = Lines { lines, left_out: Arc::default(), as_json: self.json };
        let (served, settings) = match settings {
            None => (Some(self.http.serve(&lines)?), None),
            Some(ProcessSettings::Alone(alone)) => (Some(Served::alone(&alone, &lines)?), None),
            Some(ProcessSettings::Node(node)) => (Served::of_node(&node, &lines)?, Some(node)),
        };
        let told_to = lines.clone();
        let node = settings.as_ref().map(|settings| {
            start(settings, move |event| {
                told(&event).into_iter().for_each(|told| told_to.tell(told))
            })
        });
        let node = node.transpose()?;
        let producing = match (&settings, &served) {
            (Some(settings), Some(served)) => produce(settings, served, &lines)?,
            _ => None,
        };
        let selling = match (&settings, &served, &node) {
            (Some(settings), Some(served), Some(node)) => {
                sell(settings, served, node.link(), &lines)?
            }
            _ => None,
        };
        if let (Some(node), Some(served)) = (&node, &served) {
            served.connect(node.link(), producing.as_ref(), selling.as_ref());
        }
        let mut wake = interruption.wake;
        wake.set_read_timeout(Some(LOOK))?;
        let mut byte = [0];
        while !node.as_ref().is_some_and(|node| node.has_ended()) && wake.read(&mut byte).is_err() {
        }
        // They ask the node, and read the database.
        drop(producing);
        drop(selling);
        // Who writes is answered before anything else ends.
        let closed = served.map_or(Ok(()), |served| served.stop(&lines));
        let stopped = node.map_or(Ok(()), |node| node.stop());
        // An error says that the thread has ended.
        drop(lines.lines.send(None));
        drop(writer.join());
        closed?;
        stopped?;
        Ok(Outcome::Done)
    }
}

/// Begins the producer's role, where the configuration has one.
fn produce(settings: &NodeSettings, served: &Served, lines: &Lines) -> Result<Option<Producing>> {
    let Some(producer) = &settings.producer else { return Ok(None) };
    let told_to = lines.clone();
    let tell = move |event| told_to.tell(of_producing(event));
    Ok(Some(Producing::start(producer, settings, served.db(), tell)?))
}

/// Begins the owner's role, where the configuration has one.
fn sell(
    settings: &NodeSettings,
    served: &Served,
    link: NodeLink,
    lines: &Lines,
) -> Result<Option<Selling>> {
    let Some(market) = &settings.market else { return Ok(None) };
    let told_to = lines.clone();
    let tell = move |event| told_to.tell(of_selling(event));
    Ok(Some(Selling::start(market, settings, link, served.db(), tell)?))
}

fn of_selling(event: SellingEvent) -> (Value, String) {
    match event {
        SellingEvent::Granted { request } => {
            (json!({"granted": request.to_string()}), format!("granted the request {request}"))
        }
        SellingEvent::Answered { request } => (
            json!({"answered_request": request.to_string()}),
            format!("answered the request {request}"),
        ),
        SellingEvent::Declined { request } => {
            (json!({"declined": request.to_string()}), format!("declined the request {request}"))
        }
        SellingEvent::Waits { request, reason } => (
            json!({"waits": {"request": request.to_string(), "reason": reason}}),
            format!("the request {request} waits for the owner: {reason}"),
        ),
        SellingEvent::Drawn { subscription, period } => (
            json!({"drawn": {"subscription": subscription, "period": period}}),
            format!("gave the keys of period {period} of the subscription {subscription}"),
        ),
        SellingEvent::Received { request, chunks, records, refused } => (
            json!({"received": {
                "request": request.to_string(),
                "chunks": chunks,
                "records": records,
                "refused": refused,
            }}),
            format!(
                "received {records} records in {chunks} chunks by {request}; {refused} refused"
            ),
        ),
        SellingEvent::Noted { request, chunks } => (
            json!({"noted": {"request": request.to_string(), "chunks": chunks}}),
            format!("the note of {request} is ready: {chunks} chunks"),
        ),
        SellingEvent::Told { webhook, on, sale } => (
            json!({"told": {"webhook": webhook, "on": on, "sale": sale.to_string()}}),
            format!("told {webhook} of {on} of the {} {sale}", sale.kind()),
        ),
        SellingEvent::Untold { webhook, reason } => (
            json!({"untold": {"webhook": webhook, "reason": reason}}),
            format!("the webhook {webhook} is not called: {reason}"),
        ),
        SellingEvent::Failed { reason } => (
            json!({"failed": {"what": "the market", "reason": reason}}),
            format!("answering requests failed, and is tried again: {reason}"),
        ),
    }
}

fn of_producing(event: ProducingEvent) -> (Value, String) {
    match event {
        ProducingEvent::Failed { reason } => (
            json!({"failed": {"what": "producing", "reason": reason}}),
            format!("producing failed, and is tried again: {reason}"),
        ),
        ProducingEvent::Refused { reasons } => (
            json!({"refused": {"what": "placement", "reasons": reasons}}),
            match reasons.is_empty() {
                true => "no contract's placement keeps anything waiting any more".to_owned(),
                false => format!("contracts' placements cannot be had: {}", reasons.join("; ")),
            },
        ),
        ProducingEvent::Packed { packs } => {
            (json!({"packed": packs}), format!("made {} packs", packs.len()))
        }
        ProducingEvent::HandedOver { anchored, placed, moved } => (
            json!({"handed_over": {"anchored": anchored, "placed": placed, "moved": moved}}),
            format!(
                "anchored {anchored} batches, had {} packs kept and {moved} leases moved",
                placed.len()
            ),
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_find_no_room_are_counted() {
        let (sender, written) = sync_channel(2);
        let lines = Lines { lines: sender, left_out: Arc::default(), as_json: true };
        let tell = |number: u64| lines.tell((json!(number), String::new()));
        let read = || written.try_iter().flatten().collect::<Vec<String>>();
        (1..=5).for_each(tell);
        assert_eq!(read(), ["1", "2"]);
        tell(6);
        assert_eq!(read(), ["{\"left_out\":3}", "6"]);
        (7..=9).for_each(tell);
        assert_eq!(read(), ["7", "8"]);
        // There is room for one line, and two are to be told.
        tell(10);
        tell(11);
        assert_eq!(read(), ["{\"left_out\":1}", "10"]);
        tell(12);
        assert_eq!(read(), ["{\"left_out\":1}", "12"]);
    }
}
